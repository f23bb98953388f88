/** Latent targets of all frames from the features of some of them. */

/**
 * Fills in the targets (T, D) of frames that have none yet, linearly in time between their neighbours that have
 * (before the first and after the last: the nearest). The features of neighbouring frames change slowly, so eight
 * frames are enough for a first answer; each further one replaces its interpolation.
 *
 * @throws RangeError when no frame is known.
 */
export function interpolateTargets(targets: Float32Array, dim: number, known: Uint8Array): void {
  const indices = [...known.keys()].filter((index) => known[index] === 1);
  const [first, last] = [indices[0], indices.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('no frame has features yet');
  const row = (index: number): Float32Array => targets.subarray(index * dim, (index + 1) * dim);
  for (let index = 0; index < first; index++) row(index).set(row(first));
  for (let index = last + 1; index < known.length; index++) row(index).set(row(last));
  for (let i = 0; i + 1 < indices.length; i++) {
    const [left, right] = [indices[i] as number, indices[i + 1] as number];
    const [from, to] = [row(left), row(right)];
    for (let index = left + 1; index < right; index++) {
      const weight = (index - left) / (right - left);
      row(index).set(from.map((value, d) => value + weight * ((to[d] as number) - value)));
    }
  }
}
