/** Moments that answers name, against the right ones: temporal overlap as in moment retrieval (Gao et al. 2017, R@1 at an IoU). */

/** Seconds. */
export type Moment = readonly [start: number, end: number];

/** A number of seconds, or two with a word or a dash between: "from 3.0 to 6.5 seconds", "at 2 s", "0:05"... only seconds are read. */
const NUMBERS = /\d+(?:\.\d+)?/g;

/**
 * The moment an answer names: its first two numbers, or its only one twice; null where it names none. Answers name the times of frames, so
 * each end is moved out by `margin_s`, half the time between two frames.
 */
export function momentOf(answer: string, margin_s: number): Moment | null {
  const [first, second] = (answer.match(NUMBERS) ?? []).map(Number);
  if (first === undefined) return null;
  const [start, end] = second === undefined ? [first, first] : [Math.min(first, second), Math.max(first, second)];
  return [Math.max(0, start - margin_s), end + margin_s];
}

/** Intersection over union of two moments, 0 to 1. */
export function overlap(a: Moment, b: Moment): number {
  const shared = Math.min(a[1], b[1]) - Math.max(a[0], b[0]);
  const union = Math.max(a[1], b[1]) - Math.min(a[0], b[0]);
  return shared <= 0 || union <= 0 ? 0 : shared / union;
}
