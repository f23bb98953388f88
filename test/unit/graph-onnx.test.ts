/** A graph as a serialised model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Graph, ops } from '../../model/graph/index.js';
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
