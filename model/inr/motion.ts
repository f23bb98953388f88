/**
 * Frames between decoded frames, by motion: what lies between two neighbours is where both say it is. Costs no bytes
 * and runs in Node and the browser; where the neighbours do not match it falls back to their blend.
 */
import { estimateMotion, scaleField, type MotionField, type Picture } from './motion-field.js';

export type { Picture } from './motion-field.js';

/** Half the side, in pixels, of the square over which mismatches are averaged before they weigh the pixel in its middle. */
const MATCH_RADIUS = 2;
/** Squared mismatch of a pixel (sum over RGB, 0..255) that noise and coding cause by themselves. */
const NOISE = 4;
/** How much more a mismatch after warping counts than one before it: motion was chosen to make it small. */
const CAUTION = 3;
/**
 * Share of the plain mismatch that is left after warping, over the whole frame. Up to the first the motion is believed,
 * from the second on (measured at cuts between videos: 0.35 to 0.5, noise 0.65) nothing of it is.
 */
const MATCHED = 0.3;
const UNMATCHED = 0.4;

/**
 * The picture at the moment `beta` between two neighbours: 0 is `before`, 1 is `after`.
 *
 * Both neighbours are warped along the motion between them (cubic, Catmull-Rom) and blended (1 - beta) : beta. Where the
 * warped pictures still differ (occlusions, wrong motion) the plain blend gains weight, and it is all there is where the
 * whole frame does not match (cuts).
 *
 * @returns a new picture of the same size.
 * @throws RangeError naming the picture or `beta` that does not fit.
 */
