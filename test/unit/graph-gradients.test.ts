/**
 * Every operator's value and gradient, on random shapes, against two independent judges: central finite differences of
 * our own forward pass, and @tensorflow/tfjs (pure JavaScript), which shares no code with ONNX Runtime or with us.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { Graph, gradients, ops, type Value } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32, int64, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import { seededRandom } from '../../model/runtime/random.js';

interface Case {
  readonly name: string;
  /** Shapes of the differentiable inputs, drawn at random. */
  readonly shapes: (dim: (min: number, max: number) => number) => number[][];
  readonly ours: (xs: Value[]) => Value;
  readonly theirs: (xs: tf.Tensor[]) => tf.Tensor;
  /** Values are drawn from here; default [-2, 2]. */
  readonly range?: readonly [number, number];
}

const vector: Case['shapes'] = (dim) => [[dim(1, 4), dim(1, 5)]];
const pair: Case['shapes'] = (dim) => {
  const [a, b] = [dim(2, 4), dim(2, 5)];
  return [[a, b], [a, b]];
};
/** (a, 1, c) with (b, 1): both operands are broadcast, over a leading and over inner axes. */
const spread: Case['shapes'] = (dim) => [[dim(2, 3), 1, dim(2, 4)], [dim(2, 4), 1]];
const positive = [0.3, 2] as const;

const unary = (name: string, ours: (x: Value) => Value, theirs: (x: tf.Tensor) => tf.Tensor, range?: readonly [number, number]): Case =>
  ({ name, shapes: vector, ours: ([x]) => ours(x as Value), theirs: ([x]) => theirs(x as tf.Tensor), ...(range && { range }) });
const binary = (name: string, ours: (a: Value, b: Value) => Value, theirs: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, range?: readonly [number, number]): Case[] =>
  [pair, spread].map((shapes, i) => ({
    name: `${name}${i === 1 ? ', broadcast' : ''}`, shapes, ours: ([a, b]) => ours(a as Value, b as Value), theirs: ([a, b]) => theirs(a as tf.Tensor, b as tf.Tensor), ...(range && { range }),
  }));

