/** A segment in closed form as a network and free numbers: what step its coefficients are rounded to, and which basis images are worth their bytes. */
import {
  CHANNELS,  countedBits, countedCosts, encodeImages, encodeNetwork, firstCosts, roundImages, type CodedImages, type ContainerNetwork, type ContainerTensor, type ImageShape,
  type JsonObject, type Mixing, type RoundedImages,
} from '../container/index.js';
import type { ClosedForm } from './closed-form.js';
import type { TransformConfig } from './config.js';
import { COLOR } from './transform.js';

/** What a segment's file is to be like. */
export type RateGoal =
  /** Distance between the levels of a coefficient, in [0, 1] units of a pixel. */
  | { readonly kind: 'step'; readonly step: number }
  /** Bits a pixel. */
  | { readonly kind: 'bpp'; readonly bpp: number }
  /** PSNR in dB over all pixels of the segment, in as few bytes as there is to it. */
  | { readonly kind: 'psnr'; readonly psnr_db: number };

/** Steps that are looked at for a size or a quality: from lossless to a blur. */
export const STEPS = { least: 1 / 512, first: 0.2, most: 8 } as const;
/** Looks at most, and the share of the goal that is near enough: each takes the passes of one coding. */
const MAX_LOOKS = 8;
const NEAR = { bpp: 0.01, psnr_db: 0.02 } as const;
/** How the logarithms of bits and of squared error follow the step's, about. */
const SLOPES = { bits: -1.4, error: 1.4 } as const;
/**
 * Squared error, in squared steps, that one bit is worth. High-rate theory says (ln 2) / 6 = 0.116; on Big Buck Bunny 0.08 to 0.12 gave the
 * same curve, 0.05 and 0.23 worse ones.
 */
const PRICE = 0.115;
/** Bits of the tables and of the header. */
const FIXED_BITS = 4000;
/** Rounds of rounding by the costs that the round before counted. */
const PASSES = 3;

export interface CodedSegment {
  readonly config: TransformConfig;
  readonly tensors: ReadonlyMap<string, ContainerTensor>;
  readonly images: CodedImages;
  readonly mixing: Mixing;
  /** Mean squared error over the segment's pixels, in [0, 1] units, as far as it follows from the coefficients. */
  readonly mse: number;
}

/**
 * @param pause awaited between passes
 */
export async function codeSegment(form: ClosedForm, latentDim: number, goal: RateGoal, pause: () => Promise<void>): Promise<CodedSegment> {
  let step = goal.kind === 'step' ? goal.step : STEPS.first;
  let best = await attempt(form, step, pause);
  if (goal.kind === 'step') return segmentOf(form, latentDim, best);
  const tried = [best];
  for (let look = 1; look < MAX_LOOKS && !reached(goal, best); look++) {
    const next = nextStep(goal, tried);
    if (next === step) break;
    step = next;
    const attempted = await attempt(form, step, pause);
    tried.push(attempted);
    if (distance(goal, attempted) < distance(goal, best)) best = attempted;
  }
  return segmentOf(form, latentDim, best);
}

interface Attempt {
  readonly step: number;
  readonly rounded: RoundedImages;
  /** Which of the basis images were kept. */
  readonly kept: readonly number[];
  readonly mixing: Mixing;
  readonly mse: number;
  readonly bpp: number;
}

async function attempt(form: ClosedForm, wanted: number, pause: () => Promise<void>): Promise<Attempt> {
  // As the configuration says it, in a few digits.
  const step = Number(wanted.toPrecision(6));
  const { frames, images: all } = form;
  const { frames: count, width, height, patch } = frames.shape;
  const shape: ImageShape = { count: all.length, rows: frames.rows, columns: frames.columns, patch };
  let kept = all.map((_, k) => k);
  let costs = firstCosts();
  let rounded = roundImages(shape, all, { step, price: PRICE }, costs);
  for (let pass = 1; pass < PASSES; pass++) {
    await pause();
    const worth = worthwhile(rounded, count);
    kept = kept.filter((_, i) => worth[i]);
    costs = countedCosts(rounded.counts);
    const used = rounded.used.filter((_, i) => worth[i]);
    rounded = roundImages(shape, kept.map((k) => all[k] as Float32Array), { step, price: PRICE }, costs, used);
  }
  await pause();
  const mixing = mixingLevels(form, kept, rounded);
  const dropped = all.reduce((sum, image, k) => (kept.includes(k) ? sum : sum + energy(image)), 0);
  const errors = rounded.images.reduce((sum, { error }) => sum + error, 0) + (count * kept.length) / 12;
  return {
    step, rounded, kept, mixing,
    mse: (errors * step ** 2 + dropped + form.rest) / (count * frames.size),
    bpp: (countedBits(rounded) + FIXED_BITS + mixingBits(mixing)) / (count * width * height),
  };
}

