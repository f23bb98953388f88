/**
 * A video to a `.linr` file: frames, features, a first container that can already be asked about, training with
 * checkpoints, and a last container whose quality is measured on the file read back.
 */
import { encodeNetwork, writeContainer, type ContainerMeta, type JsonObject } from '../container/index.js';
import { progressiveOrder, type Frame, type FrameSource } from '../frames/index.js';
import type { ModelPack } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { VisionTower } from '../vision/index.js';
import { loadCheckpoint, removeCheckpoint, saveCheckpoint } from './checkpoint.node.js';
import { patchGrid, type InrConfig } from './config.js';
import { LinrDecoder } from './decoder.js';
import { PatchStore } from './patches.js';
import { MAX_FRAMES, planEncoding, type Plan, type PlanOptions } from './plan.js';
import { bitsPerPixel, psnr } from './quality.js';
import { interpolateTargets } from './targets.js';
import { Trainer } from './trainer.js';

export interface EncodeProgress {
  readonly stage: 'frames' | 'features' | 'training' | 'writing';
  readonly done: number;
  readonly total: number;
  readonly unit: 'frames' | 'seconds';
  /** Training only: PSNR over the patches of the last steps, in dB. */
  readonly psnr_db?: number;
  /** Frames handled in a second at this stage. */
  readonly frames_per_s?: number;
  /** Seconds until the file is written. */
  readonly eta_s?: number;
}

export interface EncodeOptions extends PlanOptions {
  readonly pack: ModelPack;
  readonly runtime: Runtime;
  /** The name the container keeps of its source. */
  readonly sourceName: string;
  /** Bytes of the source file; null where unknown. */
  readonly sourceBytes: number | null;
  /** Aborting throws the signal's reason after the step under way; a checkpoint is written first if there is a path. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EncodeProgress) => void;
  /**
   * Called with a complete container: 'latents' as soon as the video can be asked about (and again when every frame has
   * been looked at), 'checkpoint' while the pictures get sharper, 'final' once.
   */
  readonly onContainer?: (bytes: Uint8Array, stage: 'latents' | 'checkpoint' | 'final') => void | Promise<void>;
  /** File to keep training state in, to go on after a cancel or a kill. Removed at the end. */
  readonly checkpointPath?: string;
}

export interface EncodeReport {
  readonly bytes: number;
  /** Mean over frames, of the file read back. */
  readonly psnr_db: number;
  readonly bpp: number;
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  /** Seconds spent, those before a resume included. */
  readonly seconds: number;
  /** Trained numbers, latents included. */
  readonly parameters: number;
  readonly steps: number;
}

/** Weight of the alignment in the loss (eq. 6), the paper's. */
const LAMBDA = 0.01;
/** Of the grids; training-step.ts says what the other tensors get of it. */
const LEARNING_RATE = 2e-2;
/** Frames, and the share of patch rows and columns, of one training step: a quarter of the patches of 8 frames. */
const STEP_FRAMES = 8;
const STEP_SHARE = 0.5;
/** Seconds of training between training states saved to disk. */
const CHECKPOINT_SECONDS = 10;
/** Seconds of training after which the first and each further sharper container is written; intervals double from here. */
const FIRST_CONTAINER_SECONDS = 6;
/** Seconds kept back from training for writing, reading back and measuring, as a share of the budget. */
const FINISH_SHARE = 0.03;
const FEATURE_BATCH = 8;
const SEED = 1;

/**
 * Encodes `source` within about `seconds`.
 *
 * @returns figures measured on the final container, read back from its bytes.
 * @throws RangeError for options out of range, FrameSourceError for what cannot be read, the signal's reason when aborted.
 */
