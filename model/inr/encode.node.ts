/**
 * A video to a `.linr` file: a glance that makes it askable, a scan of all frames, then segment after segment trained, each
 * with checkpoints; at last the quality measured on the file read back. Memory holds one segment's pixels at a time.
 */
import { encodeNetwork, MAX_WARNINGS, writeContainer, type ContainerMeta, type JsonObject } from '../container/index.js';
import type { Frame, FrameSource } from '../frames/index.js';
import type { ModelPack } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { VisionTower } from '../vision/index.js';
import { loadCheckpoint, removeCheckpoint, saveCheckpoint, type Checkpoint } from './checkpoint.node.js';
import { patchGrid } from './config.js';
import { LinrDecoder } from './decoder.js';
import { enlargeTensors, type EnlargeFilters, type EnlargeSamples } from './enlarge.js';
import { fitFilters, LargeFrames } from './large-frames.node.js';
import { parameterSpecs } from './network.js';
import { PatchStore } from './patches.js';
import { MAX_FRAMES, planEncoding, type Plan, type PlanOptions } from './plan.js';
import { bitsPerPixel, psnr } from './quality.js';
import { steppedLevels } from './quantisation.js';
import { RateControl } from './rate-control.js';
import { glance, scanVideo, type Scan } from './scan.node.js';
import { planSegments } from './segments.js';
import { Trainer } from './trainer.js';
import { trainingLayout } from './training-step.js';

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

export type LatentStart = 'features' | 'random';

export interface EncodeOptions extends PlanOptions {
  readonly pack: ModelPack;
  readonly runtime: Runtime;
  /** The name the container keeps of its source. */
  readonly sourceName: string;
  /** Bytes of the source file; null where unknown. */
  readonly sourceBytes: number | null;
  /** Weight of the alignment in the loss (eq. 6). Default: 0.01, the paper's. */
  readonly lambda?: number;
  /** Whether latents start at the features they are aligned to, or at random, as in the paper. Default: at the features. */
  readonly latentStart?: LatentStart;
  /** A clock in seconds that budgets of time are counted by. Default: the time that passes. */
  readonly clock?: () => number;
  /** Aborting throws the signal's reason after the step under way; a checkpoint is written first if there is a path. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EncodeProgress) => void;
  /**
   * Called after each training step, and waited for. The wait does not count as time of the encoding: so whoever shares the machine can
   * make a training stand aside.
   */
  readonly afterStep?: () => Promise<void> | void;
  /**
   * Called with a complete container: 'latents' as soon as the video can be asked about (at first with the few frames a
   * chat looks at, then with all), 'checkpoint' while the pictures get sharper and further segments come, 'final' once.
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
  readonly segments: number;
  readonly width: number;
  readonly height: number;
  /** Seconds spent, those before a resume included. */
  readonly seconds: number;
  /** Trained numbers, latents included. */
  readonly parameters: number;
}

/** Weight of the alignment in the loss (eq. 6), the paper's. */
export const LAMBDA = 0.01;
/** Frames of one training step. */
const STEP_FRAMES = 8;
/** Frames a chat looks at: the first container has these. */
const GLANCE_FRAMES = 8;
/** Seconds of training between training states saved to disk. */
const CHECKPOINT_SECONDS = 10;
/** Seconds of a segment's training after which the first and each further sharper container is written; intervals double from here. */
const FIRST_CONTAINER_SECONDS = 6;
/** Seconds kept back from training for writing, reading back and measuring, as a share of the budget. */
const FINISH_SHARE = 0.04;
/** Pixels that bits are priced for at least: a photo or a tiny video is a small file in any case. */
const LEAST_PRICED_PIXELS = 1 << 19;
const SEED = 1;

/**
 * Encodes `source` within about `seconds`.
 *
 * @returns figures measured on the final container, read back from its bytes.
 * @throws RangeError for options out of range, FrameSourceError for what cannot be read, the signal's reason when aborted.
 */
export async function encodeVideo(source: FrameSource, options: EncodeOptions): Promise<EncodeReport> {
  const encoding = new Encoding(source, options, planEncoding(source.info, options));
  await encoding.look();
  await encoding.trainSegments();
  return await encoding.finish();
}

