/**
 * The first of several turns to keep, such that it and all later ones fit.
 *
 * Turns are left out several at once: a conversation begins at its first turn or where another `step` of weight has passed. That place depends on
 * the turns before it alone, so it stays the same while a conversation grows, until it does not fit any more, and keys and values of everything
 * after it can be used again. Where no such place fits, the earliest turn that fits is taken.
 *
 * @param weights of the turns, at least one
 * @param fits whether the conversation from a turn on fits; where it does from one turn, it does from all later ones; never asked of the last turn
 * @returns the index of a turn; the last where nothing before fits
 */
export function firstKept(weights: readonly number[], step: number, fits: (turn: number) => boolean): number {
  let [low, high] = [0, weights.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  let passed = 0;
  for (const [turn, weight] of weights.entries()) {
    const before = passed - (weights[turn - 1] ?? 0);
    const begins = turn === 0 || Math.floor(passed / step) > Math.floor(before / step);
    if (begins && turn >= low) return turn;
    passed += weight;
  }
  return low;
}
