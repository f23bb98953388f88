/** Adam (Kingma and Ba, 2015) as nodes of the training graph. */
import type { Value } from './graph.js';
import * as ops from './ops.js';

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the root of the second moment. Relative to bias-corrected moments, as in the paper's section 2 remark. */
  readonly epsilon: number;
}

export const ADAM_DEFAULTS: AdamOptions = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };

export interface AdamState {
  /** Parameters, first and second moment: one shape. */
  readonly parameters: Value;
  readonly first: Value;
  readonly second: Value;
}

/**
 * One update. The moments are kept without their (1 - beta) factors, which saves two passes over the parameters:
 * first' = beta1 first + g, second' = beta2 second + g^2. `rate` () carries those factors and the bias correction;
 * `adamRate` computes it for a step.
 */
export function adamStep(state: AdamState, gradient: Value, rate: Value, options: AdamOptions = ADAM_DEFAULTS): AdamState {
  const first = ops.add(ops.mul(state.first, options.beta1), gradient);
  const second = ops.add(ops.mul(state.second, options.beta2), ops.square(gradient));
  const change = ops.div(first, ops.add(ops.sqrt(second), options.epsilon / Math.sqrt(1 - options.beta2)));
  return { parameters: ops.sub(state.parameters, ops.mul(change, rate)), first, second };
}

/** The `rate` input of adamStep for learning rate `learningRate` at step `step` (the first step is 1). */
export function adamRate(learningRate: number, step: number, options: AdamOptions = ADAM_DEFAULTS): number {
  const { beta1, beta2 } = options;
  const corrected = Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step);
  return (learningRate * corrected * (1 - beta1)) / Math.sqrt(1 - beta2);
}