/** One encoding: what is known so far, and the steps that add to it. */
class Encoding {
  private readonly clock: () => number;
  private readonly started: number;
  private readonly fingerprint: string;
  private secondsBefore = 0;
  private paused_s = 0;
  private resumed: Checkpoint | null = null;
  private scan: Scan = { times_s: new Float64Array(0), targets: new Float32Array(0), shots: [] };
  private latentDim = 0;
  private segments: number[] = [];
  /** (T, D): trained where a segment is finished. */
  private latents = new Float32Array(0);
  private readonly networks: Uint8Array[] = [];
  private neighbour: Float32Array | null = null;
  /** When all of it should be done, in seconds of `seconds()`. */
  private deadline = 0;

  constructor(
    private readonly source: FrameSource,
    private readonly options: EncodeOptions,
    private readonly plan: Plan,
  ) {
    this.clock = options.clock ?? ((): number => performance.now() / 1000);
    this.started = this.clock();
    const { preset, sourceName, sourceBytes, pack, targetBpp, targetPsnr, lambda, latentStart } = options;
    this.fingerprint = JSON.stringify({
      preset, size: plan.size, targetBpp, targetPsnr, source: sourceName, bytes: sourceBytes, pack: pack.manifest.id,
      network: plan.config(2, 1), lambda, latentStart,
    });
  }

  /** Features, times and shots: from the checkpoint, or from a glance at a few frames and then all of them. */
  async look(): Promise<void> {
    const { options, plan } = this;
    const { checkpointPath } = options;
    this.resumed = checkpointPath === undefined ? null : await loadCheckpoint(checkpointPath, this.fingerprint);
    if (this.resumed === null) {
      const tower = await VisionTower.load(options.pack, options.runtime);
      try {
        this.scan = await this.lookAnew(tower);
      } finally {
        await tower.release();
      }
      this.latents = this.scan.targets.slice();
    } else {
      this.scan = this.resumed.scan;
      this.latents = this.resumed.latents.slice();
      this.networks.push(...this.resumed.networks);
      this.neighbour = this.resumed.neighbour;
      this.secondsBefore = this.resumed.seconds;
    }
    const frames = this.scan.times_s.length;
    this.latentDim = this.latents.length / frames;
    this.segments = planSegments(this.scan.shots, frames, plan.segmentFrames);
    const budget = plan.seconds(frames);
    // Reading takes its part of the budget; even where it is slow, half of it goes into training.
    this.deadline = Math.max(budget * (1 - FINISH_SHARE), this.seconds() + (this.resumed === null ? budget / 2 : 0));
    if (this.resumed === null) await this.emit('latents', null);
  }

  private async lookAnew(tower: VisionTower): Promise<Scan> {
    const { source, options } = this;
    const report = paced(options.onProgress);
    const common = { size: tower.frameSize(source.info), ...(options.signal === undefined ? {} : { signal: options.signal }) };
    const { frames: known } = source.info;
    if (known === null || known > GLANCE_FRAMES) {
      const first = await glance(source, tower, GLANCE_FRAMES, {
        ...common, limit: GLANCE_FRAMES, onFrame: (done) => report({ stage: 'frames', done, total: GLANCE_FRAMES, unit: 'frames' }),
      });
      this.scan = { ...first, shots: [0] };
      this.latents = first.targets.slice();
      this.latentDim = tower.latentDim;
      this.segments = [first.times_s.length];
      await this.emit('latents', null);
    }
    const began = performance.now();
    const total = Math.min(MAX_FRAMES, known ?? MAX_FRAMES);
    return await scanVideo(source, tower, {
      ...common,
      limit: MAX_FRAMES,
      onFrame: (done) => report({ stage: 'features', done, total: Math.max(total, done), unit: 'frames', frames_per_s: rate(done, began) }),
    });
  }

  /** Trains the segments that are not finished, one after another, while the video is read a second time. */
  async trainSegments(): Promise<void> {
    const { signal } = this.options;
    const cancel = signal === undefined ? {} : { signal };
    const frames = this.source.frames({ size: this.plan.size, limit: MAX_FRAMES, ...cancel })[Symbol.asyncIterator]();
    const large = new LargeFrames(this.source, this.plan, this.scan.times_s, cancel);
    try {
      let first = 0;
      for (const [k, count] of this.segments.entries()) {
        if (k < this.networks.length) for (let t = 0; t < count; t++) await nextFrame(frames, first + t);
        else await this.trainSegment(first, count, frames, await large.samples(first, count));
        first += count;
      }
    } finally {
      await frames.return?.();
      await large.close();
    }
  }

