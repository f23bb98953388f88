/** Networks of a wanted size. */

/** Of what `build` makes of 1, 2, 3, ..., the last whose `size` is not above `limit`; the first where all are. Sizes rise. */
export function largestWithin<T>(build: (width: number) => T, size: (made: T) => number, limit: number): T {
  let best = build(1);
  for (let width = 2; ; width++) {
    const next = build(width);
    if (size(next) > limit) return best;
    best = next;
  }
}

/** Bits of a stored number in a peer's file, about: 8 before entropy coding. */
const STORED_BITS = 7;

/** How many stored numbers make a file of about `bytes` bytes. */
export function numbersOfBytes(bytes: number): number {
  return Math.floor((8 * bytes) / STORED_BITS);
}
