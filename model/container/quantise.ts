import { malformed } from './errors.js';
import { MAX_BITS, MIN_BITS } from './limits.js';

/** A tensor on the grid of 2^bits levels between its smallest and its largest value. */
export interface QuantisedTensor {
  readonly bits: number;
  readonly low: number;
  readonly high: number;
  /** Row-major, each in [0, 2^bits - 1]. */
  readonly levels: Uint16Array;
}

/** Uniform min/max quantisation to `bits` bits (Latent-INR, eq. 3). `what` names the tensor when a value is not finite. */
export function quantise(data: Float32Array, bits: number, what: string): QuantisedTensor {
  let low = data[0] ?? 0;
  let high = low;
  for (const value of data) {
    if (!Number.isFinite(value)) throw malformed(`${what} holds a value that is not finite; it cannot be stored.`);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const levels = new Uint16Array(data.length);
  const top = 2 ** bits - 1;
  if (high > low) {
    const perUnit = top / (high - low);
    for (let i = 0; i < data.length; i++) levels[i] = Math.round(((data[i] as number) - low) * perUnit);
  }
  return { bits, low, high, levels };
}

/**
 * Uniform quantisation to multiples of `step`, which a training has already rounded to: 0 stays 0. The bits follow from the
 * range; where that would be more than MAX_BITS, the levels lie between the smallest and the largest value instead.
 */
export function quantiseBySteps(data: Float32Array, step: number, what: string): QuantisedTensor {
  if (!(step > 0 && Number.isFinite(step))) throw malformed(`${what} cannot have levels ${step} apart.`);
  let [least, most] = [Infinity, -Infinity];
  for (const value of data) {
    if (!Number.isFinite(value)) throw malformed(`${what} holds a value that is not finite; it cannot be stored.`);
    const level = Math.round(value / step);
    if (level < least) least = level;
    if (level > most) most = level;
  }
  const bits = Math.max(MIN_BITS, Math.ceil(Math.log2(most - least + 1)));
  if (!(bits <= MAX_BITS)) return quantise(data, MAX_BITS, what);
  const levels = Uint16Array.from(data, (value) => Math.round(value / step) - least);
  return { bits, low: least * step, high: (least + 2 ** bits - 1) * step, levels };
}

/** The values the levels stand for: low + level (high - low) / (2^bits - 1), rounded to float32. */
export function dequantise(tensor: QuantisedTensor): Float32Array {
  const step = (tensor.high - tensor.low) / (2 ** tensor.bits - 1);
  const values = new Float32Array(tensor.levels.length);
  for (let i = 0; i < values.length; i++) values[i] = tensor.low + (tensor.levels[i] as number) * step;
  return values;
}
