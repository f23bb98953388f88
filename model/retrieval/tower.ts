/** The network of both retrieval towers: what stands for a text or a frame, to a unit vector of the space they share. */
import { Graph, ops, type Value } from '../graph/index.js';
import type { TensorFile } from '../pack/index.js';
import { decodeFloat16 } from '../runtime/float16.js';
import { asFloat32, float32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';

export interface TowerShape {
  /** Numbers that go in. */
  readonly input: number;
  /** M: networks side by side; scores are the mean of theirs. */
  readonly members: number;
  /** H: width of each one's hidden layer. */
  readonly hidden: number;
  /** Numbers of a vector, all members together. */
  readonly dim: number;
}

/**
 * For each member v = unit(fc2(gelu(fc1(n))) + skip(n)) with n = (x - mean) * scale: `x` (N, input) to `vectors` (N, dim), the
 * members' vectors one after the other, each divided by sqrt(M), so that the whole is a unit vector and the product of two is the
 * mean of the members' cosines.
 *
 * @param name of the tower: its tensors are `<name>.mean`, `<name>.fc1.weight`, ...
 * @throws SafetensorsError naming the tensor that is missing or of another shape
 */
export function buildTower(name: string, shape: TowerShape, weights: TensorFile): Graph {
  const { input, members, hidden, dim } = shape;
  const own = dim / members;
  const graph = new Graph(`retrieval-${name}`);
  const constant = (part: string, dims: readonly number[]): Value => {
    const key = `${name}.${part}`;
    return graph.initializer(key, { dtype: 'float32', dims, data: decodeFloat16(weights.get(key, dims).data as Uint16Array) });
  };
  const normal = ops.mul(ops.sub(graph.input('x', 'float32', ['N', input]), constant('mean', [input])), constant('scale', [input]));
  // (N, input) x (M, input, H) -> (M, N, H)
  const inner = ops.gelu(ops.add(ops.matmul(normal, constant('fc1.weight', [members, input, hidden])), constant('fc1.bias', [members, 1, hidden])));
  const bent = ops.add(ops.matmul(inner, constant('fc2.weight', [members, hidden, own])), constant('fc2.bias', [members, 1, own]));
  const sum = ops.add(bent, ops.matmul(normal, constant('skip.weight', [members, input, own])));
  const length = ops.sqrt(ops.mul(ops.reduceSum(ops.square(sum), [-1]), members));
  graph.output('vectors', ops.reshape(ops.transpose(ops.div(sum, length), [1, 0, 2]), [0, dim]));
  return graph;
}

/** A tower ready to run. */
export class Tower {
  private constructor(
    private readonly shape: TowerShape,
    private readonly session: Session,
  ) {}

  static async create(name: string, shape: TowerShape, weights: TensorFile, runtime: Runtime): Promise<Tower> {
    return new Tower(shape, await runtime.createSession(buildTower(name, shape, weights).toOnnx()));
  }

  /** Rows (N, input) to unit vectors (N, dim). */
  async vectors(rows: Float32Array): Promise<Float32Array> {
    const { input, dim } = this.shape;
    const count = rows.length / input;
    if (!Number.isInteger(count)) throw new RangeError(`the tower takes (N, ${input}); ${rows.length} numbers are not a whole number of rows`);
    const vectors = new Float32Array(count * dim);
    for (let start = 0; start < count; start += ROWS_PER_RUN) {
      const end = Math.min(count, start + ROWS_PER_RUN);
      const outputs = await this.session.run({ x: float32(rows.subarray(start * input, end * input), [end - start, input]) });
      vectors.set(asFloat32(outputs['vectors'] as HostTensor), start * dim);
    }
    return vectors;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/** Bounds the memory of a run: 18,000 frames at once would need 150 MB for the hidden layer. */
const ROWS_PER_RUN = 1024;
