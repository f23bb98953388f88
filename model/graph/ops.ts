/**
 * The operators of the graph: each adds one ONNX node (or a few), infers type and shape, and broadcasts as ONNX does.
 * A number among the operands is a float32 scalar. Operators with a rule in gradients.ts can be trained through.
 */
import { sizeOf, type DType, type HostTensor } from '../runtime/tensor.js';
import type { Attributes, Dim, Graph, Value } from './graph.js';
import { broadcastDims, dimsEqual, normalizeAxis, reducedDims, reshapedDims, slicedDim, convolvedDim } from './shapes.js';

export type Operand = Value | number;

// --- constants -------------------------------------------------------------------------------------------------------

const scalars = new WeakMap<Graph, Map<string, Value>>();

/** A constant of the graph. Equal scalars are stored once. */
export function constant(graph: Graph, value: number | HostTensor): Value {
  const cache = scalars.get(graph) ?? new Map<string, Value>();
  scalars.set(graph, cache);
  if (typeof value !== 'number') return graph.initializer(`const_${cache.size}_${graph.initializers.size}`, value);
  const key = `f${value}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = graph.initializer(`const_${key}`, { dtype: 'float32', dims: [], data: Float32Array.of(value) });
  cache.set(key, made);
  return made;
}

/** A 1-D int64 constant, as shapes, axes and slice bounds are given. Equal ones are stored once. */
function ints(graph: Graph, values: readonly number[]): Value {
  const cache = scalars.get(graph) ?? new Map<string, Value>();
  scalars.set(graph, cache);
  const key = `i${values.join(',')}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const data = BigInt64Array.from(values, (value) => BigInt(value));
  const made = graph.initializer(`const_${key}`, { dtype: 'int64', dims: [values.length], data });
  cache.set(key, made);
  return made;
}

// --- elementwise -----------------------------------------------------------------------------------------------------

function graphOf(a: Operand, b: Operand): Graph {
  if (typeof a !== 'number') return a.graph;
  if (typeof b !== 'number') return b.graph;
  throw new TypeError('one operand at least must be a tensor of a graph');
}

function binary(op: string, a: Operand, b: Operand): Value {
  const graph = graphOf(a, b);
  const left = typeof a === 'number' ? constant(graph, a) : a;
  const right = typeof b === 'number' ? constant(graph, b) : b;
  if (left.dtype !== right.dtype) throw new TypeError(`${op}: operands are ${left.dtype} and ${right.dtype}; cast one`);
  return single(op, [left, right], left.dtype, broadcastDims(op, left.dims, right.dims));
}

function unary(op: string, x: Value): Value {
  return single(op, [x], x.dtype, x.dims);
}

function single(op: string, inputs: readonly (Value | null)[], dtype: DType, dims: readonly Dim[], attributes: Attributes = {}): Value {
  const graph = (inputs[0] as Value).graph;
  return graph.op(op, inputs, attributes, { outputs: [{ dtype, dims }] })[0] as Value;
}

export const add = (a: Operand, b: Operand): Value => binary('Add', a, b);
export const sub = (a: Operand, b: Operand): Value => binary('Sub', a, b);
export const mul = (a: Operand, b: Operand): Value => binary('Mul', a, b);
export const div = (a: Operand, b: Operand): Value => binary('Div', a, b);
export const neg = (x: Value): Value => unary('Neg', x);
export const exp = (x: Value): Value => unary('Exp', x);
export const log = (x: Value): Value => unary('Log', x);
export const sqrt = (x: Value): Value => unary('Sqrt', x);
export const tanh = (x: Value): Value => unary('Tanh', x);
export const sigmoid = (x: Value): Value => unary('Sigmoid', x);
export const relu = (x: Value): Value => unary('Relu', x);
export const sin = (x: Value): Value => unary('Sin', x);
export const cos = (x: Value): Value => unary('Cos', x);
export const abs = (x: Value): Value => unary('Abs', x);
/** To the nearest whole number, halves to the even one. No gradient: a caller decides what stands for it. */
export const round = (x: Value): Value => unary('Round', x);
export const erf = (x: Value): Value => unary('Erf', x);
export const square = (x: Value): Value => mul(x, x);
/** 1 where x > 0, else 0, as float32. Its gradient is zero. */
export const step = (x: Value): Value => cast(single('Greater', [x, constant(x.graph, 0)], 'bool', x.dims), 'float32');

