/** One segment's network trained from random numbers, with checkpoints and the containers that get sharper on the way: the preset `paper`. */
import { encodeNetwork, type JsonObject } from '../container/index.js';
import type { Runtime } from '../runtime/types.js';
import type { TrainingCheckpoint } from './checkpoint.node.js';
import { patchGrid } from './config.js';
import { enlargeTensors, type EnlargeFilters } from './enlarge.js';
import type { PatchStore } from './patches.js';
import type { TrainingPlan } from './plan.js';
import { Trainer } from './trainer.js';

/** Frames of one training step. */
const STEP_FRAMES = 8;
/** Seconds of training between training states saved to disk. */
const CHECKPOINT_SECONDS = 10;
/** Seconds of a segment's training after which the first and each further sharper container is written; intervals double from here. */
const FIRST_CONTAINER_SECONDS = 6;
const SEED = 1;

export interface SegmentTask {
  readonly plan: TrainingPlan;
  readonly patches: PatchStore;
  /** (T, D) */
  readonly targets: Float32Array;
  readonly lambda: number;
  /** Where the latents start at random: what from. */
  readonly latentSeed: string | null;
  readonly resumed: TrainingCheckpoint | null;
}

/** What a training asks of the encoding it is a part of. */
export interface TrainingHost {
  readonly signal: AbortSignal | undefined;
  /** Seconds of the whole encoding. */
  seconds(): number;
  /** Seconds that this segment may take. */
  readonly budget: number;
  /** After each step. */
  afterStep(psnr_db: number): Promise<void>;
  save(training: TrainingCheckpoint): Promise<void>;
  sharper(network: Uint8Array, latents: Float32Array): Promise<void>;
}

export class SegmentTrainer {
  private constructor(private readonly trainer: Trainer, private readonly task: SegmentTask) {}

  static async create(runtime: Runtime, task: SegmentTask): Promise<SegmentTrainer> {
    const { plan, patches, targets, lambda, latentSeed, resumed } = task;
    const { config } = patches;
    const { rows, columns } = patchGrid(config);
    const { learningRate, share } = plan.pace;
    const trainer = await Trainer.create(runtime, config, patches, targets, {
      shape: { frames: Math.min(STEP_FRAMES, config.frames), rows: Math.max(1, Math.round(rows * share)), columns: Math.max(1, Math.round(columns * share)) },
      learningRate,
      lambda,
      ...(latentSeed === null ? {} : { latentSeed }),
      seed: SEED,
    }, resumed?.state ?? null);
    return new SegmentTrainer(trainer, task);
  }

  /** Trains until the budget is spent. @throws the signal's reason, after a checkpoint */
  async train(host: TrainingHost): Promise<void> {
    const { trainer } = this;
    const before = this.task.resumed?.seconds ?? 0;
    const began = host.seconds();
    const trained = (): number => before + host.seconds() - began;
    const { budget } = host;
    let [saved, written, interval] = [trained(), trained(), FIRST_CONTAINER_SECONDS];
    while (trained() < budget) {
      if (host.signal?.aborted === true) {
        await host.save({ state: trainer.state, seconds: trained() });
        host.signal.throwIfAborted();
      }
      await trainer.step(trained() / budget);
      await host.afterStep(-10 * Math.log10(trainer.mse));
      if (trained() - saved >= CHECKPOINT_SECONDS) {
        await host.save({ state: trainer.state, seconds: trained() });
        saved = trained();
      }
      if (trained() - written >= interval && trained() < budget - interval / 2) {
        await host.sharper(this.network(), trainer.latents());
        written = trained();
        interval *= 2;
      }
    }
  }

  latents(): Float32Array {
    return this.trainer.latents();
  }

  /** As the container stores it. */
  network(filters: EnlargeFilters | null = null): Uint8Array {
    const { trainer, task } = this;
    const tensors = new Map([...trainer.tensors(), ...(filters === null ? [] : enlargeTensors(filters))]);
    return encodeNetwork({ config: trainer.config as unknown as JsonObject, tensors }, { coder: task.plan.coder });
  }

  release(): Promise<void> {
    return this.trainer.release();
  }
}