const CASES: Case[] = [
  ...binary('add', ops.add, tf.add),
  ...binary('sub', ops.sub, tf.sub),
  ...binary('mul', ops.mul, tf.mul),
  ...binary('div', ops.div, tf.div, positive),
  unary('neg', ops.neg, tf.neg),
  unary('exp', ops.exp, tf.exp),
  unary('log', ops.log, tf.log, positive),
  unary('sqrt', ops.sqrt, tf.sqrt, positive),
  unary('tanh', ops.tanh, tf.tanh),
  unary('sigmoid', ops.sigmoid, tf.sigmoid),
  unary('relu', ops.relu, tf.relu),
  unary('sin', ops.sin, tf.sin),
  unary('cos', ops.cos, tf.cos),
  unary('abs', ops.abs, tf.abs),
  unary('erf', ops.erf, tf.erf),
  unary('square', ops.square, tf.square),
  unary('gelu', ops.gelu, (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))),
  unary('geluTanh', ops.geluTanh, (x) => tf.mul(tf.mul(x, 0.5), tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.pow(x, 3)))))))),
  unary('quickGelu', ops.quickGelu, (x) => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))),
  unary('silu', ops.silu, (x) => tf.mul(x, tf.sigmoid(x))),
  unary('clip', (x) => ops.clip(x, -1.05, 0.95), (x) => tf.clipByValue(x, -1.05, 0.95)),
  unary('cast', (x) => ops.cast(x, 'float32'), (x) => tf.cast(x, 'float32')),
  unary('softmax', (x) => ops.softmax(x), (x) => tf.softmax(x)),
  unary('reduceSum over an axis', (x) => ops.reduceSum(x, [0], false), (x) => tf.sum(x, 0)),
  unary('sumOfSquares', (x) => ops.sumOfSquares(x), (x) => tf.sum(tf.square(x))),
  unary('reduceSum over all', (x) => ops.reduceSum(x), (x) => tf.sum(x, [0, 1], true)),
  unary('reduceMean', (x) => ops.reduceMean(x, [-1]), (x) => tf.mean(x, -1, true)),
  unary('reshape', (x) => ops.reshape(x, [-1]), (x) => tf.reshape(x, [-1])),
  unary('transpose', (x) => ops.transpose(x, [1, 0]), (x) => tf.transpose(x, [1, 0])),
  { name: 'transpose of three axes', shapes: (d) => [[d(1, 3), d(2, 4), d(2, 3)]], ours: ([x]) => ops.transpose(x as Value, [2, 0, 1]), theirs: ([x]) => tf.transpose(x as tf.Tensor, [2, 0, 1]) },
  { name: 'matmul', shapes: (d) => { const [m, k, n] = [d(1, 4), d(1, 5), d(1, 4)]; return [[m, k], [k, n]]; }, ours: ([a, b]) => ops.matmul(a as Value, b as Value), theirs: ([a, b]) => tf.matMul(a as tf.Tensor, b as tf.Tensor) },
  { name: 'matmul, batched', shapes: (d) => { const [f, m, k, n] = [d(2, 3), d(1, 4), d(1, 5), d(1, 4)]; return [[f, m, k], [f, k, n]]; }, ours: ([a, b]) => ops.matmul(a as Value, b as Value), theirs: ([a, b]) => tf.matMul(a as tf.Tensor, b as tf.Tensor) },
  { name: 'matmul, one matrix for the batch', shapes: (d) => { const k = d(1, 5); return [[d(2, 3), d(1, 4), k], [k, d(1, 4)]]; }, ours: ([a, b]) => ops.matmul(a as Value, b as Value), theirs: ([a, b]) => tf.reshape(tf.matMul(tf.reshape(a as tf.Tensor, [-1, (b as tf.Tensor).shape[0] as number]), b as tf.Tensor2D), [...(a as tf.Tensor).shape.slice(0, -1), (b as tf.Tensor).shape[1] as number]) },
  { name: 'matmul, a shared left side', shapes: (d) => { const k = d(2, 5); return [[d(2, 4), k], [d(2, 3), k, d(1, 4)]]; }, ours: ([a, b]) => ops.matmul(a as Value, b as Value), theirs: ([a, b]) => { const f = (b as tf.Tensor).shape[0] as number; return tf.matMul(tf.tile(tf.expandDims(a as tf.Tensor, 0), [f, 1, 1]), b as tf.Tensor); } },
  { name: 'concat', shapes: (d) => { const n = d(1, 3); return [[n, d(1, 3)], [n, d(1, 3)]]; }, ours: (xs) => ops.concat(xs, 1), theirs: (xs) => tf.concat(xs, 1) },
  { name: 'slice', shapes: (d) => [[d(5, 7), 3]], ours: ([x]) => ops.slice(x as Value, 0, 1, -1), theirs: ([x]) => tf.slice(x as tf.Tensor, [1, 0], [(x as tf.Tensor).shape[0] as number - 2, 3]) },
  { name: 'slice with a stride', shapes: (d) => [[d(5, 9), 3]], ours: ([x]) => ops.slice(x as Value, 0, 1, 5, 2), theirs: ([x]) => tf.gather(x as tf.Tensor, tf.tensor1d([1, 3], 'int32'), 0) },
  { name: 'split, one piece unused', shapes: () => [[5, 2]], ours: ([x]) => ops.square(ops.split(x as Value, 0, [2, 3])[1] as Value), theirs: ([x]) => tf.square(tf.split(x as tf.Tensor, [2, 3], 0)[1] as tf.Tensor) },
  { name: 'gather, an index twice', shapes: (d) => [[4, d(1, 3)]], ours: ([x]) => ops.gather(x as Value, ops.constant((x as Value).graph, int64([3, 0, 3])), 0), theirs: ([x]) => tf.gather(x as tf.Tensor, tf.tensor1d([3, 0, 3], 'int32'), 0) },
  { name: 'gather along the last axis', shapes: (d) => [[d(1, 3), 4]], ours: ([x]) => ops.gather(x as Value, ops.constant((x as Value).graph, int64([1, 1, 2])), 1), theirs: ([x]) => tf.gather(x as tf.Tensor, tf.tensor1d([1, 1, 2], 'int32'), 1) },
  { name: 'expand', shapes: (d) => [[1, d(2, 4)]], ours: ([x]) => ops.expand(x as Value, [3, (x as Value).dims[1] as number]), theirs: ([x]) => tf.tile(x as tf.Tensor, [3, 1]) },
  { name: 'layerNorm', shapes: (d) => { const n = d(3, 6); return [[d(1, 3), n], [n], [n]]; }, ours: ([x, s, b]) => ops.layerNorm(x as Value, s as Value, b as Value, 1e-3), theirs: ([x, s, b]) => { const m = tf.moments(x as tf.Tensor, -1, true); return tf.add(tf.mul(tf.div(tf.sub(x as tf.Tensor, m.mean), tf.sqrt(tf.add(m.variance, 1e-3))), s as tf.Tensor), b as tf.Tensor); } },
  { name: 'rmsNorm', shapes: (d) => { const n = d(3, 6); return [[d(1, 3), n], [n]]; }, ours: ([x, s]) => ops.rmsNorm(x as Value, s as Value, 1e-3), theirs: ([x, s]) => tf.mul(tf.div(x as tf.Tensor, tf.sqrt(tf.add(tf.mean(tf.square(x as tf.Tensor), -1, true), 1e-3))), s as tf.Tensor) },
  ...[1, 2].map((batch): Case => ({
    name: `attention, ${batch === 1 ? 'one set of queries for the batch' : 'batched'}`,
    shapes: (d) => { const [q, k, w, v] = [d(2, 4), d(2, 4), 2 * d(1, 2), 2 * d(1, 2)]; return [[batch, q, w], [2, k, w], [2, k, v]]; },
    ours: ([q, k, v]) => ops.attention(q as Value, k as Value, v as Value, 2),
    theirs: ([q, k, v]) => {
      const heads = (x: tf.Tensor): tf.Tensor[] => tf.split(x.shape[0] === 1 ? tf.tile(x, [2, 1, 1]) : x, 2, 2);
      const [queries, keys, values] = [heads(q as tf.Tensor), heads(k as tf.Tensor), heads(v as tf.Tensor)];
      return tf.concat([0, 1].map((head) => {
        const query = queries[head] as tf.Tensor;
        const scores = tf.div(tf.matMul(query, keys[head] as tf.Tensor, false, true), Math.sqrt(query.shape[2] as number));
        return tf.matMul(tf.softmax(scores), values[head] as tf.Tensor);
      }), 2);
    },
  })),
  ...[1, 2].map((stride): Case => ({
    name: `conv2d, stride ${stride}`,
    shapes: (d) => { const [c, m] = [d(1, 3), d(1, 3)]; return [[2, c, d(5, 8), d(5, 8)], [m, c, 3, 3], [m]]; },
    ours: ([x, w, b]) => ops.conv2d(x as Value, w as Value, b as Value, { stride, pads: [1, 1, 1, 1] }),
    theirs: ([x, w, b]) => tf.transpose(tf.add(tf.conv2d(tf.pad(tf.transpose(x as tf.Tensor4D, [0, 2, 3, 1]), [[0, 0], [1, 1], [1, 1], [0, 0]]) as tf.Tensor4D, tf.transpose(w as tf.Tensor4D, [2, 3, 1, 0]) as tf.Tensor4D, stride, 'valid'), b as tf.Tensor), [0, 3, 1, 2]),
  })),
  {
    name: 'conv2d, more padding than the kernel reaches',
    shapes: (d) => { const [c, m] = [d(1, 3), d(1, 3)]; return [[2, c, d(4, 6), d(4, 6)], [m, c, 2, 2]]; },
    ours: ([x, w]) => ops.conv2d(x as Value, w as Value, null, { pads: [2, 0, 1, 2] }),
    theirs: ([x, w]) => tf.transpose(tf.conv2d(tf.pad(tf.transpose(x as tf.Tensor4D, [0, 2, 3, 1]), [[0, 0], [2, 1], [0, 2], [0, 0]]) as tf.Tensor4D, tf.transpose(w as tf.Tensor4D, [2, 3, 1, 0]) as tf.Tensor4D, 1, 'valid'), [0, 3, 1, 2]),
  },
  {
    name: 'conv2d, two groups',
    shapes: (d) => { const [c, m] = [d(1, 3), d(1, 3)]; return [[2, 2 * c, d(5, 6), d(5, 6)], [2 * m, c, 3, 2]]; },
    ours: ([x, w]) => ops.conv2d(x as Value, w as Value, null, { pads: [1, 0, 0, 1], groups: 2 }),
    theirs: ([x, w]) => {
      const kernels = tf.split(w as tf.Tensor, 2, 0);
      const outputs = tf.split(x as tf.Tensor, 2, 1).map((half, i) => tf.conv2d(
        tf.pad(tf.transpose(half, [0, 2, 3, 1]), [[0, 0], [1, 0], [0, 1], [0, 0]]) as tf.Tensor4D, tf.transpose(kernels[i] as tf.Tensor4D, [2, 3, 1, 0]) as tf.Tensor4D, 1, 'valid'));
      return tf.transpose(tf.concat(outputs, 3), [0, 3, 1, 2]);
    },
  },
  {
    name: 'conv2d, depthwise',
    shapes: (d) => { const c = d(2, 4); return [[2, c, d(5, 8), d(5, 8)], [c, 1, 3, 3], [c]]; },
    ours: ([x, w, b]) => ops.conv2d(x as Value, w as Value, b as Value, { pads: [1, 1, 1, 1], groups: (w as Value).dims[0] as number }),
    theirs: ([x, w, b]) => tf.transpose(tf.add(tf.depthwiseConv2d(tf.transpose(x as tf.Tensor4D, [0, 2, 3, 1]) as tf.Tensor4D, tf.transpose(w as tf.Tensor4D, [2, 3, 0, 1]) as tf.Tensor4D, 1, 'same'), b as tf.Tensor), [0, 3, 1, 2]),
  },
  {
    name: 'conv2d, two groups, stride 2',
    shapes: (d) => { const [c, m] = [d(1, 3), d(1, 3)]; return [[2, 2 * c, d(5, 8), d(5, 8)], [2 * m, c, 3, 3]]; },
    ours: ([x, w]) => ops.conv2d(x as Value, w as Value, null, { stride: 2, pads: [1, 1, 1, 1], groups: 2 }),
    theirs: ([x, w]) => {
      const halves = (tensor: tf.Tensor, axis: number): tf.Tensor[] => tf.split(tensor, 2, axis);
      const kernels = halves(w as tf.Tensor, 0);
      const outputs = halves(x as tf.Tensor, 1).map((half, i) => tf.conv2d(
        tf.pad(tf.transpose(half, [0, 2, 3, 1]), [[0, 0], [1, 1], [1, 1], [0, 0]]) as tf.Tensor4D, tf.transpose(kernels[i] as tf.Tensor4D, [2, 3, 1, 0]) as tf.Tensor4D, 2, 'valid'));
      return tf.transpose(tf.concat(outputs, 3), [0, 3, 1, 2]);
    },
  },
];