/** x limited to [min, max]; the gradient passes only inside. */
export function clip(x: Value, min: number, max: number): Value {
  return single('Clip', [x, constant(x.graph, min), constant(x.graph, max)], x.dtype, x.dims);
}

/** Exact GELU: x/2 (1 + erf(x / sqrt 2)). */
export const gelu = (x: Value): Value => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));

/** GELU by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), within 5e-4 of the exact one (Hendrycks and Gimpel, 2016). */
export function geluTanh(x: Value): Value {
  const inner = mul(mul(x, add(mul(square(x), 0.044715), 1)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/** GELU by a sigmoid: x sigmoid(1.702 x), as OpenAI's CLIP has it; up to 0.02 off the exact one. */
export const quickGelu = (x: Value): Value => mul(x, sigmoid(mul(x, 1.702)));

/** x * sigmoid(x), also called swish. */
export const silu = (x: Value): Value => mul(x, sigmoid(x));
/** x where it is positive, `slope` times x elsewhere. */
export const leakyRelu = (x: Value, slope = 0.01): Value => add(mul(x, slope), mul(relu(x), 1 - slope));

export function cast(x: Value, dtype: DType): Value {
  const code = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 }[dtype];
  return single('Cast', [x], dtype, x.dims, { to: code });
}

/** Numbers in [0, 1], limited to it, as bytes. + 0.5 and truncation round half up on every runtime alike. */
export const toBytes = (x: Value): Value => cast(add(mul(clip(x, 0, 1), 255), 0.5), 'uint8');

// --- products --------------------------------------------------------------------------------------------------------

/** Matrix product over the last two axes, broadcasting the ones before: (…, m, k) x (…, k, n) -> (…, m, n). */
export function matmul(a: Value, b: Value): Value {
  if (a.rank < 2 || b.rank < 2) throw new RangeError(`matmul: operands have ranks ${a.rank} and ${b.rank}; both need at least 2`);
  const inner = [a.dims.at(-1) as Dim, b.dims.at(-2) as Dim] as const;
  if (!dimsEqual(inner[0], inner[1])) {
    throw new RangeError(`matmul: inner sizes differ: [${a.dims.join(', ')}] x [${b.dims.join(', ')}]`);
  }
  const batch = broadcastDims('matmul', a.dims.slice(0, -2), b.dims.slice(0, -2));
  return single('MatMul', [a, b], a.dtype, [...batch, a.dims.at(-2) as Dim, b.dims.at(-1) as Dim]);
}

export interface ConvOptions {
  readonly stride?: number;
  /** Top, left, bottom, right, in pixels. */
  readonly pads?: readonly [number, number, number, number];
  readonly groups?: number;
}

/** 2-D convolution (cross-correlation): x (N, C, H, W), w (M, C/groups, kh, kw), bias (M) or null. */
export function conv2d(x: Value, w: Value, bias: Value | null, options: ConvOptions = {}): Value {
  const { stride = 1, pads = [0, 0, 0, 0], groups = 1 } = options;
  const [n, , h, width] = x.dims as [Dim, Dim, Dim, Dim];
  const [m, , kh, kw] = w.dims as [number, number, number, number];
  const dims: Dim[] = [
    n,
    m,
    convolvedDim(h, kh, stride, pads[0] + pads[2]),
    convolvedDim(width, kw, stride, pads[1] + pads[3]),
  ];
  const inputs = bias === null ? [x, w] : [x, w, bias];
  return single('Conv', inputs, x.dtype, dims, { strides: [stride, stride], pads: [...pads], group: groups, kernel_shape: [kh, kw] });
}

// --- shape -----------------------------------------------------------------------------------------------------------

/** Axes in the order `permutation` names them. */
export function transpose(x: Value, permutation: readonly number[]): Value {
  if (permutation.length !== x.rank) throw new RangeError(`transpose: ${permutation.length} axes for a tensor of rank ${x.rank}`);
  return single('Transpose', [x], x.dtype, permutation.map((axis) => x.dims[axis] as Dim), { perm: [...permutation] });
}

/** The last two axes swapped. */
export function transposeLast(x: Value): Value {
  const axes = x.dims.map((_, axis) => axis);
  return transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

/**
 * New shape, same elements. -1 stands for what is left over, 0 for "as it was"; a symbolic name may stand in
 * for 0 or -1 and is then the size's name from here on.
 */
export function reshape(x: Value, dims: readonly Dim[]): Value {
  const { shape, inferred } = reshapedDims(x.dims, dims);
  return single('Reshape', [x, ints(x.graph, shape)], x.dtype, inferred);
}

export function concat(values: readonly Value[], axis: number): Value {
  const first = values[0];
  if (first === undefined) throw new RangeError('concat: needs at least one tensor');
  const at = normalizeAxis('concat', axis, first.rank);
  const sizes = values.map((value) => value.dims[at] as Dim);
  const total = sizes.every((size) => typeof size === 'number') ? (sizes as number[]).reduce((a, b) => a + b, 0) : sizes.join('+');
  const dims = first.dims.map((dim, i) => (i === at ? total : dim));
  return single('Concat', values, first.dtype, dims, { axis: at });
}

/** Elements start, start + stride, … before `end` along one axis. Negative bounds count from the end. */
export function slice(x: Value, axis: number, start: number, end: number, stride = 1): Value {
  const at = normalizeAxis('slice', axis, x.rank);
  const dims = x.dims.map((dim, i) => (i === at ? slicedDim(dim, start, end, stride) : dim));
  const bounds = [[start], [end], [at], [stride]].map((values) => ints(x.graph, values));
  return single('Slice', [x, ...bounds], x.dtype, dims);
}

/** Pieces of the given sizes along one axis. */
export function split(x: Value, axis: number, sizes: readonly number[]): Value[] {
  const at = normalizeAxis('split', axis, x.rank);
  const outputs = sizes.map((size) => ({ dtype: x.dtype, dims: x.dims.map((dim, i) => (i === at ? size : dim)) }));
  return x.graph.op('Split', [x, ints(x.graph, sizes)], { axis: at }, { outputs });
}

/** `margin` more rows above and below, columns left and right of the last two axes, holding the outermost values. No gradient. */
export function padEdges(x: Value, margin: number): Value {
  const [height, width] = x.dims.slice(-2) as [number, number];
  const side = x.dims.map((_, axis) => (axis < x.rank - 2 ? 0 : margin));
  const dims = [...x.dims.slice(0, -2), height + 2 * margin, width + 2 * margin];
  return single('Pad', [x, ints(x.graph, [...side, ...side])], x.dtype, dims, { mode: 'edge' });
}

/** (N, C b b, H, W) -> (N, C, b H, b W): channel c b b + i b + j becomes the pixels at (i, j) of each block. No gradient. */
export function depthToSpace(x: Value, block: number): Value {
  const [n, channels, height, width] = x.dims as [Dim, number, number, number];
  return single('DepthToSpace', [x], x.dtype, [n, channels / block ** 2, height * block, width * block], { blocksize: block, mode: 'CRD' });
}

/** Rows of x along `axis` at the integer `indices`. */
export function gather(x: Value, indices: Value, axis: number): Value {
  const at = normalizeAxis('gather', axis, x.rank);
  const dims = [...x.dims.slice(0, at), ...indices.dims, ...x.dims.slice(at + 1)];
  return single('Gather', [x, indices], x.dtype, dims, { axis: at });
}

/** Repeats along axes of size 1 up to `dims`. */
export function expand(x: Value, dims: readonly number[]): Value {
  return single('Expand', [x, ints(x.graph, dims)], x.dtype, broadcastDims('expand', x.dims, dims));
}

// --- reductions ------------------------------------------------------------------------------------------------------

function reduce(op: string, x: Value, axes: readonly number[] | null, keepDims: boolean): Value {
  const at = (axes ?? x.dims.map((_, axis) => axis)).map((axis) => normalizeAxis(op, axis, x.rank));
  return single(op, [x, ints(x.graph, at)], x.dtype, reducedDims(x.dims, at, keepDims), { keepdims: keepDims ? 1 : 0 });
}

/** Sum over `axes` (null: all). */
export const reduceSum = (x: Value, axes: readonly number[] | null = null, keepDims = true): Value => reduce('ReduceSum', x, axes, keepDims);
/** Sum of squares over all elements: (). Its gradient is one pass, where that of a mean of products is four. */
export const sumOfSquares = (x: Value): Value => reduce('ReduceSumSquare', x, null, false);
/** Mean over `axes` (null: all). */
export const reduceMean = (x: Value, axes: readonly number[] | null = null, keepDims = true): Value => reduce('ReduceMean', x, axes, keepDims);
/** Largest over `axes` (null: all). No gradient. */
export const reduceMax = (x: Value, axes: readonly number[] | null = null, keepDims = true): Value => reduce('ReduceMax', x, axes, keepDims);

export function softmax(x: Value, axis = -1): Value {
  return single('Softmax', [x], x.dtype, x.dims, { axis: normalizeAxis('softmax', axis, x.rank) });
}

// --- attention -------------------------------------------------------------------------------------------------------

/**
 * Multi-head scaled dot-product attention without a mask (Vaswani et al., 2017, section 3.2): queries (B, Q, W), keys (B, K, W),
 * values (B, K, V) to (B, Q, V). The heads lie side by side in the last axis; of a batch of 1 there is one for all.
 */
export function attention(queries: Value, keys: Value, values: Value, heads: number): Value {
  const apart = (x: Value, order: readonly number[]): Value => {
    const width = x.dims[2] as number;
    if (width % heads !== 0) throw new RangeError(`attention: ${heads} heads do not divide a width of ${width}`);
    return transpose(reshape(x, [0, x.dims[1] as Dim, heads, width / heads]), order);
  };
  const scale = 1 / Math.sqrt((queries.dims[2] as number) / heads);
  const scores = matmul(mul(apart(queries, [0, 2, 1, 3]), scale), apart(keys, [0, 2, 3, 1])); // (B, heads, Q, K)
  const mixed = matmul(softmax(scores), apart(values, [0, 2, 1, 3])); // (B, heads, Q, V / heads)
  return reshape(transpose(mixed, [0, 2, 1, 3]), [0, queries.dims[1] as Dim, values.dims[2] as Dim]);
}

// --- normalisation ---------------------------------------------------------------------------------------------------

/** LayerNorm over the last axis: (x - mean) / sqrt(var + eps) * scale + bias. */
export function layerNorm(x: Value, scale: Value, bias: Value | null, eps: number): Value {
  const centred = sub(x, reduceMean(x, [-1]));
  const normal = div(centred, sqrt(add(reduceMean(square(centred), [-1]), eps)));
  const scaled = mul(normal, scale);
  return bias === null ? scaled : add(scaled, bias);
}

/** RMSNorm over the last axis: x / sqrt(mean(x^2) + eps) * scale. */
export function rmsNorm(x: Value, scale: Value, eps: number): Value {
  return mul(div(x, sqrt(add(reduceMean(square(x), [-1]), eps))), scale);
}

/** Number of elements of a tensor whose sizes are all known. @throws RangeError for a symbolic size. */
export function elementCount(x: Value): number {
  if (!x.dims.every((dim) => typeof dim === 'number')) throw new RangeError(`tensor "${x.name}" has a symbolic size: [${x.dims.join(', ')}]`);
  return sizeOf(x.dims as number[]);
}
