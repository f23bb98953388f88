/**
 * The fixed part of a segment's network: the orthonormal transform of a patch's pixels, a cosine transform (DCT-II) along rows and along columns and a
 * rotation of the colors. Coefficients lie where the pixels of their patch do: an image of coefficients has the layout of an image of pixels.
 */
import { CHANNELS } from '../container/index.js';
import { ops, type Graph, type Value } from '../graph/index.js';
import { float32 } from '../runtime/tensor.js';

/** Name of the tensor (CHANNELS, CHANNELS) with the colors of the components, a column each. */
export const COLOR = 'color';
/** What is taken off every pixel before the transform: the middle of [0, 1]. */
export const MIDDLE = 0.5;

/** (patch, patch) the orthonormal DCT-II: row f is the cosine of frequency f. */
function cosines(patch: number): Float64Array {
  const matrix = new Float64Array(patch * patch);
  for (let f = 0; f < patch; f++) {
    const scale = Math.sqrt((f === 0 ? 1 : 2) / patch);
    for (let x = 0; x < patch; x++) matrix[f * patch + x] = scale * Math.cos((Math.PI * (2 * x + 1) * f) / (2 * patch));
  }
  return matrix;
}

/** (patch * CHANNELS, patch * CHANNELS) from a row of a patch's coefficients to its pixels, along the row and over the colors. */
function rowMatrix(patch: number, color: Float32Array): Float32Array {
  const along = cosines(patch);
  const width = patch * CHANNELS;
  const matrix = new Float32Array(width * width);
  for (let f = 0; f < patch; f++) {
    for (let component = 0; component < CHANNELS; component++) {
      for (let x = 0; x < patch; x++) {
        for (let channel = 0; channel < CHANNELS; channel++) {
          const weight = (along[f * patch + x] as number) * (color[channel * CHANNELS + component] as number);
          matrix[(f * CHANNELS + component) * width + x * CHANNELS + channel] = weight;
        }
      }
    }
  }
  return matrix;
}

export interface TransformShape {
  readonly patch: number;
  /** Columns of patches. */
  readonly columns: number;
}

/** `pixels` (n, patch, columns * patch * CHANNELS), n rows of patches, less MIDDLE, to their coefficients. `color` (CHANNELS, CHANNELS): a column is a component. */
export function toCoefficients(graph: Graph, pixels: Value, { patch, columns }: TransformShape, color: Float32Array): Value {
  const n = pixels.dims[0] as number;
  const width = patch * CHANNELS;
  const rows = ops.constant(graph, float32(rowMatrix(patch, color), [width, width]));
  const down = ops.constant(graph, float32(Float32Array.from(cosines(patch)), [patch, patch]));
  const along = ops.matmul(ops.reshape(pixels, [n * patch * columns, width]), ops.transposeLast(rows));
  return ops.matmul(down, ops.reshape(along, [n, patch, columns * width]));
}

/** The inverse of `toCoefficients`: `coefficients` (n, patch, columns * patch * CHANNELS) to pixels less MIDDLE, in the same layout. */
export function toPixels(graph: Graph, coefficients: Value, { patch, columns }: TransformShape, color: Float32Array): Value {
  const n = coefficients.dims[0] as number;
  const width = patch * CHANNELS;
  const rows = ops.constant(graph, float32(rowMatrix(patch, color), [width, width]));
  const down = ops.constant(graph, float32(Float32Array.from(cosines(patch)), [patch, patch]));
  const upright = ops.matmul(ops.transposeLast(down), coefficients);
  return ops.reshape(ops.matmul(ops.reshape(upright, [n * patch * columns, width]), rows), [n, patch, columns * width]);
}