export async function encodeVideo(source: FrameSource, options: EncodeOptions): Promise<EncodeReport> {
  const started = performance.now();
  const plan = planEncoding(source.info, options);
  const frames = await readFrames(source, plan, options);
  const times_s = Float64Array.from(frames, (frame) => frame.time_s);
  const tower = await VisionTower.load(options.pack, options.runtime);
  const config = plan.config(frames.length, tower.latentDim);
  const job = new EncodeJob(options, plan, config, source, times_s, started);

  const fingerprint = JSON.stringify({ config, source: options.sourceName, bytes: options.sourceBytes, pack: options.pack.manifest.id });
  const resumed = options.checkpointPath === undefined ? null : await loadCheckpoint(options.checkpointPath, fingerprint);
  const targets = resumed?.targets ?? (await job.latentTargets(frames, tower));
  await tower.release();

  const patches = new PatchStore(config);
  frames.forEach((frame, t) => patches.set(t, frame.data));
  const { rows, columns } = patchGrid(config);
  const trainer = await Trainer.create(options.runtime, config, patches, targets, {
    shape: {
      frames: Math.min(STEP_FRAMES, frames.length),
      rows: Math.max(1, Math.round(rows * STEP_SHARE)),
      columns: Math.max(1, Math.round(columns * STEP_SHARE)),
    },
    learningRate: LEARNING_RATE,
    lambda: LAMBDA,
    seed: SEED,
  }, resumed?.state ?? null);
  try {
    await job.train(trainer, targets, fingerprint, resumed?.seconds ?? 0);
    return await job.finish(trainer, frames);
  } finally {
    await trainer.release();
  }
}

async function readFrames(source: FrameSource, plan: Plan, options: EncodeOptions): Promise<Frame[]> {
  const frames: Frame[] = [];
  const total = Math.min(MAX_FRAMES, source.info.frames ?? MAX_FRAMES);
  const report = paced(options.onProgress);
  const started = performance.now();
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  for await (const frame of source.frames({ size: plan.size, limit: MAX_FRAMES, ...signal })) {
    frames.push(frame);
    report({ stage: 'frames', done: frames.length, total: Math.max(total, frames.length), unit: 'frames', frames_per_s: rate(frames.length, started) });
  }
  if (frames.length === 0) throw new RangeError(`${options.sourceName} has no frame that can be decoded`);
  return frames;
}

/** One encoding's fixed facts, and the steps that need them. */
class EncodeJob {
  /** Seconds of training in earlier runs, which the checkpoint stands for. */
  private trainedBefore = 0;

  constructor(
    private readonly options: EncodeOptions,
    private readonly plan: Plan,
    private readonly config: InrConfig,
    private readonly source: FrameSource,
    private readonly times_s: Float64Array,
    private readonly started: number,
  ) {}

  /** (T, D) targets of all frames; a container goes out as soon as the frames a chat looks at are done. */
  async latentTargets(frames: readonly Frame[], tower: VisionTower): Promise<Float32Array> {
    const { onProgress, signal } = this.options;
    const dim = tower.latentDim;
    const targets = new Float32Array(frames.length * dim);
    const known = new Uint8Array(frames.length);
    const order = [...progressiveOrder(frames.length, FEATURE_BATCH)];
    const started = performance.now();
    const report = paced(onProgress);
    for (let at = 0; at < order.length; at += FEATURE_BATCH) {
      signal?.throwIfAborted();
      const batch = order.slice(at, at + FEATURE_BATCH);
      const latents = tower.latents(await tower.features(batch.map((index) => frames[index] as Frame)));
      batch.forEach((index, i) => {
        targets.set(latents.subarray(i * dim, (i + 1) * dim), index * dim);
        known[index] = 1;
      });
      const done = at + batch.length;
      report({ stage: 'features', done, total: frames.length, unit: 'frames', frames_per_s: rate(done, started) });
      if (at === 0 && done < frames.length) {
        const early = targets.slice();
        interpolateTargets(early, dim, known);
        await this.emit(early, null, 'latents');
      }
    }
    await this.emit(targets, null, 'latents');
    return targets;
  }

