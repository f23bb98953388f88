/**
 * Reverse-mode differentiation: appends to a graph the nodes that compute the derivatives of a scalar.
 * A rule takes a node and the gradients of its outputs and gives the gradients of its inputs (null: none).
 */
import type { HostTensor } from '../runtime/tensor.js';
import type { Dim, GraphNode, Value } from './graph.js';
import * as ops from './ops.js';
import { convolutionGradients } from './convolution.js';

type Rule = (node: GraphNode, grads: readonly (Value | null)[]) => (Value | null)[];

/**
 * Gradients of `loss` (one element) with respect to `targets`, each with its target's shape.
 * With `upstream`, `loss` may have any shape, and `upstream` of that shape is the gradient of a scalar with respect to it:
 * the chain rule goes on from there (a vector-Jacobian product).
 * A target that the loss does not depend on gets zeros.
 *
 * @throws Error naming the operator, if one on the way has no rule.
 */
export function gradients(loss: Value, targets: readonly Value[], upstream?: Value): Value[] {
  const graph = loss.graph;
  if (upstream === undefined && ops.elementCount(loss) !== 1) {
    throw new RangeError(`gradients: the loss must have one element, it has shape [${loss.dims.join(', ')}]`);
  }
  if (upstream !== undefined && !sameShape(upstream, loss)) {
    throw new RangeError(`gradients: upstream has shape [${upstream.dims.join(', ')}], the loss [${loss.dims.join(', ')}]`);
  }
  const forward = [...graph.nodes];
  const active = dependents(forward, targets);
  const sums = new Map<Value, Value>([[loss, upstream ?? ones(loss)]]);
  for (const node of forward.reverse()) {
    if (!node.outputs.some((output) => active.has(output) && sums.has(output))) continue;
    const rule = RULES[node.op];
    if (rule === undefined) throw new Error(`gradients: operator ${node.op} has no gradient rule`);
    const inputGrads = rule(node, node.outputs.map((output) => sums.get(output) ?? null));
    node.inputs.forEach((input, i) => {
      const grad = inputGrads[i];
      if (input === null || grad === null || grad === undefined || !active.has(input)) return;
      const sum = sums.get(input);
      sums.set(input, sum === undefined ? grad : ops.add(sum, grad));
    });
  }
  return targets.map((target) => sums.get(target) ?? ops.mul(target, 0));
}

function sameShape(a: Value, b: Value): boolean {
  return a.rank === b.rank && a.dims.every((dim, axis) => dim === b.dims[axis]);
}

/** The values that depend on one of `targets`: only these need a gradient. */
function dependents(nodes: readonly GraphNode[], targets: readonly Value[]): Set<Value> {
  const active = new Set<Value>(targets);
  for (const node of nodes) {
    if (node.inputs.some((input) => input !== null && active.has(input))) node.outputs.forEach((output) => active.add(output));
  }
  return active;
}

function ones(loss: Value): Value {
  return ops.reshape(ops.constant(loss.graph, { dtype: 'float32', dims: [1], data: Float32Array.of(1) }), loss.dims);
}

/** Undoes broadcasting: sums `grad` down to the shape of `target`. */
function reduceTo(grad: Value, target: Value): Value {
  const lead = grad.rank - target.rank;
  const axes = grad.dims.flatMap((dim, axis) => (axis < lead || (target.dims[axis - lead] === 1 && dim !== 1) ? [axis] : []));
  if (axes.length === 0) return grad;
  if (axes.every((axis, i) => axis === i) && sizesKnown(grad)) return sumOfRows(grad, axes.length, target);
  const sum = ops.reduceSum(grad, axes, true);
  return lead === 0 ? sum : ops.reshape(sum, target.dims);
}

const sizesKnown = (x: Value): boolean => x.dims.every((dim) => typeof dim === 'number');

/** The sum over the first `lead` axes as a product with ones, three times as fast as a ReduceSum on CPUs. */
function sumOfRows(grad: Value, lead: number, target: Value): Value {
  const sizes = grad.dims as number[];
  const rows = sizes.slice(0, lead).reduce((product, size) => product * size, 1);
  const ones = ops.constant(grad.graph, { dtype: 'float32', dims: [1, rows], data: new Float32Array(rows).fill(1) });
  return ops.reshape(ops.matmul(ones, ops.reshape(grad, [rows, -1])), target.dims);
}

const input = (node: GraphNode, index: number): Value => node.inputs[index] as Value;
const output = (node: GraphNode): Value => node.outputs[0] as Value;