/** Runs loss = sum(weights * f(xs)) and its gradients in ONNX Runtime. */
async function run(testCase: Case, inputs: HostTensor[], weights: (size: number) => Float32Array) {
  const graph = new Graph('case');
  const xs = inputs.map((tensor, i) => graph.input(`x${i}`, 'float32', tensor.dims));
  const y = testCase.ours(xs);
  const w = ops.constant(graph, float32(weights(ops.elementCount(y)), y.dims as number[]));
  const loss = ops.reduceSum(ops.mul(y, w), null, false);
  gradients(loss, xs).forEach((grad, i) => graph.output(`g${i}`, grad));
  graph.output('y', y);
  graph.output('loss', loss);
  const session = await nodeRuntime({ threads: 1 }).createSession(graph.toOnnx());
  const evaluate = (values: HostTensor[]) => session.run(Object.fromEntries(values.map((tensor, i) => [`x${i}`, tensor])));
  return { evaluate, release: () => session.release(), yDims: y.dims as number[] };
}

for (const testCase of CASES) {
  test(`${testCase.name}: value and gradient agree with tfjs and with finite differences`, async () => {
    const random = seededRandom(testCase.name);
    for (let trial = 0; trial < 3; trial++) {
      const shapes = testCase.shapes((min, max) => min + Math.floor(random() * (max - min + 1)));
      const [low, high] = testCase.range ?? [-2, 2];
      const inputs = shapes.map((dims) => float32(Float32Array.from({ length: sizeOf(dims) }, () => low + (high - low) * random()), dims));
      const weights = new Map<number, Float32Array>();
      const weightsOf = (size: number): Float32Array => {
        const made = weights.get(size) ?? Float32Array.from({ length: size }, () => random() * 2 - 1);
        weights.set(size, made);
        return made;
      };
      const { evaluate, release, yDims } = await run(testCase, inputs, weightsOf);
      const result = await evaluate(inputs);

      const tensors = inputs.map((tensor) => tf.tensor(asFloat32(tensor), [...tensor.dims]));
      const w = tf.tensor(weightsOf(sizeOf(yDims)), yDims);
      close(asFloat32(result['y'] as HostTensor), testCase.theirs(tensors).dataSync(), 1e-4, 'value');
      const tfGrads = tf.grads((...xs: tf.Tensor[]) => tf.sum(tf.mul(testCase.theirs(xs), w)))(tensors);
      for (const [i, input] of inputs.entries()) {
        const ours = asFloat32(result[`g${i}`] as HostTensor);
        assert.deepEqual((result[`g${i}`] as HostTensor).dims, input.dims, 'a gradient has the shape of its input');
        close(ours, (tfGrads[i] as tf.Tensor).dataSync(), 1e-3, `gradient ${i} against tfjs`);
        await checkDifferences(ours, inputs, i);
      }
      await release();

      async function checkDifferences(ours: Float32Array, at: HostTensor[], index: number): Promise<void> {
        const data = asFloat32(at[index] as HostTensor);
        const h = 4e-3;
        for (let k = 0; k < data.length; k++) {
          const loss = async (shift: number): Promise<number> => {
            const moved = Float32Array.from(data);
            moved[k] = (data[k] as number) + shift;
            const values = at.map((tensor, i) => (i === index ? float32(moved, tensor.dims) : tensor));
            return asFloat32((await evaluate(values))['loss'] as HostTensor)[0] as number;
          };
          const slope = ((await loss(h)) - (await loss(-h))) / (2 * h);
          const got = ours[k] as number;
          // A kink (relu, abs, clip) between x - h and x + h makes the difference meaningless there.
          const kinks = { relu: [0], abs: [0], clip: [-1.05, 0.95] }[testCase.name] ?? [];
          if (kinks.some((kink) => Math.abs((data[k] as number) - kink) <= h)) continue;
          assert.ok(Math.abs(slope - got) <= 0.02 * Math.max(1, Math.abs(got)), `element ${k} of gradient ${index}: ${got}, finite differences ${slope}`);
        }
      }
    }
  });
}

