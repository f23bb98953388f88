/** IEEE 754 half precision, as bits in a Uint16Array (Node 20 has no Float16Array). */

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** Rounds a number to the nearest half (ties to even) and returns its 16 bits. Overflow gives infinity. */
export function toFloat16Bits(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200);
  const unbiased = exponent - 127 + 15;
  if (unbiased >= 31) return sign | 0x7c00;
  if (unbiased <= 0) {
    if (unbiased < -10) return sign;
    // A subnormal half: the implicit leading one becomes explicit and shifts right.
    return sign | roundShift(mantissa | 0x800000, 14 - unbiased);
  }
  // A carry out of the mantissa moves into the exponent, which is exactly the next representable half.
  return sign | ((unbiased << 10) + roundShift(mantissa, 13));
}

function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/** The number whose half-precision bits these are. */
export function fromFloat16Bits(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Every half as a number, made once: decoding a weight file is then one look-up an element. */
let table: Float32Array | undefined;

/** Half-precision bits to float32 numbers, into a new array of the same length. */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, index) => fromFloat16Bits(index));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] as number] as number;
  return values;
}

/** Bfloat16 bits, the upper halves of float32 numbers, to these numbers, into a new array of the same length. */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  const whole = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) whole[i] = (bits[i] as number) << 16;
  return new Float32Array(whole.buffer);
}

/** Float32 numbers to half-precision bits, rounded to nearest even. */
export function encodeFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = toFloat16Bits(values[i] as number);
  return bits;
}
