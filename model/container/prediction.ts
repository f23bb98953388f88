import { malformed } from './errors.js';

/**
 * How a level is foretold before its residual is coded: from the level `stride` places before it (one step back along an axis), drawn
 * towards the centre by weight / 8. A level at the start of the axis is foretold as the centre. Axis null: always the centre.
 */
export interface Predictor {
  readonly axis: number | null;
  /** Eighths, 1 to 8. */
  readonly weight: number;
  readonly centre: number;
}

/** Places between neighbours along `axis` of a row-major tensor. */
export function axisStride(dims: readonly number[], axis: number): number {
  let stride = 1;
  for (let i = axis + 1; i < dims.length; i++) stride *= dims[i] as number;
  return stride;
}

/** The row length for the coder's neighbour contexts: "above" lies one step back along the predicted axis, or along the last but one. */
export function contextColumns(dims: readonly number[], axis: number | null): number {
  const last = dims.at(-1) ?? 1;
  if (axis === null) return last;
  const stride = axisStride(dims, axis);
  return stride === 1 ? last : stride;
}

/** levels -> residuals under `predictor`. */
export function residuals(levels: Uint16Array, dims: readonly number[], predictor: Predictor): Int32Array {
  const { axis, weight, centre } = predictor;
  const out = new Int32Array(levels.length);
  if (axis === null) {
    for (let i = 0; i < levels.length; i++) out[i] = (levels[i] as number) - centre;
    return out;
  }
  const stride = axisStride(dims, axis);
  const block = stride * (dims[axis] as number);
  for (let start = 0; start < levels.length; start += block) {
    for (let i = 0; i < stride; i++) out[start + i] = (levels[start + i] as number) - centre;
    for (let i = start + stride; i < start + block; i++) {
      out[i] = (levels[i] as number) - centre - ((weight * ((levels[i - stride] as number) - centre) + 4) >> 3);
    }
  }
  return out;
}

/** residuals -> levels; throws when one leaves [0, 2^bits - 1]. */
export function reconstruct(values: Int32Array, dims: readonly number[], predictor: Predictor, bits: number): Uint16Array {
  const { axis, weight, centre } = predictor;
  const levels = new Uint16Array(values.length);
  const stride = axis === null ? values.length : axisStride(dims, axis);
  const block = axis === null ? values.length : stride * (dims[axis] as number);
  const top = 2 ** bits - 1;
  for (let start = 0; start < values.length; start += block) {
    for (let i = start; i < start + block; i++) {
      const foretold = i < start + stride ? centre : centre + ((weight * ((levels[i - stride] as number) - centre) + 4) >> 3);
      const level = foretold + (values[i] as number);
      if (level < 0 || level > top) throw malformed(`A coded level lies outside the ${bits} bits of its tensor.`);
      levels[i] = level;
    }
  }
  return levels;
}

/** The predictor among those that pay for this kind of tensor with the smallest order-0 entropy of residuals. */
export function choosePredictor(levels: Uint16Array, dims: readonly number[], bits: number): Predictor {
  const centre = medianLevel(levels, bits);
  let best: Predictor = { axis: null, weight: 8, centre };
  if (levels.length < 2) return best;
  const histogram = new Uint32Array(2 ** (bits + 2));
  let bestBits = entropyBits(residuals(levels, dims, best), histogram);
  for (let axis = 0; axis < dims.length; axis++) {
    if ((dims[axis] as number) < 2) continue;
    for (const weight of [4, 6, 8]) {
      const candidate = { axis, weight, centre };
      const cost = entropyBits(residuals(levels, dims, candidate), histogram);
      if (cost < bestBits) {
        best = candidate;
        bestBits = cost;
      }
    }
  }
  return best;
}

function medianLevel(levels: Uint16Array, bits: number): number {
  const counts = new Uint32Array(2 ** bits);
  for (const level of levels) counts[level] = (counts[level] as number) + 1;
  let seen = 0;
  for (let level = 0; level < counts.length; level++) {
    seen += counts[level] as number;
    if (seen * 2 >= levels.length) return level;
  }
  return 0;
}

/** Total bits at order-0 entropy. `histogram` is scratch, a power of two larger than the spread of `values`. */
function entropyBits(values: Int32Array, histogram: Uint32Array): number {
  histogram.fill(0);
  const mask = histogram.length - 1;
  for (const value of values) {
    const bin = value & mask;
    histogram[bin] = (histogram[bin] as number) + 1;
  }
  let bits = 0;
  for (const count of histogram) if (count > 0) bits -= count * Math.log2(count / values.length);
  return bits;
}
