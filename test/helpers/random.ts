/** Numbers that are the same in every run of a test. */
import { normal, seededRandom } from '../../model/runtime/random.js';

export interface RandomNumbers {
  /** In [0, 1). */
  uniform(): number;
  /** Of mean 0 and deviation 1. */
  normal(): number;
  /** A whole number in [0, limit). */
  below(limit: number): number;
}

/** The project's own seeded generator, with what tests ask of it. */
export function randomNumbers(seed: number): RandomNumbers {
  const uniform = seededRandom(seed);
  return { uniform, normal: () => normal(uniform), below: (limit) => Math.floor(uniform() * limit) };
}
