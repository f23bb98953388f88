/** Antialiased resampling of RGB pictures, in whole numbers. Runs in Node and the browser. */

/**
 * `triangle`: bilinear with its support widened when shrinking; so are `bicubic` (Keys, 1981, a = -0.5) and `lanczos` (3 lobes).
 * `area`: the mean over the covered source pixels. All but `area` give Pillow's bytes.
 */
export type ResizeFilter = 'triangle' | 'area' | 'bicubic' | 'lanczos';

const CHANNELS = 3;
/** Fixed point: weights carry 22 fraction bits, so that a weighted sum of bytes stays within 31 bits. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * Scales an RGB picture to `width` x `height` pixels (the sides scale independently).
 *
 * @param frame `data` is (height, width, 3) bytes.
 * @returns (height, width, 3) bytes, a new array.
 * @throws RangeError when a size is not a whole number from 1, or `frame.data` does not have the size it claims.
 */
export function resize(
  frame: { readonly width: number; readonly height: number; readonly data: Uint8Array },
  width: number,
  height: number,
  filter: ResizeFilter = 'triangle',
): Uint8Array {
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a whole number of pixels from 1 on, got ${value}`);
  }
  if (frame.data.length !== frame.width * frame.height * CHANNELS) {
    throw new RangeError(`a ${frame.width} x ${frame.height} RGB frame has ${frame.width * frame.height * CHANNELS} bytes, got ${frame.data.length}`);
  }
  const narrowed = frame.width === width ? frame.data : resizeRows(frame.data, frame.width, frame.height, width, filter);
  if (frame.height !== height) return resizeColumns(narrowed, frame.height, width * CHANNELS, height, filter);
  return narrowed === frame.data ? narrowed.slice() : narrowed;
}

/** For each output position: where its source pixels start, how many there are, and their weights, `stride` apart. */
interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

/** A video asks for the same few pairs of sizes again and again. */
const tapsCache = new Map<string, Taps>();
const TAPS_KEPT = 16;

function tapsFor(from: number, to: number, filter: ResizeFilter): Taps {
  const key = `${from} ${to} ${filter}`;
  const known = tapsCache.get(key);
  if (known !== undefined) return known;
  if (tapsCache.size >= TAPS_KEPT) tapsCache.clear();
  const taps = makeTaps(from, to, filter);
  tapsCache.set(key, taps);
  return taps;
}

/** A filter by the distance from a pixel's centre, in pixels of the larger picture, and how far it reaches. */
interface Kernel {
  readonly reach: number;
  weight(distance: number): number;
}

const KERNELS: Readonly<Record<Exclude<ResizeFilter, 'area'>, Kernel>> = {
  triangle: { reach: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: {
    reach: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
  lanczos: { reach: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function makeTaps(from: number, to: number, filter: ResizeFilter): Taps {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const kernel = filter === 'area' ? null : KERNELS[filter];
  const support = kernel === null ? widening / 2 : kernel.reach * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to);
  const counts = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  const exact = new Float64Array(stride);
  for (let out = 0; out < to; out++) {
    const centre = (out + 0.5) * scale;
    // A kernel weighs pixels by their centres, an area by how much of each pixel it covers.
    const start = Math.max(kernel === null ? Math.floor(centre - support) : Math.floor(centre - support + 0.5), 0);
    const end = Math.min(kernel === null ? Math.ceil(centre + support) : Math.floor(centre + support + 0.5), from);
    let sum = 0;
    for (let pixel = start; pixel < end; pixel++) {
      const weight =
        kernel === null
          ? Math.max(Math.min(pixel + 1, centre + support) - Math.max(pixel, centre - support), 0)
          : kernel.weight((pixel + 0.5 - centre) / widening);
      exact[pixel - start] = weight;
      sum += weight;
    }
    starts[out] = start;
    counts[out] = end - start;
    for (let tap = 0; tap < end - start; tap++) {
      weights[out * stride + tap] = Math.round(((exact[tap] as number) / sum) * 2 ** FRACTION_BITS);
    }
  }
  return { starts, counts, weights, stride };
}

/**
 * Where sums are written. Weights of triangle and area are not negative and sum to one, give or take a few units of the last
 * fraction bit, so these need no clamp; the others overshoot at edges.
 */
function bytesFor(filter: ResizeFilter, length: number): Uint8Array | Uint8ClampedArray {
  return filter === 'triangle' || filter === 'area' ? new Uint8Array(length) : new Uint8ClampedArray(length);
}

/** The bytes of what `bytesFor` gave, without a copy. */
function plain(bytes: Uint8Array | Uint8ClampedArray): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** (height, from, 3) to (height, to, 3). */
function resizeRows(data: Uint8Array, from: number, height: number, to: number, filter: ResizeFilter): Uint8Array {
  const { starts, counts, weights, stride } = tapsFor(from, to, filter);
  const result = bytesFor(filter, height * to * CHANNELS);
  let target = 0;
  for (let y = 0; y < height; y++) {
    const row = y * from * CHANNELS;
    for (let x = 0; x < to; x++) {
      let source = row + (starts[x] as number) * CHANNELS;
      let tap = x * stride;
      const last = tap + (counts[x] as number);
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (; tap < last; tap++, source += CHANNELS) {
        const weight = weights[tap] as number;
        red += Math.imul(weight, data[source] as number);
        green += Math.imul(weight, data[source + 1] as number);
        blue += Math.imul(weight, data[source + 2] as number);
      }
      result[target++] = red >> FRACTION_BITS;
      result[target++] = green >> FRACTION_BITS;
      result[target++] = blue >> FRACTION_BITS;
    }
  }
  return plain(result);
}

/** (from, rowBytes) to (to, rowBytes): whole rows are added up, so memory is read in order. */
function resizeColumns(data: Uint8Array, from: number, rowBytes: number, to: number, filter: ResizeFilter): Uint8Array {
  const { starts, counts, weights, stride } = tapsFor(from, to, filter);
  const result = bytesFor(filter, to * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < to; y++) {
    sums.fill(HALF);
    const first = starts[y] as number;
    for (let tap = 0; tap < (counts[y] as number); tap++) {
      const weight = weights[y * stride + tap] as number;
      const row = (first + tap) * rowBytes;
      for (let x = 0; x < rowBytes; x++) sums[x] = (sums[x] as number) + Math.imul(weight, data[row + x] as number);
    }
    const row = y * rowBytes;
    for (let x = 0; x < rowBytes; x++) result[row + x] = (sums[x] as number) >> FRACTION_BITS;
  }
  return plain(result);
}
