/**
 * Linear interpolation as a product with a matrix: gradients flow through it where a gather's would have to be
 * scattered.
 */
import type { Value } from './graph.js';
import * as ops from './ops.js';

/**
 * (S, nodes): row s holds the weights of the nodes at position s. Node k lies at k; beyond the outer nodes their value
 * is held.
 *
 * @param positions (S), counted in nodes. Whole ones give rows of a single 1.
 */
export function linearWeights(positions: Value, nodes: number): Value {
  const count = positions.dims[0] as number;
  const held = ops.clip(ops.reshape(positions, [count, 1]), 0, nodes - 1);
  const index = ops.constant(positions.graph, {
    dtype: 'float32',
    dims: [1, nodes],
    data: Float32Array.from({ length: nodes }, (_, k) => k),
  });
  return ops.relu(ops.sub(1, ops.abs(ops.sub(held, index))));
}
