import { malformed } from './errors.js';
import { BitModels, RangeDecoder, RangeEncoder } from './range-coder.js';

/**
 * Signed integers through the adaptive range coder. Each value d is coded as the bit length k of |d| in unary, its sign, and the k - 1 bits
 * below the leading one; the chances of these bits depend on where in the number they stand and, with neighbour contexts, on the size and
 * sign of the value before and the value one row up.
 *
 * Stream: u8 header (bits 0..4: the largest k; bit 7: neighbour contexts), then the coded bits.
 */

/** Magnitudes stay inside a signed 32-bit integer. */
const MAX_LENGTH = 31;
const LENGTHS = MAX_LENGTH + 1;
const NEIGHBOUR_FLAG = 0x80;
/** Neighbourhood sizes that are told apart. */
const SIZES = 10;
/** Mantissa contexts of one k: a tree over the two bits below the leading one (3 nodes), then one a position. */
const MANTISSA = 3 + MAX_LENGTH;

interface Models {
  readonly lengths: BitModels;
  readonly signs: BitModels;
  readonly mantissas: BitModels;
}

function freshModels(): Models {
  return {
    lengths: new BitModels(SIZES * LENGTHS),
    signs: new BitModels(9),
    mantissas: new BitModels(LENGTHS * MANTISSA),
  };
}

function bitLength(magnitude: number): number {
  return 32 - Math.clz32(magnitude);
}

/** A larger sum of neighbours means that larger values are likely. */
function sizeContext(before: number, above: number): number {
  return Math.min(SIZES - 1, bitLength(Math.abs(before) + Math.abs(above)));
}

function signContext(before: number, above: number): number {
  return (Math.sign(before) + 1) * 3 + Math.sign(above) + 1;
}

/** Codes `values` in rows of `columns`, with neighbour contexts or without, whichever is smaller. */
export function encodeIntegers(values: Int32Array, columns: number): Uint8Array {
  const plain = encode(values, columns, false);
  const contextual = encode(values, columns, true);
  return contextual.length < plain.length ? contextual : plain;
}

function encode(values: Int32Array, columns: number, neighbours: boolean): Uint8Array {
  let longest = 0;
  for (const d of values) longest = Math.max(longest, bitLength(Math.abs(d)));
  const models = freshModels();
  const coder = new RangeEncoder();
  for (let i = 0; i < values.length; i++) {
    const d = values[i] as number;
    const before = neighbours && i > 0 ? (values[i - 1] as number) : 0;
    const above = neighbours && i >= columns ? (values[i - columns] as number) : 0;
    const magnitude = Math.abs(d);
    const k = bitLength(magnitude);
    const lengthContext = sizeContext(before, above) * LENGTHS;
    for (let j = 0; j < k; j++) coder.bit(models.lengths, lengthContext + j, 1);
    if (k < longest) coder.bit(models.lengths, lengthContext + k, 0);
    if (k === 0) continue;
    coder.bit(models.signs, signContext(before, above), d < 0 ? 1 : 0);
    const base = k * MANTISSA;
    let node = 0;
    for (let position = k - 2; position >= 0; position--) {
      const bit = (magnitude >>> position) & 1;
      const fromTop = k - 2 - position;
      coder.bit(models.mantissas, base + (fromTop === 0 ? 0 : fromTop === 1 ? 1 + node : 1 + fromTop), bit);
      node = bit;
    }
  }
  const body = coder.finish();
  const out = new Uint8Array(1 + body.length);
  out[0] = longest | (neighbours ? NEIGHBOUR_FLAG : 0);
  out.set(body, 1);
  return out;
}

/** The inverse of `encodeIntegers` for `count` values. Reads zeros past the end of `bytes`, so `count` must be bounded by the caller. */
export function decodeIntegers(bytes: Uint8Array, count: number, columns: number): Int32Array {
  const header = bytes[0];
  if (header === undefined) throw malformed('A coded stream is empty.');
  const longest = header & 31;
  const neighbours = (header & NEIGHBOUR_FLAG) !== 0;
  if ((header & 0x60) !== 0) throw malformed('A coded stream starts with an unknown header.');
  const { lengths, signs, mantissas } = freshModels();
  const coder = new RangeDecoder(bytes.subarray(1));
  const values = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const before = neighbours && i > 0 ? (values[i - 1] as number) : 0;
    const above = neighbours && i >= columns ? (values[i - columns] as number) : 0;
    const lengthContext = sizeContext(before, above) * LENGTHS;
    let k = 0;
    while (k < longest && coder.bit(lengths, lengthContext + k) === 1) k++;
    if (k === 0) continue;
    const negative = coder.bit(signs, signContext(before, above)) === 1;
    const base = k * MANTISSA;
    let magnitude = 1;
    let node = 0;
    for (let fromTop = 0; fromTop < k - 1; fromTop++) {
      node = coder.bit(mantissas, base + (fromTop === 0 ? 0 : fromTop === 1 ? 1 + node : 1 + fromTop));
      magnitude = (magnitude << 1) | node;
    }
    values[i] = negative ? -magnitude : magnitude;
  }
  return values;
}
