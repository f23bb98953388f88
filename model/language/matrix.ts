/**
 * The forms in which a weight matrix (N, K) is kept: float32, or blocks of 32 weights of 4 or 8 bits that share a scale, as ONNX
 * Runtime's MatMulNBits reads them. Published block formats whose numbers such blocks can say keep them exactly; others are rounded once.
 */
import { concatBytes, concatFloats } from '../runtime/tensor.js';

/** Weights that share one scale: what GGUF and ONNX Runtime's kernels call a block. */
export const BLOCK = 32;

interface Shape {
  /** Rows N: numbers that come out. */
  readonly out: number;
  /** Columns K: numbers that go in. */
  readonly in: number;
}

/** Weights as they are. */
export interface FloatMatrix extends Shape {
  readonly form: 'float32';
  /** (N, K) */
  readonly values: Float32Array;
}

/** 4-bit blocks: w = scale * q + min, with q in 0..15. */
export interface Q4Matrix extends Shape {
  readonly form: 'q4';
  /** (N, K/32, 16): element 2j of a block in the low half of byte j, 2j + 1 in the high half. */
  readonly q4: Uint8Array;
  /** (N, K/32) */
  readonly scale: Float32Array;
  /** (N, K/32); null for -8 * scale throughout, the only minimum that MatMulNBits' kernel knows by itself. */
  readonly min: Float32Array | null;
}

/** 8-bit blocks: w = scale * (q - 128). */
export interface Q8Matrix extends Shape {
  readonly form: 'q8';
  /** (N, K/32, 32) */
  readonly q8: Uint8Array;
  /** (N, K/32) */
  readonly scale: Float32Array;
}

export type Matrix = FloatMatrix | Q4Matrix | Q8Matrix;

/** Bits a weight is rounded to; null keeps float32. */
export type BlockBits = 4 | 8 | null;

/** The matrix as float32 (N, K). */
export function dequantize(matrix: Matrix): Float32Array {
  if (matrix.form === 'float32') return matrix.values;
  const values = new Float32Array(matrix.out * matrix.in);
  dequantizeInto(matrix, 0, values);
  return values;
}

/** Rows of the matrix from `row` on as float32, as many as `values` has room for. */
export function dequantizeInto(matrix: Matrix, row: number, values: Float32Array): void {
  const start = row * matrix.in;
  if (matrix.form === 'float32') return values.set(matrix.values.subarray(start, start + values.length));
  let block = start / BLOCK;
  if (matrix.form === 'q8') {
    const { q8, scale } = matrix;
    for (let at = 0; at < values.length; block++) {
      const d = scale[block] as number;
      for (const end = at + BLOCK; at < end; at++) values[at] = d * ((q8[start + at] as number) - 128);
    }
    return;
  }
  const { q4, scale, min } = matrix;
  let byte = start / 2;
  for (let at = 0; at < values.length; block++) {
    const d = scale[block] as number;
    const m = min === null ? -8 * d : (min[block] as number);
    for (const end = at + BLOCK; at < end; at += 2) {
      const pair = q4[byte++] as number;
      values[at] = d * (pair & 15) + m;
      values[at + 1] = d * (pair >> 4) + m;
    }
  }
}

/** Rounds float32 weights (N, K) to blocks of `bits`, or keeps them; K is a multiple of 32 unless they are kept. */
export function quantize(values: Float32Array, out: number, columns: number, bits: BlockBits): Matrix {
  if (bits === null) return { form: 'float32', out, in: columns, values };
  return bits === 8 ? quantizeQ8(values, out, columns) : quantizeQ4(values, out, columns);
}

/** Rounds float32 weights (N, K) to 8-bit blocks; K is a multiple of 32. */
export function quantizeQ8(values: Float32Array, out: number, columns: number): Q8Matrix {
  const matrix = emptyQ8(out, columns);
  const { q8, scale } = matrix;
  for (let start = 0, block = 0; start < values.length; start += BLOCK, block++) {
    let largest = 0;
    for (let i = start; i < start + BLOCK; i++) {
      const size = Math.abs(values[i] as number);
      if (size > largest) largest = size;
    }
    scale[block] = largest / 127;
    const inverse = largest === 0 ? 0 : 127 / largest;
    // Truncation of a sum that is never negative: the half makes it rounding to the nearest.
    for (let i = start; i < start + BLOCK; i++) q8[i] = ((values[i] as number) * inverse + 128.5) | 0;
  }
  return matrix;
}

/** An 8-bit matrix whose numbers are still to be written. */
export function emptyQ8(out: number, columns: number): Q8Matrix {
  return { form: 'q8', out, in: columns, q8: new Uint8Array(out * columns), scale: new Float32Array((out * columns) / BLOCK) };
}

/**
 * Rounds to 4-bit blocks w = d (q - 8). The weight that is farthest from 0 becomes q = 0 at d = -w / 8, or q = 15 at d = w / 7; whichever
 * leaves the smaller squared error is kept, since only the first uses all sixteen levels and only the second cannot overflow.
 */
