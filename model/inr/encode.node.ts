/**
 * A video to a `.linr` file: a glance that makes it askable, a scan of all frames, then segment after segment, in closed form or trained;
 * at last the quality measured on the file read back. Memory holds one segment's pixels at a time.
 */
import { MAX_WARNINGS, writeContainer, type ContainerMeta, type Mixing } from '../container/index.js';
import type { Frame, FrameSource } from '../frames/index.js';
import type { ModelPack } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { VisionTower } from '../vision/index.js';
import { loadCheckpoint, removeCheckpoint, saveCheckpoint, type Checkpoint, type TrainingCheckpoint } from './checkpoint.node.js';
import { closedForm, SegmentFrames } from './closed-form.js';
import { LinrDecoder } from './decoder.js';
import { enlargeTensors, type EnlargeSamples } from './enlarge.js';
import { fitFilters, LargeFrames } from './large-frames.node.js';
import { PatchStore } from './patches.js';
import { MAX_FRAMES, planEncoding, type Plan, type PlanOptions, type TrainingPlan } from './plan.js';
import { paced, type EncodeProgress } from './progress.js';
import { bitsPerPixel, psnr } from './quality.js';
import { glance, scanVideo, type Scan } from './scan.node.js';
import { planSegments } from './segments.js';
import { codeSegment, segmentNetwork, STEPS, type RateGoal } from './segment-coder.js';
import { SegmentTrainer, type TrainingHost } from './segment-trainer.node.js';

export type LatentStart = 'features' | 'random';

