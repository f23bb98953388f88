/** Where a video's shots begin, seen in its latents alone: a cut throws the latent far, motion moves it little by little. */

/** A cut's distance lies this many robust deviations above the median distance of neighbours; the largest motion measured lay at 5.8, the smallest cut at 8.7. */
const DEVIATIONS = 6.5;
/** And it is at least this part of a latent's own length: two pictures that have nothing in common are about 1.4 lengths apart. */
const LEAST_LENGTH = 1;
/** Median absolute deviation to standard deviation, for normal numbers. */
const MAD_TO_DEVIATION = 1.4826;
/** Of two cuts nearer than this many frames the larger stands: a flash is no shot. */
const SHORTEST_SHOT = 3;

/**
 * Index of each shot's first frame, in order; the first is always 0.
 *
 * Latents are differences from the mean of the vision tower's training photos, so their length says how far apart unrelated pictures are. Both bounds
 * together hold where a video is all motion (median and deviation grow with it) and where it is all stillness (the length does not shrink).
 * Frames so far apart in time that every neighbour is another shot give none but the first.
 *
 * @param latents (T, D) row-major, T at least 1
 * @param dim D
 */
export function shotStarts(latents: Float32Array, dim: number): number[] {
  const frames = latents.length / dim;
  if (!Number.isInteger(frames) || frames < 1) throw new RangeError(`latents must be (T, ${dim}) with at least one frame; ${latents.length} numbers are not`);
  const distances = Array.from({ length: frames - 1 }, (_, t) => distance(latents, dim, t));
  if (distances.length === 0) return [0];
  const typical = median(distances);
  const deviation = MAD_TO_DEVIATION * median(distances.map((value) => Math.abs(value - typical)));
  const length = Math.sqrt(latents.reduce((sum, value) => sum + value ** 2, 0) / frames);
  const bound = Math.max(typical + DEVIATIONS * deviation, LEAST_LENGTH * length);
  const cuts: { frame: number; size: number }[] = [];
  distances.forEach((size, t) => {
    const frame = t + 1;
    if (size <= bound || frame < SHORTEST_SHOT || frames - frame < SHORTEST_SHOT) return;
    const before = cuts.at(-1);
    if (before !== undefined && frame - before.frame < SHORTEST_SHOT) {
      if (before.size >= size) return;
      cuts.pop();
    }
    cuts.push({ frame, size });
  });
  return [0, ...cuts.map(({ frame }) => frame)];
}

/** A shot: its frames `first` up to, not including, `end`, and when it is shown. */
export interface Shot {
  readonly first: number;
  readonly end: number;
  readonly start_s: number;
  readonly end_s: number;
}

/**
 * The shots of a video in order, without gaps from second 0 to its end.
 * @param latents (T, D) row-major
 * @param times_s (T)
 */
export function shotsOf(latents: Float32Array, dim: number, times_s: ArrayLike<number>, duration_s: number): Shot[] {
  const starts = shotStarts(latents, dim);
  return starts.map((first, i) => {
    const end = starts[i + 1] ?? times_s.length;
    const end_s = end === times_s.length ? duration_s : (times_s[end] as number);
    return { first, end, start_s: i === 0 ? 0 : (times_s[first] as number), end_s };
  });
}

/** Between frames t and t + 1. */
function distance(latents: Float32Array, dim: number, t: number): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += ((latents[(t + 1) * dim + d] as number) - (latents[t * dim + d] as number)) ** 2;
  return Math.sqrt(sum);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
