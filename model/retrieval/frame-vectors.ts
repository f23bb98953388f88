/** The vectors of a video's frames in a byte a number: a quarter of the memory, and what is searched when there are thousands of videos. */

export interface FrameVectors {
  /** (T, dim) whole numbers, each frame's on a scale of its own. */
  readonly numbers: Int8Array;
  /** (T): one over the length of each frame's numbers, which makes a unit vector of them. */
  readonly scales: Float32Array;
  readonly dim: number;
}

const MOST = 127;

/** Rounds unit vectors (T, dim); a cosine moves by less than 0.005. */
export function packVectors(vectors: Float32Array, dim: number): FrameVectors {
  const frames = vectors.length / dim;
  const numbers = new Int8Array(vectors.length);
  for (let t = 0; t < frames; t++) {
    let largest = 0;
    for (let i = t * dim; i < (t + 1) * dim; i++) largest = Math.max(largest, Math.abs(vectors[i] as number));
    for (let i = t * dim; i < (t + 1) * dim; i++) numbers[i] = Math.round(((vectors[i] as number) * MOST) / (largest || 1));
  }
  return { numbers, scales: scalesOf(numbers, dim), dim };
}

/** The scales of stored numbers. */
export function scalesOf(numbers: Int8Array, dim: number): Float32Array {
  return Float32Array.from({ length: numbers.length / dim }, (_, t) => {
    let squares = 0;
    for (let i = t * dim; i < (t + 1) * dim; i++) squares += (numbers[i] as number) ** 2;
    return squares === 0 ? 0 : 1 / Math.sqrt(squares);
  });
}

/** The cosine of each frame with a unit vector (dim), (T). */
export function cosines({ numbers, scales, dim }: FrameVectors, query: Float32Array): Float32Array {
  if (query.length !== dim) throw new RangeError(`the query has ${query.length} numbers, the frames' vectors ${dim}`);
  return scales.map((scale, t) => {
    let sum = 0;
    for (let d = 0, i = t * dim; d < dim; d++, i++) sum += (numbers[i] as number) * (query[d] as number);
    return sum * scale;
  });
}

/** One frame's unit vector (dim). */
export function vectorOf({ numbers, scales, dim }: FrameVectors, frame: number): Float32Array {
  const scale = scales[frame];
  if (scale === undefined) throw new RangeError(`frame ${frame} is none of the ${scales.length} there are`);
  return Float32Array.from(numbers.subarray(frame * dim, (frame + 1) * dim), (value) => value * scale);
}

/** The unit vector (dim) that lies in the middle of all frames', each counted alike. */
export function meanVector(vectors: FrameVectors): Float32Array {
  const mean = new Float32Array(vectors.dim);
  for (let frame = 0; frame < vectors.scales.length; frame++) vectorOf(vectors, frame).forEach((value, i) => ((mean[i] as number) += value));
  const length = Math.hypot(...mean) || 1;
  return mean.map((value) => value / length);
}
