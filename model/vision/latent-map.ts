/** The fixed linear map from a frame's features to its latent target: principal components of the photos or videos it was fitted to. */
import { ops, type Value } from '../graph/index.js';
import type { TensorFile } from '../pack/index.js';
import type { WeightSource } from './layers.js';
import { readWeight } from './weights.js';

/**
 * Back from latents (T, D) to the features (T, F) they stand for, x = components^T z scale + mean: what a network that was
 * trained on features reads of a container. What the map dropped stays lost.
 * @param weights the latent map's, as LatentMap.from reads them
 */
export function restoredFeatures(latents: Value, features: number, weights: WeightSource): Value {
  const dim = latents.dims.at(-1) as number;
  const turned = ops.matmul(latents, weights('components', [dim, features]));
  return ops.add(ops.mul(turned, weights('scale', [1])), weights('mean', [features]));
}

export class LatentMap {
  private constructor(
    /** Numbers of features a frame: tokens x channels. */
    readonly features: number,
    /** Numbers of a latent, D. */
    readonly dim: number,
    /** (D, features), already divided by the scale. */
    private readonly rows: Float32Array,
    /** (D): the image of the mean features. */
    private readonly offset: Float64Array,
    /** (D): standard deviation of each latent number over the training photos. */
    readonly sigma: Float32Array,
  ) {}

  /**
   * @param tensors `mean` (features), `components` (D, features), `scale` (1), `sigma` (D).
   * @throws SafetensorsError naming the tensor that is missing or has another shape.
   */
  static from(tensors: TensorFile, features: number, dim: number): LatentMap {
    const read = (name: string, dims: readonly number[]): Float32Array => readWeight(tensors, name, dims);
    const scale = read('scale', [1])[0] as number;
    const rows = read('components', [dim, features]).map((value) => value / scale);
    const offset = new Float64Array(dim);
    const map = new LatentMap(features, dim, rows, offset, read('sigma', [dim]).slice());
    offset.set(map.apply(read('mean', [features])));
    return map;
  }

  /**
   * z = components (x - mean) / scale for each frame.
   *
   * @param features (n, features), one row a frame.
   * @returns (n, D) latent targets.
   * @throws RangeError when the length is not a whole number of frames.
   */
  apply(features: Float32Array): Float32Array {
    const frames = features.length / this.features;
    if (!Number.isInteger(frames)) throw new RangeError(`features must be (n, ${this.features}); ${features.length} numbers are not a whole number of rows`);
    const latents = new Float32Array(frames * this.dim);
    for (let d = 0; d < this.dim; d++) {
      const row = this.rows.subarray(d * this.features, (d + 1) * this.features);
      for (let frame = 0; frame < frames; frame++) {
        latents[frame * this.dim + d] = dot(row, features, frame * this.features) - (this.offset[d] as number);
      }
    }
    return latents;
  }
}

/** Four sums at once, so that each addition need not wait for the one before. */
function dot(row: Float32Array, values: Float32Array, start: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 4 <= row.length; i += 4) {
    a += (row[i] as number) * (values[start + i] as number);
    b += (row[i + 1] as number) * (values[start + i + 1] as number);
    c += (row[i + 2] as number) * (values[start + i + 2] as number);
    d += (row[i + 3] as number) * (values[start + i + 3] as number);
  }
  for (; i < row.length; i++) a += (row[i] as number) * (values[start + i] as number);
  return a + b + c + d;
}
