/** Numbers that are the same in every run of a test. */
export interface RandomNumbers {
  /** In [0, 1). */
  uniform(): number;
  /** Of mean 0 and deviation 1. */
  normal(): number;
  /** A whole number in [0, limit). */
  below(limit: number): number;
}

/** A small generator (mulberry32) started from `seed`. */
export function randomNumbers(seed: number): RandomNumbers {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    below: (limit) => Math.floor(uniform() * limit),
  };
}