export interface EncodeOptions extends PlanOptions {
  readonly pack: ModelPack;
  readonly runtime: Runtime;
  /** The name the container keeps of its source. */
  readonly sourceName: string;
  /** Bytes of the source file; null where unknown. */
  readonly sourceBytes: number | null;
  /** For the preset paper: weight of the alignment in the loss (eq. 6). Default: 0.01, the paper's. */
  readonly lambda?: number;
  /** For the preset paper: whether latents start at the features they are aligned to, or at random, as in the paper. Default: at the features. */
  readonly latentStart?: LatentStart;
  /** A clock in seconds that budgets of time are counted by. Default: the time that passes. */
  readonly clock?: () => number;
  /** Aborting throws the signal's reason after the step under way; a checkpoint is written first if there is a path. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EncodeProgress) => void;
  /**
   * Called after each step of the encoding's numeric work, and waited for. The wait does not count as time of the encoding: so whoever shares
   * the machine can make it stand aside.
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
}

/** Weight of the alignment in the loss (eq. 6), the paper's. */
export const LAMBDA = 0.01;
/** Frames a chat looks at: the first container has these. */
const GLANCE_FRAMES = 8;
/** Seconds kept back from training for writing, reading back and measuring, as a share of the budget. */
const FINISH_SHARE = 0.04;
/** Of the bits a pixel that are asked for, the pictures get this share at least, whatever the latents take. */
const LEAST_SHARE = 0.1;

/**
 * Encodes `source`.
 *
 * @returns figures measured on the final container, read back from its bytes.
 * @throws RangeError for options out of range, FrameSourceError for what cannot be read, the signal's reason when aborted.
 */
export async function encodeVideo(source: FrameSource, options: EncodeOptions): Promise<EncodeReport> {
  const encoding = new Encoding(source, options, planEncoding(source.info, options));
  await encoding.look();
  await encoding.encodeSegments();
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
  /** (T, D): trained where a trained segment is finished. */
  private latents = new Float32Array(0);
  /** Of the finished segments. */
  private readonly networks: Uint8Array[] = [];
  private readonly mixing: (Mixing | null)[] = [];
  /** When all of a training should be done, in seconds of `seconds()`. */
  private deadline = 0;
  private readonly report: (progress: EncodeProgress) => void;

  constructor(
    private readonly source: FrameSource,
    private readonly options: EncodeOptions,
    private readonly plan: Plan,
  ) {
    this.clock = options.clock ?? ((): number => performance.now() / 1000);
    this.started = this.clock();
    this.report = paced(options.onProgress);
    const { preset, sourceName, sourceBytes, pack, targetBpp, targetPsnr, lambda, latentStart } = options;
    const { method, size } = plan;
    this.fingerprint = JSON.stringify({
      preset, size, targetBpp, targetPsnr, source: sourceName, bytes: sourceBytes, pack: pack.manifest.id,
      method: 'goal' in method ? method : method.config(2, 1), lambda, latentStart,
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
      this.mixing.push(...this.resumed.mixing);
      this.secondsBefore = this.resumed.seconds;
    }
    const frames = this.scan.times_s.length;
    this.latentDim = this.latents.length / frames;
    this.segments = planSegments(this.scan.shots, frames, plan.segmentFrames);
    if ('seconds' in plan.method) {
      const budget = plan.method.seconds(frames);
      // Reading takes its part of the budget; even where it is slow, half of it goes into training.
      this.deadline = Math.max(budget * (1 - FINISH_SHARE), this.seconds() + (this.resumed === null ? budget / 2 : 0));
    }
    if (this.resumed !== null) return;
    await this.emit('latents', null);
    await this.save(null);
  }

  private async lookAnew(tower: VisionTower): Promise<Scan> {
    const { source, options } = this;
    const common = { size: tower.frameSize(source.info), ...this.cancel() };
    const { frames: known } = source.info;
    if (known === null || known > GLANCE_FRAMES) {
      const first = await glance(source, tower, GLANCE_FRAMES, {
        ...common, limit: GLANCE_FRAMES, onFrame: (done) => this.report({ stage: 'frames', done, total: GLANCE_FRAMES, unit: 'frames' }),
      });
      this.scan = { ...first, shots: [0] };
      this.latents = first.targets.slice();
      this.latentDim = tower.latentDim;
      this.segments = [first.times_s.length];
      await this.emit('latents', null);
    }
    const began = performance.now();
    const total = Math.min(MAX_FRAMES, known ?? MAX_FRAMES);
    const report = paced(options.onProgress);
    return await scanVideo(source, tower, {
      ...common,
      limit: MAX_FRAMES,
      onFrame: (done) => report({ stage: 'features', done, total: Math.max(total, done), unit: 'frames', frames_per_s: rate(done, began) }),
    });
  }

  /** Encodes the segments that are not finished, one after another, while the video is read a second time. */
  async encodeSegments(): Promise<void> {
    const { plan } = this;
    const frames = this.source.frames({ size: plan.size, limit: MAX_FRAMES, ...this.cancel() })[Symbol.asyncIterator]();
    const large = new LargeFrames(this.source, plan, this.scan.times_s, this.cancel());
    try {
      let first = 0;
      for (const [k, count] of this.segments.entries()) {
        if (k < this.networks.length) for (let t = 0; t < count; t++) await nextFrame(frames, first + t);
        else await this.encodeSegment(first, count, frames, await large.samples(first, count));
        first += count;
      }
    } finally {
      await frames.return?.();
      await large.close();
    }
  }

  private async encodeSegment(first: number, count: number, frames: AsyncIterator<Frame>, samples: ReadonlyMap<number, EnlargeSamples>): Promise<void> {
    const { method } = this.plan;
    if ('goal' in method) await this.codeSegment(first, count, frames, samples, method);
    else await this.trainSegment(first, count, frames, samples, method);
    if (this.networks.length < this.segments.length) {
      await this.save(null);
      await this.emit('checkpoint', null);
    }
  }

  private async codeSegment(
    first: number, count: number, frames: AsyncIterator<Frame>, samples: ReadonlyMap<number, EnlargeSamples>, { goal, patch }: Extract<Plan['method'], { goal: unknown }>,
  ): Promise<void> {
    const { options, plan, latentDim } = this;
    const pixels = new SegmentFrames({ ...plan.size, frames: count, patch });
    for (let t = 0; t < count; t++) pixels.set(t, (await nextFrame(frames, first + t)).data);
    const pause = async (): Promise<void> => {
      await this.pause();
      if (options.signal?.aborted !== true) return;
      await this.save(null);
      options.signal.throwIfAborted();
    };
    const form = await closedForm(pixels, options.runtime, goal.kind === 'step' ? goal.step / 2 : STEPS.least, pause);
    const coded = await codeSegment(form, latentDim, this.segmentGoal(goal, count), pause);
    const network = segmentNetwork(coded);
    this.mixing.push(coded.mixing);
    const filters = samples.size === 0 ? null : await fitFilters(this.container(network), samples, options.runtime);
    this.networks.push(filters === null ? network : segmentNetwork(coded, enlargeTensors(filters)));
    this.report({ stage: 'training', done: first + count, total: this.scan.times_s.length, unit: 'frames', psnr_db: -10 * Math.log10(coded.mse) });
  }

  /** The goal of a segment: of a size, what the segment's share of everything but its pictures leaves. */
  private segmentGoal(goal: RateGoal, count: number): RateGoal {
    if (goal.kind !== 'bpp') return goal;
    const { width, height } = this.plan.size;
    const total = this.scan.times_s.length;
    const head = this.container(null).length - this.networks.reduce((sum, bytes) => sum + bytes.length, 0);
    const left = goal.bpp - bitsPerPixel((head * count) / total, count, width, height);
    return { kind: 'bpp', bpp: Math.max(left, goal.bpp * LEAST_SHARE) };
  }

  private async trainSegment(
    first: number, count: number, frames: AsyncIterator<Frame>, samples: ReadonlyMap<number, EnlargeSamples>, method: TrainingPlan,
  ): Promise<void> {
    const { latentDim: dim, options } = this;
    const patches = new PatchStore(method.config(count, dim));
    for (let t = 0; t < count; t++) patches.set(t, (await nextFrame(frames, first + t)).data);
    const resumed = this.resumed?.training ?? null;
    this.resumed = null;
    const trainer = await SegmentTrainer.create(options.runtime, {
      plan: method,
      patches,
      targets: this.scan.targets.slice(first * dim, (first + count) * dim),
      lambda: options.lambda ?? LAMBDA,
      // Latents of two segments, or of two videos, that start alike would look related.
      latentSeed: options.latentStart === 'random' ? `${options.sourceName}/${first}` : null,
      resumed,
    });
    this.mixing.push(null);
    try {
      await trainer.train(this.trainingHost(first, count, resumed?.seconds ?? 0));
      this.latents.set(trainer.latents(), first * dim);
      const filters = samples.size === 0 ? null : await fitFilters(this.container(trainer.network()), samples, options.runtime);
      this.networks.push(trainer.network(filters));
    } finally {
      await trainer.release();
    }
  }

  private trainingHost(first: number, count: number, before: number): TrainingHost {
    const began = this.seconds();
    const budget = Math.max(1, before + ((this.deadline - began) * count) / (this.scan.times_s.length - first));
    const total = Math.max(this.deadline, began + budget - before);
    return {
      signal: this.options.signal,
      budget,
      seconds: () => this.seconds(),
      afterStep: async (psnr_db) => {
        await this.pause();
        const now = this.seconds();
        const eta_s = Math.max(0, total - now) + total * FINISH_SHARE;
        this.report({ stage: 'training', done: Math.min(now, total), total, unit: 'seconds', psnr_db, eta_s });
      },
      save: (training) => this.save(training),
      sharper: async (network, latents) => {
        this.latents.set(latents, first * this.latentDim);
        await this.emit('checkpoint', network);
      },
    };
  }

  /** Writes the file, reads it back and measures it against the video, read a third time. */
  async finish(): Promise<EncodeReport> {
    const { options, plan } = this;
    const bytes = this.container(null);
    const total = this.scan.times_s.length;
    const decoder = new LinrDecoder(bytes, options.runtime);
    let sum = 0;
    let t = 0;
    try {
      for await (const frame of this.source.frames({ size: plan.size, limit: MAX_FRAMES })) {
        options.signal?.throwIfAborted();
        sum += psnr((await decoder.frame(t)).data, frame.data);
        this.report({ stage: 'writing', done: ++t, total, unit: 'frames' });
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
    };
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
    const mixing = networks.map((network, k) => (network === null ? null : (this.mixing[k] ?? null)));
    return writeContainer({ meta, latents: this.latents, latentDim: this.latentDim, mixing, networks });
  }

  private async save(training: TrainingCheckpoint | null): Promise<void> {
    const { checkpointPath } = this.options;
    if (checkpointPath === undefined) return;
    const { scan, latents, networks, mixing } = this;
    await saveCheckpoint(checkpointPath, this.fingerprint, { scan, latents, networks, mixing: mixing.slice(0, networks.length), training, seconds: this.seconds() });
  }

  private cancel(): { readonly signal?: AbortSignal } {
    const { signal } = this.options;
    return signal === undefined ? {} : { signal };
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