function quantizeQ4(values: Float32Array, out: number, columns: number): Q4Matrix {
  const matrix = { form: 'q4' as const, out, in: columns, q4: new Uint8Array(values.length / 2), scale: new Float32Array(values.length / BLOCK), min: null };
  const levels = new Uint8Array(2 * BLOCK);
  for (let block = 0; block < matrix.scale.length; block++) {
    const start = block * BLOCK;
    let farthest = 0;
    for (let i = start; i < start + BLOCK; i++) if (Math.abs(values[i] as number) > Math.abs(farthest)) farthest = values[i] as number;
    const [wide, narrow] = [Math.fround(farthest / -8), Math.fround(farthest / 7)];
    const better = roundBlock(values, start, wide, levels, 0) <= roundBlock(values, start, narrow, levels, BLOCK) ? 0 : BLOCK;
    matrix.scale[block] = better === 0 ? wide : narrow;
    for (let j = 0; j < BLOCK; j += 2) matrix.q4[(start + j) / 2] = (levels[better + j] as number) | ((levels[better + j + 1] as number) << 4);
  }
  return matrix;
}

/** Rounds a block to levels 0..15 of w = d (q - 8), written at `to` of `levels`; returns the squared error. */
function roundBlock(values: Float32Array, start: number, d: number, levels: Uint8Array, to: number): number {
  const inverse = d === 0 ? 0 : 1 / d;
  let error = 0;
  for (let i = 0; i < BLOCK; i++) {
    const value = values[start + i] as number;
    const level = Math.min(15, Math.max(0, Math.round(value * inverse) + 8));
    levels[to + i] = level;
    error += (d * (level - 8) - value) ** 2;
  }
  return error;
}

/** Whether 8-bit blocks can say the matrix exactly. */
export function fitsQ8(matrix: Matrix): boolean {
  return matrix.form === 'q8' || (matrix.form === 'q4' && matrix.min === null);
}

/** The matrix in 8-bit blocks: exactly for 8-bit ones and for 4-bit ones without minima of their own, else rounded. */
export function toQ8(matrix: Matrix): Q8Matrix {
  if (matrix.form === 'q8') return matrix;
  if (matrix.form === 'q4' && matrix.min === null) {
    return { form: 'q8', out: matrix.out, in: matrix.in, q8: unpacked(matrix.q4, 120), scale: matrix.scale };
  }
  return quantizeQ8(dequantize(matrix), matrix.out, matrix.in);
}

/** A block matrix as w = scale * q + offset: q (N, K/32, 32), a byte each, offset (N, K/32). */
export function levels(matrix: Q4Matrix | Q8Matrix): { q: Uint8Array; offset: Float32Array } {
  if (matrix.form === 'q8') return { q: matrix.q8, offset: matrix.scale.map((d) => -128 * d) };
  return { q: unpacked(matrix.q4, 0), offset: matrix.min ?? matrix.scale.map((d) => -8 * d) };
}

/** Two levels a byte as a byte each, `added` to both. */
function unpacked(q4: Uint8Array, added: number): Uint8Array {
  // Pairs of bytes by table: the low half of a byte comes first, as the low byte of a little-endian word does.
  const pairs = Uint16Array.from({ length: 256 }, (_, pair) => ((pair & 15) + added) | (((pair >> 4) + added) << 8));
  const words = new Uint16Array(q4.length);
  for (let i = 0; i < q4.length; i++) words[i] = pairs[q4[i] as number] as number;
  return new Uint8Array(words.buffer);
}

/**
 * Matrices that read the same input as one, rows below rows. Where their forms differ, 4-bit ones become 8-bit ones.
 * @param matrices of one number of columns, at least one
 */
export function stack(matrices: readonly Matrix[]): Matrix {
  const [first] = matrices as [Matrix];
  if (matrices.length === 1) return first;
  const shape = { out: matrices.reduce((sum, { out }) => sum + out, 0), in: first.in };
  if (matrices.every((matrix) => matrix.form === 'float32')) {
    return { form: 'float32', ...shape, values: concatFloats(matrices.map(({ values }) => values)) };
  }
  if (matrices.every((matrix) => matrix.form === 'q4')) {
    const own = matrices.some(({ min }) => min !== null);
    return {
      form: 'q4',
      ...shape,
      q4: concatBytes(matrices.map(({ q4 }) => q4)),
      scale: concatFloats(matrices.map(({ scale }) => scale)),
      min: own ? concatFloats(matrices.map(({ min, scale }) => min ?? scale.map((d) => -8 * d))) : null,
    };
  }
  const all = matrices.map(toQ8);
  return { form: 'q8', ...shape, q8: concatBytes(all.map(({ q8 }) => q8)), scale: concatFloats(all.map(({ scale }) => scale)) };
}

/** Rows in another order: row i of the result is row order[i]. */
export function permuteRows(matrix: Matrix, order: readonly number[]): Matrix {
  const move = <T extends Float32Array | Uint8Array>(data: T): T => {
    const width = data.length / matrix.out;
    const moved = data.slice() as T;
    for (const [row, from] of order.entries()) moved.set(data.subarray(from * width, (from + 1) * width), row * width);
    return moved;
  };
  switch (matrix.form) {
    case 'float32':
      return { ...matrix, values: move(matrix.values) };
    case 'q4':
      return { ...matrix, q4: move(matrix.q4), scale: move(matrix.scale), min: matrix.min === null ? null : move(matrix.min) };
    case 'q8':
      return { ...matrix, q8: move(matrix.q8), scale: move(matrix.scale) };
  }
}

/** Memory of the weights, in bytes. */
export function matrixBytes(matrix: Matrix): number {
  switch (matrix.form) {
    case 'float32':
      return matrix.values.byteLength;
    case 'q4':
      return matrix.q4.byteLength + matrix.scale.byteLength + (matrix.min?.byteLength ?? 0);
    case 'q8':
      return matrix.q8.byteLength + matrix.scale.byteLength;
  }
}