  private async trainSegment(first: number, count: number, frames: AsyncIterator<Frame>, samples: ReadonlyMap<number, EnlargeSamples>): Promise<void> {
    const { latentDim: dim, plan, options } = this;
    const config = plan.config(count, dim);
    const patches = new PatchStore(config);
    for (let t = 0; t < count; t++) patches.set(t, (await nextFrame(frames, first + t)).data);
    const targets = this.scan.targets.slice(first * dim, (first + count) * dim);
    const { rows, columns } = patchGrid(config);
    const { learningRate, share, knee } = plan.training;
    const resumed = this.resumed?.training ?? null;
    this.resumed = null;
    const trainer = await Trainer.create(options.runtime, config, patches, targets, {
      shape: {
        frames: Math.min(STEP_FRAMES, count),
        rows: Math.max(1, Math.round(rows * share)),
        columns: Math.max(1, Math.round(columns * share)),
      },
      learningRate,
      knee,
      lambda: options.lambda ?? LAMBDA,
      // Latents of two segments, or of two videos, that start alike would look related.
      ...(options.latentStart === 'random' ? { latentSeed: `${options.sourceName}/${first}` } : {}),
      seed: SEED,
      quantised: plan.goal !== null,
    }, resumed?.state ?? null, this.scan.shots.includes(first) ? null : this.neighbour);
    try {
      await this.train(trainer, first, resumed);
      this.latents.set(trainer.latents(), first * dim);
      const filters = samples.size === 0 ? null : await fitFilters(this.container(this.encoded(trainer)), samples, options.runtime);
      this.networks.push(this.encoded(trainer, filters));
      this.neighbour = trainer.network();
    } finally {
      await trainer.release();
    }
    if (this.networks.length < this.segments.length) {
      await this.save(null);
      await this.emit('checkpoint', null);
    }
  }

  /** Trains one segment until its share of the time is spent. */
  private async train(trainer: Trainer, first: number, resumed: Checkpoint['training']): Promise<void> {
    const { signal, onProgress } = this.options;
    const { config } = trainer;
    const control = this.plan.goal === null ? null : new RateControl(this.plan.goal, this.plan.training.knee);
    if (control !== null && resumed !== null) control.price = resumed.price;
    const before = resumed?.seconds ?? 0;
    const began = this.seconds();
    const left = this.scan.times_s.length - first;
    const budget = Math.max(1, before + ((this.deadline - began) * config.frames) / left);
    const trained = (): number => before + this.seconds() - began;
    const pixels = Math.max(LEAST_PRICED_PIXELS, config.frames * config.width * config.height);
    const report = paced(onProgress);
    const total = Math.max(this.deadline, began + budget - before);
    let [saved, written, interval] = [trained(), trained(), FIRST_CONTAINER_SECONDS];
    while (trained() < budget) {
      if (signal?.aborted === true) {
        await this.save({ state: trainer.state, price: control?.price ?? 0, seconds: trained() });
        signal.throwIfAborted();
      }
      const progress = trained() / budget;
      if (control !== null) {
        control.steer(progress, () => ({ bpp: this.estimatedBpp(trainer), psnr_db: -10 * Math.log10(trainer.mse) }));
        trainer.rateWeight = control.price / pixels;
      }
      await trainer.step(progress);
      await this.pause();
      const now = this.seconds();
      report({
        stage: 'training', done: Math.min(now, total), total, unit: 'seconds', psnr_db: -10 * Math.log10(trainer.mse),
        eta_s: Math.max(0, total - now) + total * FINISH_SHARE,
      });
      if (trained() - saved >= CHECKPOINT_SECONDS) {
        await this.save({ state: trainer.state, price: control?.price ?? 0, seconds: trained() });
        saved = trained();
      }
      if (trained() - written >= interval && trained() < budget - interval / 2) {
        this.latents.set(trainer.latents(), first * config.latentDim);
        await this.emit('checkpoint', this.encoded(trainer));
        written = trained();
        interval *= 2;
      }
    }
  }