/** Which images save more error than their bits, those of their free numbers among them, are worth. The first always is: a segment shows something. */
function worthwhile({ images }: RoundedImages, frames: number): boolean[] {
  return images.map(({ squares, saved, bits }, k) => k === 0 || (squares > 0 && saved > PRICE * (bits + frames * numberBits(Math.sqrt(squares / frames)))));
}

/** Bits of a free number of this deviation, about: the entropy of a normal number rounded to whole ones. */
function numberBits(deviation: number): number {
  return 0.5 * Math.log2(1 + 17 * deviation ** 2);
}

function mixingBits({ count, levels }: Mixing): number {
  let bits = 0;
  for (let k = 0; k < count; k++) {
    let squares = 0;
    for (let at = k; at < levels.length; at += count) squares += (levels[at] as number) ** 2;
    bits += (levels.length / count) * numberBits(Math.sqrt((squares * count) / levels.length));
  }
  return bits;
}

/** An image of levels has length sqrt(squares): a number of a frame is stored in parts of it, which makes its error as large as a coefficient's. */
function mixingLevels({ mixing, frames, images }: ClosedForm, kept: readonly number[], rounded: RoundedImages): Mixing {
  const { frames: count } = frames.shape;
  const levels = new Int16Array(count * kept.length);
  kept.forEach((k, column) => {
    const length = Math.sqrt((rounded.images[column] as { squares: number }).squares);
    for (let t = 0; t < count; t++) {
      const level = Math.round((mixing[t * images.length + k] as number) * length);
      levels[t * kept.length + column] = Math.max(-32_767, Math.min(32_767, level));
    }
  });
  return { count: kept.length, levels };
}

function energy(image: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < image.length; i++) sum += (image[i] as number) ** 2;
  return sum;
}

const psnrOf = ({ mse }: Attempt): number => -10 * Math.log10(mse);

/** How far an attempt is from the goal, in shares of what is near enough. A file that is too large, or too bad, is further away than one on the other side. */
function distance(goal: RateGoal, attempted: Attempt): number {
  if (goal.kind === 'step') return 0;
  const off = goal.kind === 'bpp' ? (attempted.bpp / goal.bpp - 1) / NEAR.bpp : (goal.psnr_db - psnrOf(attempted)) / NEAR.psnr_db;
  return off > 0 ? 4 * off : -off;
}

function reached(goal: RateGoal, attempted: Attempt): boolean {
  return distance(goal, attempted) <= 1;
}

/** The step at which the line through the two attempts nearest to the goal, or one of the usual slope, meets it. */
function nextStep(goal: Exclude<RateGoal, { kind: 'step' }>, tried: readonly Attempt[]): number {
  const value = (attempted: Attempt): number => Math.log(goal.kind === 'bpp' ? attempted.bpp : attempted.mse);
  const wanted = goal.kind === 'bpp' ? Math.log(goal.bpp * (1 - NEAR.bpp / 2)) : (-(goal.psnr_db + NEAR.psnr_db / 2) * Math.LN10) / 10;
  const [near, other] = [...tried].sort((a, b) => Math.abs(value(a) - wanted) - Math.abs(value(b) - wanted)) as [Attempt, Attempt?];
  const usual = goal.kind === 'bpp' ? SLOPES.bits : SLOPES.error;
  const measured = other === undefined ? usual : (value(near) - value(other)) / Math.log(near.step / other.step);
  const slope = Number.isFinite(measured) && measured / usual > 0.2 ? measured : usual;
  return Math.min(STEPS.most, Math.max(STEPS.least, near.step * Math.exp((wanted - value(near)) / slope)));
}

function segmentOf(form: ClosedForm, latentDim: number, { step, rounded, mixing, mse }: Attempt): CodedSegment {
  const { frames, width, height, patch } = form.frames.shape;
  return {
    config: { width, height, frames, latentDim, transform: { count: mixing.count, patch, step } },
    tensors: new Map([[COLOR, { dims: [CHANNELS, CHANNELS], data: form.color }]]),
    images: { shape: rounded.shape, stream: encodeImages(rounded) },
    mixing,
    mse,
  };
}

/** Bits of a tensor beside the basis images: the colors, and filters that enlarge. */
const TENSOR_BITS = { [COLOR]: 16, filters: 12 } as const;

/** The segment's network as a container stores it. `more`: tensors that draw nothing at the encoded size. */
export function segmentNetwork({ config, tensors, images }: CodedSegment, more: Iterable<readonly [string, ContainerTensor]> = []): Uint8Array {
  const network: ContainerNetwork = { config: config as unknown as JsonObject, tensors: new Map([...tensors, ...more]), images };
  return encodeNetwork(network, { levels: (name) => ({ bits: name === COLOR ? TENSOR_BITS[COLOR] : TENSOR_BITS.filters }) });
}
