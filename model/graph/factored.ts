/**
 * An adaptive update of a large matrix whose gradient is a product of two thin ones, G = left^T right: as Adafactor (Shazeer
 * and Stern, 2018), with a second moment that is an outer product of a row's and a column's, here taken from the factors
 * themselves. Neither G nor a moment of its size is ever computed: two passes over the matrix instead of Adam's twelve.
 */
import { ADAM_DEFAULTS, type AdamOptions } from './adam.js';
import type { Value } from './graph.js';
import * as ops from './ops.js';

export interface FactoredState {
  /** (m, n) */
  readonly parameters: Value;
  /** (m, n): the change of the last steps, faded by beta1 a step. */
  readonly momentum: Value;
  /** (m) and (n): second moments of the gradient by row and by column, without their (1 - beta2). */
  readonly rows: Value;
  readonly columns: Value;
}

/** What a step of `factoredStep` divided by; who adds a term of his own to the update scales it alike. */
export interface FactoredStep {
  readonly state: FactoredState;
  /** (n): 1 / root of the second moment of each column. */
  readonly columnScale: Value;
}

/** One update for the gradient left^T right of `left` (F, m) and `right` (F, n). `rate` () is that of `adamStep`. */
export function factoredStep(state: FactoredState, left: Value, right: Value, rate: Value, options: AdamOptions = ADAM_DEFAULTS): FactoredStep {
  const { beta1, beta2, epsilon } = options;
  const frames = left.dims[0] as number;
  const squares = ops.square(left); // (F, m)
  const rows = ops.add(ops.mul(state.rows, beta2), ops.reduceSum(squares, [0], false));
  // Where the products of different frames cancel on average, the mean over rows of G^2 is the sum over frames of both squares.
  const weights = ops.reshape(ops.reduceMean(squares, [1], false), [1, frames]);
  const columns = ops.add(ops.mul(state.columns, beta2), ops.reshape(ops.matmul(weights, ops.square(right)), state.columns.dims));
  const columnScale = ops.div(1, ops.add(ops.sqrt(columns), epsilon / Math.sqrt(1 - beta2))); // (n)
  const relative = ops.div(rows, ops.add(ops.reduceMean(rows, null, false), epsilon)); // (m), 1 on average
  const scaledLeft = ops.div(ops.mul(left, rate), ops.sqrt(ops.add(relative, epsilon)));
  const momentum = ops.addProduct(scaledLeft, ops.mul(right, columnScale), state.momentum, beta1);
  return { state: { parameters: ops.sub(state.parameters, momentum), momentum, rows, columns }, columnScale };
}