  /** Writes the file, reads it back and measures it against the video, read a third time. */
  async finish(): Promise<EncodeReport> {
    const { options, plan } = this;
    const bytes = this.container(null);
    const total = this.scan.times_s.length;
    const decoder = new LinrDecoder(bytes, options.runtime);
    const report = paced(options.onProgress);
    let sum = 0;
    let t = 0;
    try {
      for await (const frame of this.source.frames({ size: plan.size, limit: MAX_FRAMES })) {
        options.signal?.throwIfAborted();
        sum += psnr((await decoder.frame(t)).data, frame.data);
        report({ stage: 'writing', done: ++t, total, unit: 'frames' });
      }
    } finally {
      await decoder.release();
    }
    await options.onContainer?.(bytes, 'final');
    if (options.checkpointPath !== undefined) await removeCheckpoint(options.checkpointPath);
    const { width, height } = plan.size;
    return {
      bytes: bytes.length,
      psnr_db: sum / t,
      bpp: bitsPerPixel(bytes.length, total, width, height),
      frames: total,
      segments: this.segments.length,
      width,
      height,
      seconds: this.seconds(),
      parameters: this.segments.reduce((count, frames) => count + trainingLayout(plan.config(frames, this.latentDim)).size, 0),
    };
  }

  /** A segment's network as the container stores it. */
  private encoded(trainer: Trainer, filters: EnlargeFilters | null = null): Uint8Array {
    const { goal, coder } = this.plan;
    const network = { config: trainer.config as unknown as JsonObject, tensors: new Map([...trainer.tensors(), ...(filters === null ? [] : enlargeTensors(filters))]) };
    const names = new Set(parameterSpecs(trainer.config).map(({ name }) => name));
    return encodeNetwork(network, { coder, ...(goal === null ? {} : { levels: steppedLevels(names) }) });
  }

  /** Bits per pixel the segment takes as it is now, its share of the latents included. */
  private estimatedBpp(trainer: Trainer): number {
    const { frames, width, height } = trainer.config;
    const head = (this.container(null).length - this.networks.reduce((sum, bytes) => sum + bytes.length, 0)) / this.scan.times_s.length;
    return bitsPerPixel(this.encoded(trainer).length + head * frames, frames, width, height);
  }

  private async emit(stage: 'latents' | 'checkpoint', current: Uint8Array | null): Promise<void> {
    await this.options.onContainer?.(this.container(current), stage);
  }

  /** The file with the finished networks and, if given, that of the segment under way. */
  private container(current: Uint8Array | null): Uint8Array {
    const { options, plan, source, scan } = this;
    const { manifest } = options.pack;
    const meta: ContainerMeta = {
      ...plan.size,
      frames: scan.times_s.length,
      duration_s: source.info.duration_s,
      source: { name: options.sourceName, width: source.info.width, height: source.info.height, bytes: options.sourceBytes, warnings: source.warnings.slice(0, MAX_WARNINGS) },
      times_s: scan.times_s,
      segments: this.segments,
      pack: { id: manifest.id, feature_space: manifest.feature_space },
      encoder: { preset: options.preset, seconds: Math.round(this.seconds() * 10) / 10 },
    };
    const done = current === null ? this.networks : [...this.networks, current];
    const networks = this.segments.map((_, k) => done[k] ?? null);
    return writeContainer({ meta, latents: this.latents, latentDim: this.latentDim, networks });
  }

  private async save(training: Checkpoint['training']): Promise<void> {
    const { checkpointPath } = this.options;
    if (checkpointPath === undefined) return;
    const { scan, latents, networks, neighbour } = this;
    await saveCheckpoint(checkpointPath, this.fingerprint, { scan, latents, networks, training, neighbour, seconds: this.seconds() });
  }

  /** Lets others have the machine, off the clock. */
  private async pause(): Promise<void> {
    const paused = this.clock();
    await this.options.afterStep?.();
    this.paused_s += this.clock() - paused;
  }

  /** Seconds spent, earlier runs included, pauses not. */
  private seconds(): number {
    return this.secondsBefore + this.clock() - this.started - this.paused_s;
  }
}

async function nextFrame(frames: AsyncIterator<Frame>, index: number): Promise<Frame> {
  const next = await frames.next();
  if (next.done === true) throw new RangeError(`the video gave frame ${index} when it was first read, but not the second time: is the file being changed?`);
  return next.value;
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
