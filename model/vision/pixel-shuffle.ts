/** Idefics3's connector (Laurençon et al., 2024): neighbouring patches become one wider token, which a linear map then reads. */
import { ops, type Value } from '../graph/index.js';
import type { Step } from './stages.js';

/**
 * Tokens of a square map (N, side * side, W) to (N, (side / factor)^2, W * factor^2): of each factor x factor block of patches
 * the numbers lie side by side, row by row.
 * @throws RangeError where `factor` does not divide the side
 */
export function pixelShuffle(x: Value, factor: number): Value {
  const [, count, width] = x.dims as [unknown, number, number];
  const side = Math.sqrt(count);
  if (!Number.isInteger(side / factor)) throw new RangeError(`a pixel shuffle by ${factor} needs a square of patches it divides, there are ${count}`);
  const part = side / factor;
  const blocks = ops.reshape(x, [0, part, factor, part, factor * width]);
  return ops.reshape(ops.transpose(blocks, [0, 1, 3, 2, 4]), [0, part * part, factor * factor * width]);
}

export function pixelShuffleStep(factor: number): Step {
  return { elements: 0, apply: (x) => pixelShuffle(x, factor) };
}
