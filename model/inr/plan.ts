/** From a video's size and a preset to how its segments become networks. */
import type { Coder } from '../container/index.js';
import type { FrameSize, VideoInfo } from '../frames/types.js';
import type { GridConfig, InrConfig } from './config.js';
import { FACTOR } from './enlarge.js';
import type { RateGoal } from './segment-coder.js';

export type Preset = 'draft' | 'standard' | 'fine' | 'paper';
export const PRESETS: readonly Preset[] = ['draft', 'standard', 'fine', 'paper'];

/** The published network: deep, every layer modulated, trained from random numbers, rounded to 8 bits afterwards and Huffman coded. */
export interface TrainingPlan {
  readonly coder: Coder;
  readonly pace: TrainingPace;
  /** Seconds for a video of this many frames. */
  seconds(frames: number): number;
  /** The network for a segment of this many frames with latents of this many numbers. */
  config(frames: number, latentDim: number): InrConfig;
}

/** How a segment is trained. */
export interface TrainingPace {
  /** Peak learning rate, of the grids; training-step.ts says what the other tensors get of it. */
  readonly learningRate: number;
  /** Share of the patch rows, and of the columns, that a step looks at in each of its frames. */
  readonly share: number;
}

/** The preset `paper`. */
const PAPER = {
  seconds: 300, layers: 6, hidden: 512, rank: 8, hyperHidden: 128, gridChannels: 8, gridStrides: [1, 2, 4], coder: 'huffman', pace: { learningRate: 2e-2, share: 0.5 },
} as const;
const REFERENCE_FRAMES = 160;

/** Distance between the levels of a coefficient, in [0, 1] units of a pixel, of the presets that are closed forms. */
const PRESET_STEPS: Readonly<Record<Exclude<Preset, 'paper'>, number>> = { draft: 0.16, standard: 0.09, fine: 0.05 };

/** Sides of the transform's patches: the largest of which a frame's shorter side has four. */
const TRANSFORM_PATCHES = [16, 8, 4] as const;

/** Width in pixels a video is encoded at unless the caller says otherwise; smaller ones keep their own. */
export const DEFAULT_WIDTH = 320;
/** Largest encoded side in pixels: a step's memory grows with the area. */
export const MAX_SIDE = 1920;
/** Most frames of a video: ten minutes at 30 a second. Longer ones are sampled uniformly in time to this many. */
export const MAX_FRAMES = 18_000;
/**
 * Frames of one segment, which has a network of its own: enough for the frames to share much, few enough for its pixels to
 * be trained on from memory and for its first picture to come soon.
 */
const SEGMENT_FRAMES = { least: 32, most: 160 } as const;
/** Pixels of one segment's frames. In closed form each takes some 16 bytes of memory, its colors and its coefficients: 400 MB in all. */
const SEGMENT_PIXELS = 24 * 2 ** 20;
/** A photo needs less time than a video: a quarter of the preset's seconds. */
const PHOTO_SHARE = 0.25;
/**
 * Patches a frame of REFERENCE_PIXELS is cut into, about; more cost time and bytes, fewer make each patch harder to predict.
 * Frames with n times the pixels have sqrt(n) times the patches: they show more, but not n times more.
 */
const PATCHES = 3200;
const REFERENCE_PIXELS = 320 * 160;
const PATCH_SIDES = { min: 2, max: 16 } as const;

/** Pixels of a frame that enlarging is fitted to: 4K. */
const MAX_FITTED_PIXELS = 1 << 23;

export interface PlanOptions {
  readonly preset: Preset;
  /** Encoded width in pixels; the height keeps the aspect ratio. Not with `size`. */
  readonly width?: number;
  /** Encoded size in pixels; the picture is stretched to it. */
  readonly size?: FrameSize;
  /** Seconds the whole encoding may take where it trains; in closed form it takes what it takes. Default: the preset's, more for long and large videos. */
  readonly seconds?: number;
  /** Bits per pixel the file should have. Not with `targetPsnr`, nor for the preset paper. */
  readonly targetBpp?: number;
  /** PSNR in dB the decoded frames should have, in as few bytes as that takes. Likewise. */
  readonly targetPsnr?: number;
  /** What of the network of the preset paper is to be otherwise: for studies of its form. */
  readonly network?: NetworkChanges;
}

/** Of the trained network. */
export type NetworkChanges = Partial<Pick<InrConfig, 'patch' | 'layers' | 'hidden' | 'modulated'>>;

export interface Plan {
  readonly size: FrameSize;
  /** Size at which some frames are compared with what enlarging makes of them; null where the source shows no more than is encoded. */
  readonly enlarged: FrameSize | null;
  /** Limits of a segment's frames. */
  readonly segmentFrames: { readonly least: number; readonly most: number };
  /** How a segment becomes a network: in closed form, or by training. */
  readonly method: { readonly goal: RateGoal; readonly patch: number } | TrainingPlan;
}