test('a gradient through a value used twice is the sum of both uses', async () => {
  const graph = new Graph('twice');
  const x = graph.input('x', 'float32', [3]);
  const loss = ops.reduceSum(ops.add(ops.mul(x, 2), ops.square(x)), null, false);
  graph.output('g', gradients(loss, [x])[0] as Value);
  const session = await nodeRuntime({ threads: 1 }).createSession(graph.toOnnx());
  const { g } = await session.run({ x: float32(Float32Array.of(1, -2, 0.5), [3]) });
  close(asFloat32(g as HostTensor), [4, -2, 3], 1e-6, 'gradient');
});

test('with a gradient from upstream the chain rule goes on from it, also where that gradient depends on the target', async () => {
  const graph = new Graph('upstream');
  const x = graph.input('x', 'float32', [3]);
  const y = ops.square(x);
  const upstream = ops.mul(y, 10); // a function of x that must be taken as it is: 2 x * 10 x^2, not the derivative of 10 x^4
  graph.output('gradient', gradients(y, [x], upstream)[0] as Value);
  const session = await nodeRuntime({ threads: 1 }).createSession(graph.toOnnx());
  const { gradient } = await session.run({ x: float32(Float32Array.of(1, -2, 3), [3]) });
  await session.release();
  close(asFloat32(gradient as HostTensor), [20, -160, 540], 1e-5, 'gradient');
  assert.throws(() => gradients(y, [x], ops.reduceSum(x, null, false)), /upstream has shape \[\], the loss \[3\]/);
  assert.throws(() => gradients(y, [x]), /must have one element/);
});

test('an operator without a rule is named', () => {
  const graph = new Graph('no rule');
  const x = graph.input('x', 'float32', [3]);
  const [y] = graph.op('Round', [x], {}, { outputs: [{ dtype: 'float32', dims: [3] }] });
  assert.throws(() => gradients(ops.reduceSum(y as Value, null, false), [x]), /operator Round has no gradient rule/);
});

test('shapes that do not fit are refused when the graph is built', () => {
  const graph = new Graph('shapes');
  const a = graph.input('a', 'float32', [2, 3]);
  const b = graph.input('b', 'float32', [4, 5]);
  assert.throws(() => ops.add(a, b), /add|Add.*do not broadcast/);
  assert.throws(() => ops.matmul(a, b), /inner sizes differ/);
  assert.throws(() => ops.reshape(a, [7]), /has 6 elements/);
});

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < actual.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    assert.ok(Math.abs(a - e) <= tolerance * Math.max(1, Math.abs(e)), `${what}: element ${i} is ${a}, expected ${e}`);
  }
}