/** A rule for y = f(x) from dy and the node. */
function elementwise(derive: (grad: Value, node: GraphNode) => Value): Rule {
  return (node, [grad]) => [derive(grad as Value, node)];
}

/** A rule for y = f(a, b) with broadcasting. Only the gradients that exist are reduced to their operand's shape. */
function broadcasting(derive: (grad: Value, a: Value, b: Value, node: GraphNode) => readonly [() => Value, () => Value]): Rule {
  return (node, [grad]) => {
    const [a, b] = [input(node, 0), input(node, 1)];
    const [da, db] = derive(grad as Value, a, b, node);
    // Initialisers (constants) never need a gradient; not building it keeps the graph small.
    const isConstant = (value: Value): boolean => value.node === null && value.graph.initializers.has(value.name);
    return [isConstant(a) ? null : reduceTo(da(), a), isConstant(b) ? null : reduceTo(db(), b)];
  };
}

const integers = (node: GraphNode, index: number): number[] => {
  const value = input(node, index);
  const tensor = value.graph.initializers.get(value.name) as HostTensor;
  return Array.from(tensor.data as BigInt64Array, Number);
};

const RULES: Readonly<Record<string, Rule>> = {
  Add: broadcasting((g) => [() => g, () => g]),
  Sub: broadcasting((g) => [() => g, () => ops.neg(g)]),
  Mul: broadcasting((g, a, b) => [() => ops.mul(g, b), () => ops.mul(g, a)]),
  Div: broadcasting((g, _a, b, node) => [() => ops.div(g, b), () => ops.neg(ops.div(ops.mul(g, output(node)), b))]),
  Neg: elementwise((g) => ops.neg(g)),
  Exp: elementwise((g, node) => ops.mul(g, output(node))),
  Log: elementwise((g, node) => ops.div(g, input(node, 0))),
  Sqrt: elementwise((g, node) => ops.div(ops.mul(g, 0.5), output(node))),
  Tanh: elementwise((g, node) => ops.mul(g, ops.sub(1, ops.square(output(node))))),
  Sigmoid: elementwise((g, node) => ops.mul(g, ops.mul(output(node), ops.sub(1, output(node))))),
  Relu: elementwise((g, node) => ops.mul(g, ops.step(output(node)))),
  Sin: elementwise((g, node) => ops.mul(g, ops.cos(input(node, 0)))),
  Cos: elementwise((g, node) => ops.neg(ops.mul(g, ops.sin(input(node, 0))))),
  Abs: elementwise((g, node) => ops.mul(g, ops.sub(ops.step(input(node, 0)), ops.step(ops.neg(input(node, 0)))))),
  Erf: elementwise((g, node) => ops.mul(g, ops.mul(ops.exp(ops.neg(ops.square(input(node, 0)))), 2 / Math.sqrt(Math.PI)))),
  Clip: (node, [g]) => {
    const x = input(node, 0);
    const inside = ops.mul(ops.step(ops.sub(x, input(node, 1))), ops.step(ops.sub(input(node, 2), x)));
    return [ops.mul(g as Value, inside)];
  },
  Identity: (_node, [g]) => [g as Value],
  Cast: (node, [g]) => [node.attributes['to'] === 1 && input(node, 0).dtype === 'float32' ? (g as Value) : null],
  Greater: () => [null, null],

  MatMul: (node, [grad]) => {
    const g = grad as Value;
    const [a, b] = [input(node, 0), input(node, 1)];
    const da = reduceTo(ops.matmul(g, ops.transposeLast(b)), a);
    if (b.rank === 2 && a.rank > 2) {
      // One product over all rows instead of a batch of products and a sum.
      const rows = ops.reshape(a, [-1, b.dims[0] as Dim]);
      return [da, ops.matmul(ops.transposeLast(rows), ops.reshape(g, [-1, b.dims[1] as Dim]))];
    }
    return [da, reduceTo(ops.matmul(ops.transposeLast(a), g), b)];
  },
  Conv: (node, [g]) => convolutionGradients(node, g as Value),

  Reshape: (node, [g]) => [ops.reshape(g as Value, input(node, 0).dims), null],
  Transpose: (node, [g]) => {
    const permutation = node.attributes['perm'] as readonly number[];
    return [ops.transpose(g as Value, permutation.map((_, axis) => permutation.indexOf(axis)))];
  },
  Concat: (node, [g]) => {
    const axis = node.attributes['axis'] as number;
    return ops.split(g as Value, axis, node.inputs.map((value) => (value as Value).dims[axis] as number));
  },
  Split: (node, grads) => [
    ops.concat(node.outputs.map((piece, i) => grads[i] ?? ops.mul(piece, 0)), node.attributes['axis'] as number),
    null,
  ],
  Slice: (node, [g]) => {
    const [start, , axis, stride] = [1, 2, 3, 4].map((i) => integers(node, i)[0] as number) as [number, number, number, number];
    const x = input(node, 0);
    const size = x.dims[axis] as number;
    const at = Math.min(size, Math.max(0, start < 0 ? start + size : start));
    return [unslice(g as Value, axis, at, stride, size), null, null, null, null];
  },
  Gather: (node, [g]) => [scatter(g as Value, input(node, 0), input(node, 1), node.attributes['axis'] as number), null],
  Expand: (node, [g]) => [reduceTo(g as Value, input(node, 0)), null],

  ReduceSum: (node, [g]) => [unreduce(g as Value, node), null],
  ReduceMean: (node, [g]) => {
    const count = ops.elementCount(input(node, 0)) / ops.elementCount(output(node));
    return [unreduce(ops.mul(g as Value, 1 / count), node), null];
  },
  ReduceSumSquare: (node, [g]) => [ops.mul(input(node, 0), ops.mul(g as Value, 2)), null],
  Softmax: (node, [g]) => {
    const y = output(node);
    const weighted = ops.mul(g as Value, y);
    return [ops.sub(weighted, ops.mul(y, ops.reduceSum(weighted, [node.attributes['axis'] as number])))];
  },
};

