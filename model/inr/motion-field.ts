/**
 * Dense motion between two pictures as seen from a moment between them. Coarse to fine, with a robust data term and a
 * smoothness that yields at the edges of motion (Brox et al., ECCV 2004). Both pictures are warped towards the wanted
 * moment, so that each of its pixels has one motion: there are neither holes to fill nor collisions to decide.
 */
import { resize } from '../frames/resize.js';

/** An RGB picture of any size. */
export interface Picture {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** (height, width, 3), 0..255. */
  readonly data: Uint8Array;
}

/** For each pixel how far what it shows moves from the first picture to the second, in pixels of this field. */
export interface MotionField {
  readonly width: number;
  readonly height: number;
  /** To the right: (height, width). */
  readonly dx: Float32Array;
  /** Downwards: (height, width). */
  readonly dy: Float32Array;
}

/**
 * Most pixels of the largest picture motion is estimated on: the work is bounded whatever the frame's size, and a
 * quarter of a pixel there is still less than what warping blurs at 1280 x 720.
 */
const MAX_PIXELS = 60_000;
/** Shortest side of the smallest picture of the pyramid: below it there is no texture left to follow. */
const MIN_SIDE = 8;
/** Linearisations a level, and sweeps of the solver in each. */
const WARPS = 3;
const SWEEPS = 10;
/** Over-relaxation of the sweeps. */
const RELAXATION = 1.8;
/** Weight of smoothness against grey levels (0..255). */
const SMOOTHNESS = 4;
/** Grey levels below which a mismatch counts as noise, and pixels of motion below which a step counts as smooth. */
const NOISE = 2;
const SMOOTH_STEP = 0.1;

/** One channel: (height, width), 0..255. */
interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/**
 * The motion from `before` to `after`, for the pixels of the moment `beta` (0: before, 1: after) between them.
 *
 * The field has the pictures' aspect ratio and at most 60,000 pixels: `scaleField` brings it to their size.
 */
export function estimateMotion(before: Picture, after: Picture, beta: number): MotionField {
  const first = pyramid(before);
  const second = pyramid(after);
  let field: MotionField | null = null;
  for (let level = first.length - 1; level >= 0; level--) {
    const [a, b] = [first[level] as Grey, second[level] as Grey];
    field = field === null ? stillField(a.width, a.height) : scaleField(field, a.width, a.height);
    for (let warp = 0; warp < WARPS; warp++) {
      refine(a, b, beta, field);
      median(field.dx, a.width, a.height);
      median(field.dy, a.width, a.height);
    }
  }
  return field as MotionField;
}

function stillField(width: number, height: number): MotionField {
  return { width, height, dx: new Float32Array(width * height), dy: new Float32Array(width * height) };
}

/** The same motion for pictures of another size, bilinear in between. */
export function scaleField(field: MotionField, width: number, height: number): MotionField {
  if (field.width === width && field.height === height) return field;
  const scaled = stillField(width, height);
  const [scaleX, scaleY] = [field.width / width, field.height / height];
  for (let y = 0, i = 0; y < height; y++) {
    const sy = clamp((y + 0.5) * scaleY - 0.5, field.height - 1);
    const top = (sy | 0) * field.width;
    const bottom = Math.min((sy | 0) + 1, field.height - 1) * field.width;
    const fy = sy - (sy | 0);
    for (let x = 0; x < width; x++, i++) {
      const sx = clamp((x + 0.5) * scaleX - 0.5, field.width - 1);
      const left = sx | 0;
      const right = Math.min(left + 1, field.width - 1);
      const fx = sx - left;
      const at = (values: Float32Array): number => {
        const upper = (values[top + left] as number) * (1 - fx) + (values[top + right] as number) * fx;
        const lower = (values[bottom + left] as number) * (1 - fx) + (values[bottom + right] as number) * fx;
        return upper + fy * (lower - upper);
      };
      scaled.dx[i] = at(field.dx) / scaleX;
      scaled.dy[i] = at(field.dy) / scaleY;
    }
  }
  return scaled;
}

const clamp = (value: number, last: number): number => (value < 0 ? 0 : value > last ? last : value);

/** Grey pictures of halving size, largest first. */
function pyramid(picture: Picture): Grey[] {
  let level = picture;
  while (level.width * level.height > MAX_PIXELS) level = halved(level);
  const levels = [grey(level)];
  while (Math.min(level.width, level.height) >= 2 * MIN_SIDE) {
    level = halved(level);
    levels.push(grey(level));
  }
  return levels;
}

function halved(picture: Picture): Picture {
  const width = Math.ceil(picture.width / 2);
  const height = Math.ceil(picture.height / 2);
  return { width, height, data: resize(picture, width, height) };
}

function grey({ width, height, data }: Picture): Grey {
  const values = new Float32Array(width * height);
  for (let i = 0, s = 0; i < values.length; i++, s += 3) {
    values[i] = 0.25 * ((data[s] as number) + 2 * (data[s + 1] as number) + (data[s + 2] as number));
  }
  return { width, height, data: values };
}

