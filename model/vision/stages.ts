/**
 * Networks too large for one model file. ONNX is protobuf, which ends at 2 GiB, and while a session is made its weights are in
 * memory three times; so a network is a list of steps, and steps share a graph only as long as their weights stay small.
 */
import { Graph, type Value } from '../graph/index.js';
import type { TensorFile } from '../pack/index.js';
import { asFloat32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { storedWeights, type WeightSource } from './layers.js';

/** One tensor in, one out. */
export interface Step {
  /** About how many weights it has. */
  readonly elements: number;
  apply(x: Value, weights: WeightSource): Value;
}

/** Weights of one graph: half a gigabyte. */
const MAX_STAGE_ELEMENTS = 2 ** 27;

const IN = 'in';
const OUT = 'out';

/** Steps that follow each other, in groups of at most `most` weights (one step at least). */
export function groupSteps(steps: readonly Step[], most = MAX_STAGE_ELEMENTS): Step[][] {
  const groups: Step[][] = [];
  let held = Infinity;
  for (const step of steps) {
    if (held + step.elements > most) {
      groups.push([]);
      held = 0;
    }
    (groups.at(-1) as Step[]).push(step);
    held += step.elements;
  }
  return groups;
}

export class StagedNetwork {
  private constructor(
    private readonly sessions: readonly Session[],
    /** Sizes of the result after the batch's. */
    readonly outputDims: readonly number[],
  ) {}

  /**
   * @param input type and shape of what goes in, its first size the batch's name
   * @throws TensorFileError naming the tensor that is missing or has another shape
   */
  static async load(
    name: string,
    steps: readonly Step[],
    input: Pick<Value, 'dtype' | 'dims'>,
    tensors: TensorFile,
    runtime: Runtime,
    options: { readonly most?: number; readonly signal?: AbortSignal } = {},
  ): Promise<StagedNetwork> {
    const sessions: Session[] = [];
    let next = input;
    try {
      for (const [index, group] of groupSteps(steps, options.most).entries()) {
        options.signal?.throwIfAborted();
        const graph = new Graph(`${name}-${index}`);
        const weights = storedWeights(graph, tensors);
        const result = group.reduce((x, step) => step.apply(x, weights), graph.input(IN, next.dtype, next.dims));
        graph.output(OUT, result);
        sessions.push(await runtime.createSession(graph.toOnnx()));
        next = result;
      }
    } catch (error) {
      await Promise.all(sessions.map((session) => session.release()));
      throw error;
    }
    return new StagedNetwork(sessions, next.dims.slice(1) as number[]);
  }

  async run(input: HostTensor): Promise<Float32Array> {
    let x = input;
    for (const session of this.sessions) x = (await session.run({ [IN]: x }, [OUT]))[OUT] as HostTensor;
    return asFloat32(x);
  }

  async release(): Promise<void> {
    await Promise.all(this.sessions.map((session) => session.release()));
  }
}
