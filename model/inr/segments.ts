/** A video as shots, and shots as segments that get a network each. */

/** Side of the small picture that shots are told apart by: one mean colour a cell. */
const CELLS = 8;
/**
 * A cut changes the mean cell by this much of full brightness at least, and by this many times the largest change in the
 * few frames around it: a pan or a shaking camera changes every frame, a cut only one.
 */
const CUT_CHANGE = 0.06;
const CUT_CONTRAST = 2.5;
const NEIGHBOURHOOD = 4;

/** The mean colours (CELLS * CELLS * 3), in [0, 1], of a picture: RGB (height, width, 3). */
export function thumbnail({ width, height, data }: { readonly width: number; readonly height: number; readonly data: Uint8Array }): Float32Array {
  const sums = new Float32Array(CELLS * CELLS * 3);
  const counts = new Float32Array(CELLS * CELLS);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y * CELLS) / height) * CELLS;
    for (let x = 0; x < width; x++) {
      const cell = row + Math.floor((x * CELLS) / width);
      counts[cell] = (counts[cell] as number) + 1;
      for (let channel = 0; channel < 3; channel++) sums[cell * 3 + channel] = (sums[cell * 3 + channel] as number) + (data[at++] as number);
    }
  }
  return sums.map((sum, i) => sum / (255 * Math.max(1, counts[Math.floor(i / 3)] as number)));
}

/** Mean absolute difference of two thumbnails, in [0, 1]. */
export function thumbnailChange(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs((a[i] as number) - (b[i] as number));
  return sum / a.length;
}

/** First frames of the shots, the first of them 0. `changes[t]` (T) is the change from frame t - 1 to frame t; the first is not used. */
export function findShots(changes: ArrayLike<number>): number[] {
  const shots = [0];
  for (let t = 1; t < changes.length; t++) {
    const change = changes[t] as number;
    let around = 0;
    for (let s = Math.max(1, t - NEIGHBOURHOOD); s <= Math.min(changes.length - 1, t + NEIGHBOURHOOD); s++) {
      if (s !== t) around = Math.max(around, changes[s] as number);
    }
    if (change >= CUT_CHANGE && change >= CUT_CONTRAST * around) shots.push(t);
  }
  return shots;
}

/**
 * Frames of each segment, in order: shots, the long ones cut into equal parts of at most `most` frames, the ones shorter
 * than `least` joined to what comes before or after as long as the whole stays within `most`.
 *
 * @param shots first frames of the shots, the first of them 0.
 */
export function planSegments(shots: readonly number[], frames: number, { least, most }: { readonly least: number; readonly most: number }): number[] {
  const segments: number[] = [];
  for (const [i, start] of shots.entries()) {
    const length = (shots[i + 1] ?? frames) - start;
    const parts = Math.ceil(length / most);
    for (let part = 0; part < parts; part++) {
      const size = Math.floor(((part + 1) * length) / parts) - Math.floor((part * length) / parts);
      const before = segments.at(-1);
      if (before !== undefined && before + size <= most && (before < least || size < least)) segments[segments.length - 1] = before + size;
      else segments.push(size);
    }
  }
  return segments;
}
