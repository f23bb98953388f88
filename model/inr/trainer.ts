/** Trains one segment: state in place, random patches each step, a learning rate that follows the progress. */
import { adamRate } from '../graph/index.js';
import type { ParameterLayout } from '../graph/index.js';
import { prepareInPlace, runInPlace } from '../runtime/in-place.js';
import { seededRandom } from '../runtime/random.js';
import { asFloat32, float32, int64, scalar, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { patchGrid, type InrConfig } from './config.js';
import { initialiseParameters, latentStatistics, randomLatents } from './initialise.js';
import { fixedSpecs, LATENT_GAIN, LATENT_MEAN, MEAN_FRAME, parameterSpecs } from './network.js';
import type { PatchStore } from './patches.js';
import { LATENTS, meanPatchesGraph, STATES, stateOutput, trainingLayout, trainingStep, type StepShape } from './training-step.js';

export interface TrainingOptions {
  readonly shape: StepShape;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Weight of the alignment in the loss (eq. 6). */
  readonly lambda: number;
  readonly seed: number;
  /** The latents start at random from this seed, with a small deviation, as in the paper. Default: at the features they are aligned to. */
  readonly latentSeed?: string;
}

/** What a checkpoint must hold to go on: the numbers of trainingLayout, Adam's two moments of each, and the number of steps done. */
export interface TrainingState {
  readonly parameters: Float32Array;
  readonly moments: Float32Array;
  step: number;
}

/** Part of the schedule spent raising the learning rate from zero. */
const WARM_UP = 0.02;
export class Trainer {
  readonly state: TrainingState;
  /** Mean squared error and mean cosine, running averages over about 50 steps. */
  mse = NaN;
  cosine = NaN;
  readonly fixed: ReadonlyMap<string, HostTensor>;
  /** The parts of the state by name, views of `state`. */
  private readonly parts: ReadonlyMap<string, HostTensor>;
  /** Made when the first step comes. */
  private session: Session | null = null;

  private constructor(
    private readonly runtime: Runtime,
    readonly config: InrConfig,
    readonly layout: ParameterLayout,
    private readonly options: TrainingOptions,
    private readonly constants: Readonly<Record<string, HostTensor>>,
    fixed: Readonly<Record<string, Float32Array>>,
    latents: Float32Array,
    resume: TrainingState | null,
  ) {
    const { size } = layout;
    this.state = resume ?? { parameters: new Float32Array(size), moments: new Float32Array(2 * size), step: 0 };
    const { parameters, moments } = this.state;
    const vectors = [parameters, moments.subarray(0, size), moments.subarray(size)];
    this.parts = new Map(STATES.map((name, i) => [name, float32(vectors[i] as Float32Array, [size])]));
    this.fixed = new Map(fixedSpecs(config).map(({ name, dims }) => [name, float32(fixed[name] as Float32Array, dims)]));
    if (resume === null) {
      initialiseParameters(config, layout, parameters, options.seed);
      layout.view(parameters, LATENTS).set(latents);
    }
  }

  /**
   * `targets` (T, D): the features the latents are aligned to, and start from unless the options say otherwise. `resume`: where an earlier training of the
   * same network stopped.
   */
  static async create(
    runtime: Runtime, config: InrConfig, patches: PatchStore, targets: Float32Array, options: TrainingOptions,
    resume: TrainingState | null = null,
  ): Promise<Trainer> {
    const layout = trainingLayout(config);
    if (resume !== null && (resume.parameters.length !== layout.size || resume.moments.length !== 2 * layout.size)) {
      throw new Error('the checkpoint belongs to another network; delete it to start again');
    }
    const { rows, columns } = patchGrid(config);
    const meanFrame = patches.meanFrame();
    const latents = options.latentSeed === undefined ? targets : randomLatents(config.frames, config.latentDim, options.latentSeed);
    const { mean, gain } = latentStatistics(latents, config.latentDim);
    const constants: Readonly<Record<string, HostTensor>> = {
      video: { dtype: 'uint8', dims: [config.frames, rows, columns, config.patch ** 2 * 3], data: patches.data },
      meanPatches: await interpolated(runtime, config, meanFrame),
      targets: float32(targets, [config.frames, config.latentDim]),
    };
    return new Trainer(runtime, config, layout, options, constants, { [LATENT_MEAN]: mean, [LATENT_GAIN]: Float32Array.of(gain), [MEAN_FRAME]: meanFrame }, latents, resume);
  }

  /** One step. `progress` in [0, 1] is the part of the training done, which sets the learning rate. */
  async step(progress: number): Promise<void> {
    const { config, state, options } = this;
    const grid = patchGrid(config);
    state.step += 1;
    // Seeded by the step, so that training goes on from a checkpoint as if it had not stopped.
    const random = seededRandom(`${options.seed}/${state.step}`);
    const [mse, cosine] = [scalar(0), scalar(0)];
    this.session ??= await this.runtime.createSession(prepareInPlace(trainingStep(config, options.shape)));
    await runInPlace(
      this.session,
      {
        ...Object.fromEntries(this.parts),
        ...Object.fromEntries([...this.fixed].filter(([name]) => name !== MEAN_FRAME)),
        ...this.constants,
        rate: scalar(adamRate(options.learningRate * schedule(progress), state.step)),
        lambda: scalar(options.lambda),
        frameIndex: pick(random, config.frames, options.shape.frames),
        rowIndex: pick(random, grid.rows, options.shape.rows),
        columnIndex: pick(random, grid.columns, options.shape.columns),
      },
      // Written in place: the graph reads a state for the last time in the node that writes it.
      { ...Object.fromEntries([...this.parts].map(([name, tensor]) => [stateOutput(name), tensor])), mse, cosine },
    );
    this.mse = average(this.mse, mse);
    this.cosine = average(this.cosine, cosine);
  }

  /** The latent dictionary Z (T, D) as it is now, a copy. */
  latents(): Float32Array {
    return this.layout.view(this.state.parameters, LATENTS).slice();
  }

  /** The network's tensors as they are now, copies, by name: what a container stores beside the latents. */
  tensors(): Map<string, { dims: readonly number[]; data: Float32Array }> {
    const trained = parameterSpecs(this.config).map(({ name, dims }) => ({ name, dims, data: this.layout.view(this.state.parameters, name).slice() }));
    const fixed = fixedSpecs(this.config).map(({ name, dims }) => ({ name, dims, data: asFloat32(this.fixed.get(name) as HostTensor).slice() }));
    return new Map([...fixed, ...trained].map(({ name, dims, data }) => [name, { dims, data }]));
  }

  async release(): Promise<void> {
    await this.session?.release();
    this.session = null;
  }
}

/** The mean frame (3, rows, columns) at every patch's pixels: (rows, columns, p * p * 3). */
async function interpolated(runtime: Runtime, config: InrConfig, meanFrame: Float32Array): Promise<HostTensor> {
  const { rows, columns } = patchGrid(config);
  const session = await runtime.createSession(meanPatchesGraph(config));
  const { patches } = await session.run({ [MEAN_FRAME]: float32(meanFrame, [3, rows, columns]) });
  await session.release();
  return patches as HostTensor;
}

/** A running average over about 50 steps, started by its first value. */
function average(old: number, latest: HostTensor): number {
  const value = asFloat32(latest)[0] as number;
  return Number.isNaN(old) ? value : old + (value - old) * 0.02;
}

/** `wanted` different indices below `count`, sorted, at random. */
function pick(random: () => number, count: number, wanted: number): HostTensor {
  const chosen = new Set<number>();
  while (chosen.size < wanted) chosen.add(Math.floor(random() * count));
  return int64([...chosen].sort((a, b) => a - b));
}

/** Linear warm-up, then a cosine down to 1 % of the peak. */
export function schedule(progress: number): number {
  if (progress < WARM_UP) return progress / WARM_UP + 1e-3;
  const cosine = 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (progress - WARM_UP) / (1 - WARM_UP))));
  return 0.01 + 0.99 * cosine;
}