/** @throws RangeError naming the option that is out of range. */
export function planEncoding(info: VideoInfo, options: PlanOptions): Plan {
  const { preset } = options;
  if (!PRESETS.includes(preset)) throw new RangeError(`preset must be one of ${PRESETS.join(', ')}, got ${String(preset)}`);
  const size = encodedSize(info, options);
  const { seconds } = options;
  if (seconds !== undefined && !(seconds >= 1 && seconds <= 7 * 86_400)) throw new RangeError(`seconds must be from 1 to ${7 * 86_400}, got ${seconds}`);
  const goal = rateGoal(options);
  const pixels = size.width * size.height;
  const enlarged = { width: size.width * FACTOR, height: size.height * FACTOR };
  const detailed = info.width * info.height > pixels && enlarged.width * enlarged.height <= MAX_FITTED_PIXELS;
  const shorter = Math.min(size.width, size.height);
  const most = Math.max(1, Math.min(SEGMENT_FRAMES.most, Math.floor(SEGMENT_PIXELS / pixels)));
  return {
    size,
    enlarged: detailed ? enlarged : null,
    segmentFrames: { least: Math.min(SEGMENT_FRAMES.least, most), most },
    method: goal === null ? trainingPlan(info, size, options) : { goal, patch: TRANSFORM_PATCHES.find((patch) => 4 * patch <= shorter) ?? 4 },
  };
}

function trainingPlan(info: VideoInfo, size: FrameSize, { seconds: given, network = {} }: PlanOptions): TrainingPlan {
  const pixels = size.width * size.height;
  const { min, max } = PATCH_SIDES;
  const patches = PATCHES * Math.sqrt(pixels / REFERENCE_PIXELS);
  const { patch = Math.min(max, Math.max(min, Math.round(Math.sqrt(pixels / patches)))), ...changes } = network;
  const rows = Math.ceil(size.height / patch);
  const columns = Math.ceil(size.width / patch);
  const work = Math.max(1, pixels / (2 * REFERENCE_PIXELS));
  const { layers, hidden, rank, hyperHidden, gridChannels, gridStrides, coder, pace } = PAPER;
  return {
    coder,
    pace,
    seconds: (frames) => given ?? PAPER.seconds * work * (info.kind === 'photo' ? PHOTO_SHARE : Math.max(1, frames / REFERENCE_FRAMES)),
    config: (frames, latentDim) => ({
      ...size, frames, latentDim, patch, layers, hidden, rank, hyperHidden, ...changes,
      grids: gridStrides.map((stride): GridConfig => ({ channels: gridChannels, rows: Math.ceil(rows / stride), columns: Math.ceil(columns / stride) })),
      basis: { count: 0, grids: [] },
    }),
  };
}

/** null: the network is trained, and there is no goal. */
function rateGoal({ preset, targetBpp, targetPsnr }: PlanOptions): RateGoal | null {
  if (targetBpp !== undefined && targetPsnr !== undefined) throw new RangeError('give targetBpp or targetPsnr, not both');
  if (preset === 'paper') {
    if (targetBpp !== undefined || targetPsnr !== undefined) throw new RangeError(`the preset ${preset} has no target: its tensors are rounded after the training`);
    return null;
  }
  if (targetBpp !== undefined) {
    if (!(targetBpp >= 0.01 && targetBpp <= 24)) throw new RangeError(`targetBpp must be from 0.01 to 24 bits per pixel, got ${targetBpp}`);
    return { kind: 'bpp', bpp: targetBpp };
  }
  if (targetPsnr === undefined) return { kind: 'step', step: PRESET_STEPS[preset] };
  if (!(targetPsnr >= 10 && targetPsnr <= 60)) throw new RangeError(`targetPsnr must be from 10 to 60 dB, got ${targetPsnr}`);
  return { kind: 'psnr', psnr_db: targetPsnr };
}

function encodedSize(info: VideoInfo, options: PlanOptions): FrameSize {
  if (options.size !== undefined && options.width !== undefined) throw new RangeError('give width or size, not both');
  const { width, height } = options.size ?? fittingSize(info, options.width ?? Math.min(DEFAULT_WIDTH, info.width));
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_SIDE) throw new RangeError(`the encoded ${name} must be a whole number of pixels from 1 to ${MAX_SIDE}, got ${value}`);
  }
  return { width, height };
}

/** The size of this width that keeps the aspect ratio; a smaller one where that would be higher than an encoded frame may be. */
function fittingSize(info: VideoInfo, width: number): FrameSize {
  const height = Math.max(1, Math.round((info.height * width) / info.width));
  if (height <= MAX_SIDE) return { width, height };
  return { width: Math.max(1, Math.round((info.width * MAX_SIDE) / info.height)), height: MAX_SIDE };
}
