/** A graph as a serialised model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Graph, ops, type Attribute, type Value } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32, type HostTensor } from '../../model/runtime/tensor.js';

test('large weights beside the serialised model give the same results as those in it', async () => {
  const graph = new Graph('beside');
  const weight = Float32Array.from({ length: 200 * 200 }, (_, i) => Math.sin(i));
  graph.output('y', ops.matmul(graph.input('x', 'float32', [1, 200]), graph.initializer('weight', float32(weight, [200, 200]))));
  const { model, weights } = graph.toOnnxParts();
  assert.equal(weights.length, 1);
  assert.ok(model.byteLength < 1000);
  const x = float32(Float32Array.from({ length: 200 }, (_, i) => Math.cos(i)), [1, 200]);
  const sessions = await Promise.all([nodeRuntime().createSession(graph.toOnnx()), nodeRuntime().createSession(model, { weights })]);
  const [inside, beside] = await Promise.all(sessions.map(async (session) => asFloat32((await session.run({ x })).y as HostTensor)));
  assert.deepEqual(beside, inside);
  await Promise.all(sessions.map((session) => session.release()));
});

test('a float among the attributes says that it is one, so that a whole one is not taken for an integer', async () => {
  const modelWith = (alpha: Attribute): Uint8Array => {
    const graph = new Graph('leaky');
    const x = graph.input('x', 'float32', [2]);
    graph.output('y', graph.op('LeakyRelu', [x], { alpha }, { outputs: [{ dtype: 'float32', dims: [2] }] })[0] as Value);
    return graph.toOnnx();
  };
  assert.throws(() => modelWith(0.5), /attribute alpha is 0\.5: write a float as \{ float: 0\.5 \}/);
  const session = await nodeRuntime().createSession(modelWith({ float: 1 }));
  const { y } = await session.run({ x: float32(Float32Array.of(-2, 3), [2]) });
  assert.deepEqual([...asFloat32(y as HostTensor)], [-2, 3]);
  await session.release();
});
