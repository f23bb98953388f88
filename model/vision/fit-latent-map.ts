/**
 * A latent map fitted to frames: principal components of their features, by the randomised range finder with power iterations
 * of Halko, Martinsson and Tropp (2011, algorithms 4.4 and 5.1). For wide features (32 tokens of 768 numbers) neither their
 * covariance nor its exact decomposition is affordable. The large products run in ONNX Runtime.
 */
import { Graph, ops } from '../graph/index.js';
import { encodeFloat16 } from '../runtime/float16.js';
import { normal, seededRandom } from '../runtime/random.js';
import { asFloat32, float32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { orthonormalise, symmetricEigen } from './linear-algebra.js';

export interface FitOptions {
  /** Default 0. The same seed and features give the same map. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Products done, of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface FittedMap {
  /** What LatentMap.from reads, for latent-map.safetensors. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Share of the features' variance that the latents keep. */
  readonly kept: number;
}

/** Further directions than are wanted, and rounds over the data: the wanted ones have converged well before. */
const OVERSAMPLING = 64;
const ITERATIONS = 4;

/**
 * Fits mean, components, scale and sigma such that z = components (x - mean) / scale, components orthonormal and the mean of
 * ||z||^2 over the frames D. As many components as features: no rotation, every number is kept as it is.
 *
 * @param features (n, F), one row a frame; of very similar frames few are enough
 * @param dim D
 * @throws RangeError when there are not more frames than components, or the features do not vary in so many directions
 */
export async function fitLatentMap(features: Float32Array, featureSize: number, dim: number, runtime: Runtime, options: FitOptions = {}): Promise<FittedMap> {
  const frames = features.length / featureSize;
  if (!Number.isInteger(frames) || frames < 2) throw new RangeError(`features must be (n, ${featureSize}) of two frames or more; ${features.length} numbers are not`);
  if (dim > featureSize) throw new RangeError(`${dim} latent numbers from ${featureSize} features: there cannot be more`);
  const { mean, centred } = centre(features, featureSize);
  const total = centred.reduce((sum, value) => sum + value * value, 0);
  if (!(total > 0)) throw new RangeError('the features of all frames are the same or not finite; take more and different videos');
  if (dim === featureSize) return identity(mean, centred, frames, total);
  if (frames <= dim) throw new RangeError(`${dim} components need more than ${dim} frames, there are ${frames}`);

  const { components, singular } = await principalComponents(centred, frames, featureSize, dim, runtime, options);
  const held = singular.reduce((sum, value) => sum + value * value, 0);
  const scale = Math.sqrt(held / frames / dim);
  const sigma = Float32Array.from(singular, (value) => value / Math.sqrt(frames) / scale);
  return { tensors: mapTensors(mean, { dtype: 'float16', dims: [dim, featureSize], data: encodeFloat16(components) }, scale, sigma), kept: held / total };
}

function mapTensors(mean: Float32Array, components: HostTensor, scale: number, sigma: Float32Array): ReadonlyMap<string, HostTensor> {
  return new Map([['mean', float32(mean, [mean.length])], ['components', components], ['scale', float32(Float32Array.of(scale), [1])], ['sigma', float32(sigma, [sigma.length])]]);
}

function centre(features: Float32Array, size: number): { mean: Float32Array; centred: Float32Array } {
  const frames = features.length / size;
  const sums = new Float64Array(size);
  for (let at = 0; at < features.length; at++) sums[at % size] = (sums[at % size] as number) + (features[at] as number);
  const mean = Float32Array.from(sums, (sum) => sum / frames);
  return { mean, centred: features.map((value, at) => value - (mean[at % size] as number)) };
}

function identity(mean: Float32Array, centred: Float32Array, frames: number, total: number): FittedMap {
  const size = mean.length;
  const scale = Math.sqrt(total / frames / size);
  const squares = new Float64Array(size);
  centred.forEach((value, at) => (squares[at % size] = (squares[at % size] as number) + value * value));
  const components = new Uint16Array(size * size);
  const one = encodeFloat16(Float32Array.of(1))[0] as number;
  for (let d = 0; d < size; d++) components[d * size + d] = one;
  const sigma = Float32Array.from(squares, (square) => Math.sqrt(square / frames) / scale);
  return { tensors: mapTensors(mean, { dtype: 'float16', dims: [size, size], data: components }, scale, sigma), kept: 1 };
}

/** The first `dim` right singular vectors (D, F) of the centred features (n, F), and their singular values. */
async function principalComponents(
  centred: Float32Array, frames: number, size: number, dim: number, runtime: Runtime, { seed = 0, signal, onProgress }: FitOptions,
): Promise<{ components: Float32Array; singular: Float64Array }> {
  const width = Math.min(dim + OVERSAMPLING, frames, size);
  const products = await Products.open(runtime);
  const all = 2 * ITERATIONS + 4;
  let done = 0;
  const step = (): void => {
    signal?.throwIfAborted();
    onProgress?.(++done, all);
  };
  try {
    const data = float32(centred, [frames, size]);
    const random = seededRandom(seed);
    let directions = float32(Float32Array.from({ length: size * width }, () => normal(random)), [size, width]);
    for (let round = 0; round <= ITERATIONS; round++) {
      const range = asFloat32(await products.plain(data, directions)); // (n, width)
      step();
      orthonormalise(range, frames, width);
      directions = await products.transposed(data, float32(range, [frames, width])); // (F, width)
      step();
    }
    // With Q the range's basis and Z = A^T Q, the eigenvectors V of Z^T Z turn Z into A's right singular vectors.
    const gram = asFloat32(await products.transposed(directions, directions));
    step();
    const { values, vectors } = symmetricEigen(Float64Array.from(gram), width);
    const singular = values.slice(0, dim).map((value) => Math.sqrt(Math.max(0, value)));
    if (!((singular[dim - 1] as number) > 1e-5 * (singular[0] as number))) {
      throw new RangeError(`the features vary in fewer than ${dim} directions; take more and different videos, or fewer latent numbers`);
    }
    const turn = Float32Array.from({ length: width * dim }, (_, at) => (vectors[Math.floor(at / dim) * width + (at % dim)] as number) / (singular[at % dim] as number));
    const columns = asFloat32(await products.plain(directions, float32(turn, [width, dim]))); // (F, D)
    step();
    return { components: signedRows(columns, size, dim), singular };
  } finally {
    await products.release();
  }
}

/** (F, D) to (D, F), a row's largest number positive: a component's sign is arbitrary, so it is fixed. */
function signedRows(columns: Float32Array, size: number, dim: number): Float32Array {
  const rows = new Float32Array(columns.length);
  for (let d = 0; d < dim; d++) {
    let largest = 0;
    for (let i = 0; i < size; i++) {
      const value = columns[i * dim + d] as number;
      if (Math.abs(value) > Math.abs(largest)) largest = value;
    }
    const sign = largest < 0 ? -1 : 1;
    for (let i = 0; i < size; i++) rows[d * size + i] = sign * (columns[i * dim + d] as number);
  }
  return rows;
}

/** A B and A^T B for matrices of any size. */
class Products {
  private constructor(private readonly sessions: { readonly plain: Session; readonly transposed: Session }) {}

  static async open(runtime: Runtime): Promise<Products> {
    const session = (transposed: boolean): Promise<Session> => {
      const graph = new Graph(transposed ? 'transposed-product' : 'product');
      const a = graph.input('a', 'float32', transposed ? ['inner', 'rows'] : ['rows', 'inner']);
      graph.output('out', ops.matmul(transposed ? ops.transposeLast(a) : a, graph.input('b', 'float32', ['inner', 'columns'])));
      return runtime.createSession(graph.toOnnx());
    };
    return new Products({ plain: await session(false), transposed: await session(true) });
  }

  plain(a: HostTensor, b: HostTensor): Promise<HostTensor> {
    return Products.run(this.sessions.plain, a, b);
  }

  transposed(a: HostTensor, b: HostTensor): Promise<HostTensor> {
    return Products.run(this.sessions.transposed, a, b);
  }

  private static async run(session: Session, a: HostTensor, b: HostTensor): Promise<HostTensor> {
    return (await session.run({ a, b }))['out'] as HostTensor;
  }

  async release(): Promise<void> {
    await this.sessions.plain.release();
    await this.sessions.transposed.release();
  }
}
