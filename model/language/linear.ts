/**
 * The three forms in which a layer's matrices enter the graph. All take x (…, K) to y (…, N).
 *
 * - `fp32`: plain float32 products; the reference the others are held to.
 * - `q4`: the stored blocks untouched, of 4 bits in our packs and in most others. ONNX Runtime's kernel knows w = d (q - 8) only, so what a block's own
 *   minimum adds, (m + 8 d) times the sum of x over the block, goes beside it as a low-rank product, together with
 *   the adapter: the two share one pair of small 8-bit matrices. Blocks whose minimum is -8 d, and blocks of 8 bits, need the adapter alone.
 * - `q8`: base and adapter merged and rounded to 8 bits when the model is loaded: one product, half as fast to stream
 *   from memory but without the nodes beside it. (Rounding the merged weights to 4 bits again would undo the
 *   adapter's training; 8 bits keep it.)
 */
import { ops, type Graph, type Value } from '../graph/index.js';
import type { HostTensor } from '../runtime/tensor.js';
import { BLOCK, dequantize, quantizeQ8, toQ8, type Matrix, type Q4Matrix, type Q8Matrix } from './matrix.js';
import type { Linear } from './weights.js';

export type WeightKind = 'fp32' | 'q4' | 'q8';

/** Int8 activations: ONNX Runtime's fastest kernels, which use VNNI where the processor has it. */
const ACCURACY_INT8 = 4;

/** x (…, K) times the transpose of an 8-bit matrix (N, K). */
export function q8Product(x: Value, matrix: Q8Matrix, name: string): Value {
  const blocks = Math.ceil(matrix.in / BLOCK);
  return nBits(x, matrix, 8, name, { dtype: 'uint8', dims: [matrix.out, blocks, BLOCK], data: matrix.q8 });
}

function q4Product(x: Value, matrix: Q4Matrix, name: string): Value {
  return nBits(x, matrix, 4, name, { dtype: 'uint8', dims: [matrix.out, matrix.in / BLOCK, BLOCK / 2], data: matrix.q4 });
}

function nBits(x: Value, matrix: Q4Matrix | Q8Matrix, bits: 4 | 8, name: string, weights: HostTensor): Value {
  const graph: Graph = x.graph;
  const scale: HostTensor = { dtype: 'float32', dims: weights.dims.slice(0, 2), data: matrix.scale };
  const inputs = [x, graph.initializer(`${name}.weight`, weights), graph.initializer(`${name}.scale`, scale)];
  const attributes = { K: matrix.in, N: matrix.out, bits, block_size: BLOCK, accuracy_level: ACCURACY_INT8 };
  const outputs = [{ dtype: 'float32' as const, dims: [...x.dims.slice(0, -1), matrix.out] }];
  return graph.op('MatMulNBits', inputs, attributes, { domain: 'com.microsoft', outputs })[0] as Value;
}

/** x times a stored matrix alone. */
export function product(x: Value, matrix: Matrix, name: string): Value {
  return matrix.form === 'q4' && matrix.min === null ? q4Product(x, matrix, name) : q8Product(x, toQ8(matrix), name);
}

/** x times a layer's matrix with its stored base, the exact minima of 4-bit blocks and the adapter beside it. */
export function q4Linear(x: Value, linear: Linear, name: string): Value {
  const { base, adapter } = linear;
  const minima = base.form === 'q4' && base.min !== null;
  const alone = minima ? q4Product(x, base, name) : product(x, base, name);
  if (!minima && adapter === null) return alone;
  const { first, second } = lowRankPair(linear);
  const small = q8Product(x, quantizeQ8(first, second.rows, base.in), `${name}.first`);
  const beside = q8Product(small, quantizeQ8(second.data, base.out, second.rows), `${name}.second`);
  return ops.add(alone, beside);
}

/** x times a merged 8-bit matrix, or float32 product with base and adapter apart. */
export function fp32Linear(x: Value, linear: Linear, name: string): Value {
  const { base, adapter } = linear;
  const weight: HostTensor = { dtype: 'float32', dims: [base.in, base.out], data: transposed(dequantize(base), base.out, base.in) };
  const y = ops.matmul(x, x.graph.initializer(`${name}.weight`, weight));
  if (adapter === null) return y;
  const a = x.graph.initializer(`${name}.a`, { dtype: 'float32', dims: [base.in, adapter.rank], data: adapter.a });
  const b = x.graph.initializer(`${name}.b`, { dtype: 'float32', dims: [adapter.rank, base.out], data: adapter.b });
  return ops.add(y, ops.matmul(ops.matmul(x, a), b));
}

/**
 * The two small matrices beside a 4-bit product. Rows of `first` (R, K): the adapter's a transposed, padded to whole
 * blocks, then, where blocks have minima, a row of ones for each block of K, whose product with x is the block's sum. `second` (N, R)
 * holds the adapter's b transposed and the blocks' offsets m + 8 d. Blocks of R never mix the two, so neither's size
 * coarsens the other's rounding.
 */
function lowRankPair({ base, adapter }: Linear): { first: Float32Array; second: { rows: number; data: Float32Array } } {
  const rank = adapter?.rank ?? 0;
  const sums = Math.ceil(rank / BLOCK) * BLOCK;
  const { scale, min } = base.form === 'q4' ? base : { scale: null, min: null };
  const blocks = min === null ? 0 : base.in / BLOCK;
  const rows = sums + Math.ceil(blocks / BLOCK) * BLOCK;
  const first = new Float32Array(rows * base.in);
  const second = new Float32Array(base.out * rows);
  if (adapter !== null) {
    first.set(transposed(adapter.a, base.in, rank));
    for (let n = 0; n < base.out; n++) {
      for (let r = 0; r < rank; r++) second[n * rows + r] = adapter.b[r * base.out + n] as number;
    }
  }
  for (let block = 0; block < blocks; block++) {
    const start = (sums + block) * base.in + block * BLOCK;
    first.fill(1, start, start + BLOCK);
    for (let n = 0; n < base.out; n++) {
      const at = n * blocks + block;
      second[n * rows + sums + block] = ((min as Float32Array)[at] as number) + 8 * ((scale as Float32Array)[at] as number);
    }
  }
  return { first, second: { rows, data: second } };
}

/** (rows, columns) to (columns, rows). */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c] as number;
  }
  return result;
}