/** Spreads the gradient of a reduction over the elements it came from. */
function unreduce(g: Value, node: GraphNode): Value {
  const x = input(node, 0);
  const axes = integers(node, 1);
  const kept = x.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return ops.expand(ops.reshape(g, kept), x.dims as number[]);
}

/** The gradient of a slice: its elements back at start, start + stride, …, zeros elsewhere. */
function unslice(g: Value, axis: number, start: number, stride: number, size: number): Value {
  const count = g.dims[axis] as number;
  let spread = g;
  if (stride > 1) {
    // (…, n, …) -> (…, n, 1, …) -> zeros after each element -> (…, n * stride, …)
    const apart = [...g.dims.slice(0, axis + 1), 1, ...g.dims.slice(axis + 1)];
    const merged = g.dims.map((dim, i) => (i === axis ? count * stride : dim));
    spread = ops.reshape(pad(ops.reshape(g, apart), axis + 1, 0, stride - 1), merged);
  }
  return pad(spread, axis, start, size - start - count * stride);
}

/** Zeros before and after along one axis; negative counts cut. */
function pad(x: Value, axis: number, before: number, after: number): Value {
  if (before === 0 && after === 0) return x;
  const pads = [...x.dims.map((_, i) => (i === axis ? before : 0)), ...x.dims.map((_, i) => (i === axis ? after : 0))];
  const amounts = ops.constant(x.graph, { dtype: 'int64', dims: [pads.length], data: BigInt64Array.from(pads, BigInt) });
  const dims = x.dims.map((dim, i) => (i === axis ? (dim as number) + before + after : dim));
  return x.graph.op('Pad', [x, amounts], { mode: 'constant' }, { outputs: [{ dtype: x.dtype, dims }] })[0] as Value;
}

/** The gradient of a gather: rows added up at their indices. */
function scatter(g: Value, x: Value, indices: Value, axis: number): Value {
  // Bring the gathered axes to the front, add rows up there, and put the axis back.
  const order = [...indices.dims.map((_, i) => axis + i), ...g.dims.map((_, i) => i).filter((i) => i < axis || i >= axis + indices.rank)];
  const rows = ops.transpose(g, order);
  const front = [x.dims[axis] as number, ...x.dims.filter((_, i) => i !== axis)] as number[];
  const at = ops.reshape(ops.cast(indices, 'int64'), [...indices.dims, 1]);
  const zero = ops.constant(x.graph, { dtype: 'float32', dims: front.map(() => 1), data: Float32Array.of(0) });
  const sums = x.graph.op('ScatterND', [ops.expand(zero, front), at, rows], { reduction: 'add' }, {
    outputs: [{ dtype: x.dtype, dims: front }],
  })[0] as Value;
  const back = x.dims.map((_, i) => (i === axis ? 0 : i < axis ? i + 1 : i));
  return ops.transpose(sums, back);
}
