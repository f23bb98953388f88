/** Which frames to take of many. */

/**
 * Indices of `count` frames out of `total`, uniform and without repeats: the middle frame of each of `count` equal
 * stretches, round((i + 0.5) * total / count - 0.5). All of them when there are no more than `count`.
 */
export function uniformIndices(total: number, count: number): number[] {
  if (total <= count) return Array.from({ length: total }, (_, index) => index);
  return Array.from({ length: count }, (_, index) => Math.round(((index + 0.5) * total) / count - 0.5));
}

/** Seconds into a video of the middles of `count` equal stretches of its duration. */
export function uniformTimes(duration: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => ((index + 0.5) * duration) / count);
}

/**
 * Every frame index once, in an order that makes a video useful early: first the `first` uniform ones that a chat
 * looks at, then the rest in sweeps over the whole video, each with half the stride of the one before.
 */
export function* progressiveOrder(total: number, first = 8): Generator<number, void, void> {
  const done = new Uint8Array(total);
  for (const index of uniformIndices(total, first)) {
    done[index] = 1;
    yield index;
  }
  for (let stride = 2 ** Math.floor(Math.log2(Math.max(total / first, 1))); stride >= 1; stride /= 2) {
    for (let index = 0; index < total; index += stride) {
      if (done[index] === 1) continue;
      done[index] = 1;
      yield index;
    }
  }
}

/** Of frames in order of time the one shown at `from_s`, and those after it. */
export async function* shownFrom<F extends { readonly time_s: number }>(frames: AsyncIterable<F>, from_s: number): AsyncGenerator<F, void, void> {
  let shown: F | null = null;
  for await (const frame of frames) {
    if (shown !== null && frame.time_s > from_s) yield shown;
    shown = frame;
  }
  if (shown !== null) yield shown;
}