  /** Trains until the budget is spent. */
  async train(trainer: Trainer, targets: Float32Array, fingerprint: string, trainedBefore: number): Promise<void> {
    const { signal, checkpointPath } = this.options;
    this.trainedBefore = trainedBefore;
    const prepared = this.seconds();
    // Frames and features take their part of the budget; even where they are slow, half of it goes into training.
    const budget = Math.max(this.plan.seconds / 2, this.plan.seconds * (1 - FINISH_SHARE) - prepared);
    const trained = (): number => trainedBefore + this.seconds() - prepared;
    const save = async (): Promise<void> => {
      if (checkpointPath !== undefined) await saveCheckpoint(checkpointPath, fingerprint, { state: trainer.state, targets, seconds: trained() });
    };
    const report = paced(this.options.onProgress);
    let saved = trained();
    let written = trained();
    let interval = FIRST_CONTAINER_SECONDS;
    while (trained() < budget) {
      if (signal?.aborted === true) {
        await save();
        signal.throwIfAborted();
      }
      await trainer.step(trained() / budget);
      const now = trained();
      report({ stage: 'training', done: Math.min(now, budget), total: budget, unit: 'seconds', psnr_db: -10 * Math.log10(trainer.mse), eta_s: Math.max(0, budget - now) + this.plan.seconds * FINISH_SHARE });
      if (now - saved >= CHECKPOINT_SECONDS) {
        await save();
        saved = now;
      }
      if (now - written >= interval && now < budget - interval / 2) {
        await this.emit(trainer.latents(), trainer, 'checkpoint');
        written = trained();
        interval *= 2;
      }
    }
  }

  /** Writes the file, reads it back and measures it. */
  async finish(trainer: Trainer, frames: readonly Frame[]): Promise<EncodeReport> {
    const { config, options } = this;
    options.onProgress?.({ stage: 'writing', done: 0, total: frames.length, unit: 'frames' });
    const bytes = this.container(trainer.latents(), trainer);
    const decoder = new LinrDecoder(bytes, options.runtime);
    const report = paced(options.onProgress);
    let sum = 0;
    for (const [t, frame] of frames.entries()) {
      options.signal?.throwIfAborted();
      sum += psnr((await decoder.frame(t)).data, frame.data);
      report({ stage: 'writing', done: t + 1, total: frames.length, unit: 'frames' });
    }
    await decoder.release();
    await options.onContainer?.(bytes, 'final');
    if (options.checkpointPath !== undefined) await removeCheckpoint(options.checkpointPath);
    return {
      bytes: bytes.length,
      psnr_db: sum / frames.length,
      bpp: bitsPerPixel(bytes.length, frames.length, config.width, config.height),
      frames: frames.length,
      width: config.width,
      height: config.height,
      seconds: this.trainedBefore + this.seconds(),
      parameters: trainer.layout.size,
      steps: trainer.state.step,
    };
  }

  private async emit(latents: Float32Array, trainer: Trainer | null, stage: 'latents' | 'checkpoint'): Promise<void> {
    await this.options.onContainer?.(this.container(latents, trainer), stage);
  }

  private container(latents: Float32Array, trainer: Trainer | null): Uint8Array {
    const { config, options, plan, source } = this;
    const { manifest } = options.pack;
    const meta: ContainerMeta = {
      width: config.width,
      height: config.height,
      frames: config.frames,
      segments: [config.frames],
      duration_s: source.info.duration_s,
      source: { name: options.sourceName, width: source.info.width, height: source.info.height, bytes: options.sourceBytes },
      times_s: this.times_s,
      pack: { id: manifest.id, feature_space: manifest.feature_space },
      encoder: { preset: options.preset, seconds: Math.round((this.trainedBefore + this.seconds()) * 10) / 10 },
    };
    const network = trainer === null ? null : encodeNetwork({ config: config as unknown as JsonObject, tensors: trainer.tensors() }, { bits: plan.bits });
    return writeContainer({ meta, latents, latentDim: config.latentDim, networks: [network] });
  }

  /** Seconds since this run began. */
  private seconds(): number {
    return (performance.now() - this.started) / 1000;
  }
}

const rate = (done: number, started: number): number => done / ((performance.now() - started) / 1000);

/** Passes on at most four reports a second, and always the last of a stage. */
function paced(onProgress: ((progress: EncodeProgress) => void) | undefined): (progress: EncodeProgress) => void {
  let last = -Infinity;
  return (progress) => {
    const now = performance.now();
    if (now - last < 250 && progress.done < progress.total) return;
    last = now;
    onProgress?.(progress);
  };
}