export function interpolateFrames(before: Picture, after: Picture, beta: number): Picture {
  checkNeighbours(before, after, beta);
  const { width, height } = before;
  if (beta === 0 || beta === 1) return { width, height, data: (beta === 0 ? before : after).data.slice() };
  const field = scaleField(estimateMotion(before, after, beta), width, height);
  const first = warpCubic(before, field, -beta);
  const second = warpCubic(after, field, 1 - beta);
  const warpedError = localMean(squaredDifference(first, second), width, height, MATCH_RADIUS);
  const plainError = localMean(squaredDifference(before.data, after.data), width, height, MATCH_RADIUS);
  const belief = (UNMATCHED - sum(warpedError) / Math.max(sum(plainError), NOISE)) / (UNMATCHED - MATCHED);
  if (belief <= 0) return blendFrames(before, after, beta);
  const data = new Uint8ClampedArray(before.data.length);
  for (let i = 0, s = 0; i < warpedError.length; i++) {
    const plain = (plainError[i] as number) + NOISE;
    const trust = (Math.min(belief, 1) * plain) / (plain + CAUTION * ((warpedError[i] as number) + NOISE));
    for (let c = 0; c < 3; c++, s++) {
      const moved = (first[s] as number) + beta * ((second[s] as number) - (first[s] as number));
      const still = (before.data[s] as number) + beta * ((after.data[s] as number) - (before.data[s] as number));
      data[s] = still + trust * (moved - still);
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/**
 * The plain blend (1 - beta) before + beta after, pixel by pixel: what interpolation has to beat.
 *
 * @throws RangeError naming the picture or `beta` that does not fit.
 */
export function blendFrames(before: Picture, after: Picture, beta: number): Picture {
  checkNeighbours(before, after, beta);
  const { width, height } = before;
  return { width, height, data: before.data.map((value, i) => value + beta * ((after.data[i] as number) - value) + 0.5) };
}

function checkNeighbours(before: Picture, after: Picture, beta: number): void {
  for (const [name, { width, height, data }] of Object.entries({ before, after })) {
    if (data.length !== width * height * 3) throw new RangeError(`${name} is ${width} x ${height} pixels of RGB, ${width * height * 3} bytes, but has ${data.length}`);
  }
  if (before.width !== after.width || before.height !== after.height) {
    throw new RangeError(`before is ${before.width} x ${before.height} pixels and after ${after.width} x ${after.height}: scale one to the other first`);
  }
  if (!(beta >= 0 && beta <= 1)) throw new RangeError(`beta must be from 0 (before) to 1 (after), got ${beta}`);
}

/** `picture` sampled where each pixel lies after `share` of its motion; beyond the frame its edge repeats. (height, width, 3) */
function warpCubic({ width, height, data }: Picture, { dx, dy }: MotionField, share: number): Float32Array {
  const out = new Float32Array(data.length);
  const [right, bottom] = [width - 1, height - 1];
  for (let y = 0, i = 0, target = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++, target += 3) {
      const sx = Math.min(Math.max(x + share * (dx[i] as number), 0), right);
      const sy = Math.min(Math.max(y + share * (dy[i] as number), 0), bottom);
      const [x1, y1] = [sx | 0, sy | 0];
      const [fx, fy] = [sx - x1, sy - y1];
      const column0 = 3 * (x1 > 0 ? x1 - 1 : 0);
      const column1 = 3 * x1;
      const column2 = 3 * (x1 < right ? x1 + 1 : right);
      const column3 = 3 * (x1 + 1 < right ? x1 + 2 : right);
      const w0 = fx * (fx * (1 - 0.5 * fx) - 0.5);
      const w1 = 1 + fx * fx * (1.5 * fx - 2.5);
      const w2 = fx * (fx * (2 - 1.5 * fx) + 0.5);
      const w3 = fx * fx * (0.5 * fx - 0.5);
      let [red, green, blue] = [0, 0, 0];
      for (let tap = -1; tap <= 2; tap++) {
        const row = Math.min(Math.max(y1 + tap, 0), bottom) * width * 3;
        const weight = catmullRom(fy, tap);
        const p0 = row + column0;
        const p1 = row + column1;
        const p2 = row + column2;
        const p3 = row + column3;
        red += weight * (w0 * (data[p0] as number) + w1 * (data[p1] as number) + w2 * (data[p2] as number) + w3 * (data[p3] as number));
        green += weight * (w0 * (data[p0 + 1] as number) + w1 * (data[p1 + 1] as number) + w2 * (data[p2 + 1] as number) + w3 * (data[p3 + 1] as number));
        blue += weight * (w0 * (data[p0 + 2] as number) + w1 * (data[p1 + 2] as number) + w2 * (data[p2 + 2] as number) + w3 * (data[p3 + 2] as number));
      }
      out[target] = red;
      out[target + 1] = green;
      out[target + 2] = blue;
    }
  }
  return out;
}

/** Weight of the sample `tap` pixels after the one before the wanted place, which lies `f` (0 to 1) pixels after that one. */
function catmullRom(f: number, tap: number): number {
  if (tap === -1) return f * (f * (1 - 0.5 * f) - 0.5);
  if (tap === 0) return 1 + f * f * (1.5 * f - 2.5);
  if (tap === 1) return f * (f * (2 - 1.5 * f) + 0.5);
  return f * f * (0.5 * f - 0.5);
}

/** (height, width, 3) twice to (height, width): squared differences, summed over RGB. */
function squaredDifference(a: Uint8Array | Float32Array, b: Uint8Array | Float32Array): Float32Array {
  const out = new Float32Array(a.length / 3);
  for (let i = 0, s = 0; i < out.length; i++, s += 3) {
    const red = (a[s] as number) - (b[s] as number);
    const green = (a[s + 1] as number) - (b[s + 1] as number);
    const blue = (a[s + 2] as number) - (b[s + 2] as number);
    out[i] = red * red + green * green + blue * blue;
  }
  return out;
}

const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);

/** Mean over the square of this radius around each pixel, the part of it inside the frame. (height, width) */
function localMean(values: Float32Array, width: number, height: number, radius: number): Float32Array {
  return lineMeans(lineMeans(values, width, height, 1, width, radius), height, width, width, 1, radius);
}

/** Means over 2 * radius + 1 neighbours along lines of `length` values that lie `step` apart; lines lie `lineStep` apart. */
function lineMeans(values: Float32Array, length: number, lines: number, step: number, lineStep: number, radius: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    let total = 0;
    let count = 0;
    for (let i = -radius; i < length; i++) {
      if (i + radius < length) {
        total += values[start + (i + radius) * step] as number;
        count++;
      }
      if (i > radius) {
        total -= values[start + (i - radius - 1) * step] as number;
        count--;
      }
      if (i >= 0) out[start + i * step] = total / count;
    }
  }
  return out;
}