/** `image` as seen after each pixel has moved by `share` of its motion, bilinear; beyond the frame its edge repeats. */
function warped({ width, height, data }: Grey, { dx, dy }: MotionField, share: number): Float32Array {
  const out = new Float32Array(width * height);
  const [right, bottom] = [width - 1, height - 1];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const sx = clamp(x + share * (dx[i] as number), right);
      const sy = clamp(y + share * (dy[i] as number), bottom);
      const at = (sy | 0) * width + (sx | 0);
      const step = (sx | 0) < right ? 1 : 0;
      const below = at + ((sy | 0) < bottom ? width : 0);
      const fx = sx - (sx | 0);
      const upper = (data[at] as number) + fx * ((data[at + step] as number) - (data[at] as number));
      const lower = (data[below] as number) + fx * ((data[below + step] as number) - (data[below] as number));
      out[i] = upper + (sy - (sy | 0)) * (lower - upper);
    }
  }
  return out;
}

/**
 * One linearisation: moves `field` (in place) towards the least
 * sum of rho(mismatch, NOISE) + SMOOTHNESS * rho(|gradient of motion|, SMOOTH_STEP), rho(s, e) = sqrt(s^2 + e^2).
 */
function refine(before: Grey, after: Grey, beta: number, field: MotionField): void {
  const { width, height, dx, dy } = field;
  const size = width * height;
  const a = warped(before, field, -beta);
  const b = warped(after, field, 1 - beta);
  // The mismatch b - a changes with the motion by (1 - beta) grad b + beta grad a: the gradient of this picture.
  const picture = a.map((value, i) => beta * value + (1 - beta) * (b[i] as number));
  // Normal equations of the data term, (xx xy; xy yy) (dx; dy) = -(bx; by), and the local weight of smoothness.
  const [xx, xy, yy, bx, by, weight] = Array.from({ length: 6 }, () => new Float32Array(size)) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
  for (let y = 0, i = 0; y < height; y++) {
    const up = y > 0 ? width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = 0; x < width; x++, i++) {
      const left = x > 0 ? 1 : 0;
      const right = x < width - 1 ? 1 : 0;
      const u = dx[i] as number;
      const v = dy[i] as number;
      const ux = (dx[i + right] as number) - u;
      const uy = (dx[i + down] as number) - u;
      const vx = (dy[i + right] as number) - v;
      const vy = (dy[i + down] as number) - v;
      weight[i] = SMOOTHNESS / Math.sqrt(ux * ux + uy * uy + vx * vx + vy * vy + SMOOTH_STEP ** 2);
      // What comes from outside a picture has no data: its motion follows from its neighbours alone.
      if (isOutside(x - beta * u, y - beta * v, width, height) || isOutside(x + (1 - beta) * u, y + (1 - beta) * v, width, height)) continue;
      const gx = 0.5 * ((picture[i + right] as number) - (picture[i - left] as number));
      const gy = 0.5 * ((picture[i + down] as number) - (picture[i - up] as number));
      const mismatch = (b[i] as number) - (a[i] as number);
      const robust = 1 / Math.sqrt(mismatch * mismatch + NOISE ** 2);
      const rest = mismatch - gx * u - gy * v;
      xx[i] = robust * gx * gx;
      xy[i] = robust * gx * gy;
      yy[i] = robust * gy * gy;
      bx[i] = robust * gx * rest;
      by[i] = robust * gy * rest;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let y = 0, i = 0; y < height; y++) {
      const up = y > 0 ? width : 0;
      const down = y < height - 1 ? width : 0;
      for (let x = 0; x < width; x++, i++) {
        const l = x > 0 ? i - 1 : i;
        const r = x < width - 1 ? i + 1 : i;
        const t = i - up;
        const d = i + down;
        const own = weight[i] as number;
        const wl = own + (weight[l] as number);
        const wr = own + (weight[r] as number);
        const wt = own + (weight[t] as number);
        const wd = own + (weight[d] as number);
        const sum = wl + wr + wt + wd;
        const u = dx[i] as number;
        const v = dy[i] as number;
        const around = wl * (dx[l] as number) + wr * (dx[r] as number) + wt * (dx[t] as number) + wd * (dx[d] as number);
        const cross = xy[i] as number;
        const newU = u + RELAXATION * ((around - (bx[i] as number) - cross * v) / ((xx[i] as number) + sum) - u);
        const aroundV = wl * (dy[l] as number) + wr * (dy[r] as number) + wt * (dy[t] as number) + wd * (dy[d] as number);
        dx[i] = newU;
        dy[i] = v + RELAXATION * ((aroundV - (by[i] as number) - cross * newU) / ((yy[i] as number) + sum) - v);
      }
    }
  }
}

const isOutside = (x: number, y: number, width: number, height: number): boolean => x < 0 || x > width - 1 || y < 0 || y > height - 1;

/** Median of each 3 x 3 neighbourhood inside the border, in place: single wrong motions disappear, edges stay. */
function median(values: Float32Array, width: number, height: number): void {
  const source = values.slice();
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      const [lowA, midA, highA] = sorted(source[i - width - 1] as number, source[i - width] as number, source[i - width + 1] as number);
      const [lowB, midB, highB] = sorted(source[i - 1] as number, source[i] as number, source[i + 1] as number);
      const [lowC, midC, highC] = sorted(source[i + width - 1] as number, source[i + width] as number, source[i + width + 1] as number);
      const low = Math.max(lowA, lowB, lowC);
      const high = Math.min(highA, highB, highC);
      const middle = Math.max(Math.min(midA, midB), Math.min(Math.max(midA, midB), midC));
      values[i] = Math.max(Math.min(low, high), Math.min(Math.max(low, high), middle));
    }
  }
}

function sorted(a: number, b: number, c: number): [number, number, number] {
  const low = Math.min(a, b);
  const high = Math.max(a, b);
  return c <= low ? [c, low, high] : c >= high ? [low, high, c] : [low, c, high];
}
