/** Trains a pack's projector and the adapter beside its language model; the language model itself stays as it is. */
import { adamRate } from '../../model/graph/index.js';
import { transposed } from '../../model/language/linear.js';
import { dequantize } from '../../model/language/matrix.js';
import { embed, LINEARS, type Adapter, type DecoderWeights, type LinearName } from '../../model/language/weights.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { encodeFloat16 } from '../../model/runtime/float16.js';
import { asFloat32, float32, scalar, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import { projectorShapes, projectorTensors } from '../initialise.js';
import type { ProjectorShape } from '../network.js';
import { Batcher, shuffled, type BatchPlan, type Example } from './batch.js';
import { ADAM, adapterStep } from './step.js';

/** Learning rate at its height, for adapter and projector alike; the recipe's. */
const RATE = 8e-4;
/** Share of the time in which the rate rises to that; then it falls along half a cosine. */
const WARM_UP = 0.05;
const WEIGHT_DECAY = 0.01;
/** Multiplied into b, so that the adapter moves as fast as the projector; the recipe's. */
const ADAPTER_SCALE = 2;
/** Share of an adapter's ranks that a step leaves out. */
const DROPOUT = 0.1;

export interface TrainerStart {
  /** Projector's tensors by name, float32. */
  readonly projector: ReadonlyMap<string, Float32Array>;
  /** Adapters by layer and name; absent: fresh ones, which change nothing yet. */
  readonly adapters?: (layer: number, name: LinearName) => Adapter | null;
}

export class ProjectorTrainer {
  /** Steps done. */
  steps = 0;

  private constructor(
    private readonly plan: BatchPlan,
    private readonly batcher: Batcher,
    private readonly projectorShape: ProjectorShape,
    private readonly layers: number,
    private readonly training: Session,
    private readonly scoring: Session,
    /** Weights, and the state under its names. */
    private readonly feeds: Record<string, HostTensor>,
    /** Where the next state is written. */
    private readonly fetches: Record<string, HostTensor | null>,
    private readonly seed: string,
  ) {}

  /** @param weights of the language model without its adapter */
  static async create(weights: DecoderWeights, plan: BatchPlan, projectorShape: ProjectorShape, start: TrainerStart, runtime: Runtime, seed: string): Promise<ProjectorTrainer> {
    const { config } = weights;
    const graph = adapterStep(plan.shape);
    const feeds: Record<string, HostTensor> = { head: float32(dequantize(weights.head ?? weights.embedding), [config.vocab, config.hidden]), norm: float32(weights.norm, [config.hidden]) };
    for (const [layer, { attentionNorm, mlpNorm, linears }] of weights.layers.entries()) {
      feeds[`${layer}.attention_norm`] = float32(attentionNorm, [config.hidden]);
      feeds[`${layer}.mlp_norm`] = float32(mlpNorm, [config.hidden]);
      for (const name of LINEARS) {
        const { base } = linears[name];
        feeds[`${layer}.${name}.weight`] = float32(transposed(dequantize(base), base.out, base.in), [base.in, base.out]);
        const { a, b } = startOf(start.adapters?.(layer, name) ?? null, base.in, base.out, plan.shape.rank, `${seed} ${layer}.${name}`);
        feeds[`${layer}.${name}.a`] = float32(a, [base.in, plan.shape.rank]);
        feeds[`${layer}.${name}.b`] = float32(b, [plan.shape.rank, base.out]);
      }
    }
    for (const [name, dims] of Object.entries(projectorShapes(projectorShape))) feeds[`projector.${name}`] = float32((start.projector.get(name) as Float32Array).slice(), dims);
    // Written beside the old state, not over it: the backward pass may still read what an update has computed.
    const fetches: Record<string, HostTensor | null> = { loss: null };
    for (const { name, dims } of graph.parameters) {
      const shape = dims as number[];
      for (const state of [name, `${name}.first`, `${name}.second`]) {
        feeds[state] ??= float32(new Float32Array(sizeOf(shape)), shape);
        fetches[`${state}_out`] = float32(new Float32Array(sizeOf(shape)), shape);
      }
    }
    const batcher = new Batcher(plan, config, (ids) => embed(weights.embedding, ids));
    const [training, scoring] = [await runtime.createSession(graph.toOnnx()), await runtime.createSession(adapterStep(plan.shape, false).toOnnx())];
    return new ProjectorTrainer(plan, batcher, projectorShape, config.layers, training, scoring, feeds, fetches, seed);
  }

  /**
   * One step on a few of `examples`, chosen by the step's number.
   * @param progress share of the whole training that is done, which sets the learning rate
   * @returns mean loss of a token, in nats
   */
  async step(examples: readonly Example[], progress: number): Promise<number> {
    const random = seededRandom(`${this.seed} step ${this.steps}`);
    const { batch } = this.plan.shape;
    // Every example comes once before any comes again.
    const passSize = Math.max(1, Math.floor(examples.length / batch));
    const pass = shuffled(examples, seededRandom(`${this.seed} pass ${Math.floor(this.steps / passSize)}`));
    const first = (this.steps % passSize) * batch;
    const { feeds } = this.batcher.batch(pass.slice(first, first + batch), random);
    const rate = RATE * Math.min(1, progress / WARM_UP) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
    const results = await this.training.run(
      {
        ...this.feeds,
        ...feeds,
        ...this.kept(() => (random() < DROPOUT ? 0 : ADAPTER_SCALE / (1 - DROPOUT))),
        rate: scalar(adamRate(Math.max(rate, RATE * 1e-3), this.steps + 1, ADAM)),
        decay: scalar(1 - WEIGHT_DECAY * rate),
      },
      this.fetches,
    );
    for (const key of Object.keys(this.fetches)) {
      if (key === 'loss') continue;
      const name = key.replace(/_out$/, '');
      [this.feeds[name], this.fetches[key]] = [this.fetches[key] as HostTensor, this.feeds[name] as HostTensor];
    }
    this.steps++;
    return Number(results['loss']?.data[0]);
  }

  /** Mean loss of a token over `examples`, in nats, without dropout. @throws the signal's reason between runs once it is aborted */
  async loss(examples: readonly Example[], signal?: AbortSignal): Promise<number> {
    const { batch } = this.plan.shape;
    let [sum, count] = [0, 0];
    for (let first = 0; first < examples.length; first += batch) {
      signal?.throwIfAborted();
      const { feeds, tokens } = this.batcher.batch(examples.slice(first, first + batch), () => 0.999);
      const { loss } = await this.scoring.run({ ...this.feeds, ...feeds, ...this.kept(() => ADAPTER_SCALE) }, ['loss']);
      sum += tokens * Number(loss?.data[0]);
      count += tokens;
    }
    return sum / count;
  }

  /** Everything a later run needs to go on: parameters and moments. */
  state(): Map<string, HostTensor> {
    return new Map(this.stateNames().map((name) => [name, this.feeds[name] as HostTensor]));
  }

  /** @param get a tensor of a saved state, of the given shape */
  restore(get: (name: string, dims: readonly number[]) => HostTensor, steps: number): void {
    for (const name of this.stateNames()) {
      const here = this.feeds[name] as HostTensor;
      this.feeds[name] = float32(asFloat32(get(name, here.dims)).slice(), here.dims);
    }
    this.steps = steps;
  }

  /** The projector and the adapter as the files of a pack. */
  files(): { projector: Map<string, HostTensor>; adapter: Map<string, HostTensor> } {
    const values = new Map(Object.keys(projectorShapes(this.projectorShape)).map((name) => [name, asFloat32(this.feeds[`projector.${name}`] as HostTensor)]));
    const adapter = new Map<string, HostTensor>();
    for (let layer = 0; layer < this.layers; layer++) {
      for (const name of LINEARS) {
        const [a, b] = [this.feeds[`${layer}.${name}.a`] as HostTensor, this.feeds[`${layer}.${name}.b`] as HostTensor];
        adapter.set(`layers.${layer}.${name}.a`, { dtype: 'float16', dims: a.dims, data: encodeFloat16(asFloat32(a)) });
        adapter.set(`layers.${layer}.${name}.b`, { dtype: 'float16', dims: b.dims, data: encodeFloat16(asFloat32(b).map((value) => ADAPTER_SCALE * value)) });
      }
    }
    return { projector: projectorTensors(this.projectorShape, values), adapter };
  }

  async release(): Promise<void> {
    await this.training.release();
    await this.scoring.release();
  }

  private stateNames(): string[] {
    return Object.keys(this.fetches).flatMap((key) => (key === 'loss' ? [] : [key.replace(/_out$/, '')]));
  }

  /** What each rank of each adapter counts, (rank, 1). */
  private kept(scale: () => number): Record<string, HostTensor> {
    const { rank } = this.plan.shape;
    const entries: [string, HostTensor][] = [];
    for (let layer = 0; layer < this.layers; layer++) {
      for (const name of LINEARS) entries.push([`${layer}.${name}.kept`, float32(Float32Array.from({ length: rank }, scale), [rank, 1])]);
    }
    return Object.fromEntries(entries);
  }
}

/** An adapter to go on from, its scale taken out of b again, or one that changes nothing yet: a random, b zero. */
function startOf(adapter: Adapter | null, columns: number, out: number, rank: number, seed: string): { a: Float32Array; b: Float32Array } {
  if (adapter !== null) return { a: adapter.a.slice(), b: adapter.b.map((value) => value / ADAPTER_SCALE) };
  const random = seededRandom(seed);
  return { a: Float32Array.from({ length: columns * rank }, () => normal(random) / Math.sqrt(columns)), b: new Float32Array(rank * out) };
}
