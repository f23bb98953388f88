/** From a video's size and a preset to a network and a training budget. */
import type { Coder } from '../container/index.js';
import type { FrameSize, VideoInfo } from '../frames/types.js';
import type { GridConfig, InrConfig } from './config.js';
import { FACTOR } from './enlarge.js';
import type { RateGoal } from './rate-control.js';

export type Preset = 'draft' | 'standard' | 'fine' | 'paper';
export const PRESETS: readonly Preset[] = ['draft', 'standard', 'fine', 'paper'];

interface PresetShape {
  /**
   * Seconds from the first frame read to the written file, unless the caller says otherwise, of a video of up to
   * REFERENCE_FRAMES at the default width; longer or larger ones take proportionally longer.
   */
  readonly seconds: number;
  readonly layers: number;
  readonly hidden: number;
  readonly rank: number;
  readonly hyperHidden: number;
  /** Channels of each level of the coordinate grids, and patches a cell of each level spans on a side. */
  readonly gridChannels: number;
  readonly gridStrides: readonly number[];
  /** Sets of basis grids; channels of each of a set's grids, and patches a cell of each spans on a side. */
  readonly basisCount: number;
  readonly basisChannels: number;
  readonly basisStrides: readonly number[];
  /** Mean squared error that one bit a pixel is worth; null: bits are free, and rounding comes after the training. */
  readonly price: number | null;
  readonly coder: Coder | null;
  readonly training: TrainingPace;
}

/** How a segment is trained. Where there is time for a few hundred steps only, smaller ones at a higher rate get further. */
export interface TrainingPace {
  /** Peak learning rate, of the grids; training-step.ts says what the other tensors get of it. */
  readonly learningRate: number;
  /** Share of the patch rows, and of the columns, that a step looks at in each of its frames. */
  readonly share: number;
  /** Where the price of a number rises fastest, in steps of its tensor (training-step.ts). */
  readonly knee: number;
}
const QUICK: TrainingPace = { learningRate: 2e-2, share: 0.5, knee: 1 };
const THOROUGH: TrainingPace = { learningRate: 1e-2, share: 0.7, knee: 1 };

/**
 * Two layers behind many basis grids learn fastest: on Big Buck Bunny at 320 x 160, 1,500 steps gave 33.4 dB with two
 * layers, 32.5 with three, 31.7 with four. `paper` is the published form: deep, every layer modulated, no basis grids,
 * 8 bits and Huffman codes.
 */
const SHAPES: Readonly<Record<Preset, PresetShape>> = {
  draft: { seconds: 20, layers: 2, hidden: 64, rank: 8, hyperHidden: 32, gridChannels: 8, gridStrides: [1, 2, 4], basisCount: 16, basisChannels: 16, basisStrides: [1], price: 4e-3, coder: null, training: QUICK },
  standard: { seconds: 60, layers: 2, hidden: 64, rank: 8, hyperHidden: 32, gridChannels: 8, gridStrides: [1, 2, 4], basisCount: 40, basisChannels: 16, basisStrides: [1], price: 1.2e-3, coder: null, training: THOROUGH },
  fine: { seconds: 300, layers: 2, hidden: 96, rank: 8, hyperHidden: 32, gridChannels: 8, gridStrides: [1, 2, 4], basisCount: 48, basisChannels: 16, basisStrides: [1], price: 3e-4, coder: null, training: THOROUGH },
  paper: { seconds: 300, layers: 6, hidden: 512, rank: 8, hyperHidden: 128, gridChannels: 8, gridStrides: [1, 2, 4], basisCount: 0, basisChannels: 1, basisStrides: [1], price: null, coder: 'huffman', training: QUICK },
};
/**
 * What is otherwise for a file of few bits: what is smooth goes into coarse basis grids, where it takes fewer numbers, and the price draws
 * small numbers to zero harder. On Big Buck Bunny at 320 x 160, after 35 s: 29.4 dB at 0.139 bits a pixel, and 28.9 at 0.143 with one fine
 * grid and the common price. Above half a bit a pixel nothing is gained.
 */
const LOW_RATE = { basisChannels: 8, basisStrides: [1, 2, 4], training: { ...QUICK, knee: 0.7 } } as const satisfies Partial<PresetShape>;
const LOW_RATE_BPP = 0.4;
const REFERENCE_FRAMES = 160;
/** Frames that share a basis grid, at least: with 250 frames in four shots, four gave 0.7 dB more than one or two, in half the bytes. */
const FRAMES_PER_BASIS = 4;

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
/** Pixels of one segment's frames: 3 bytes each in memory. */
const SEGMENT_PIXELS = 1 << 26;
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
  /** Seconds the whole encoding may take. Default: the preset's, more for long and large videos. */
  readonly seconds?: number;
  /** Bits per pixel the file should have, as far as the network can be made to. Not with `targetPsnr`, nor for the preset paper. */
  readonly targetBpp?: number;
  /** PSNR in dB the decoded frames should have, in as few bytes as the time allows. Likewise. */
  readonly targetPsnr?: number;
  /** What of the preset's network is to be otherwise: for studies of its form. */
  readonly network?: NetworkChanges;
}

export interface NetworkChanges extends Partial<Pick<InrConfig, 'patch' | 'layers' | 'hidden' | 'modulated'>> {
  /** Basis grids; 0: the latents act through the modulation alone, as in the paper. */
  readonly basisCount?: number;
}

export interface Plan {
  readonly size: FrameSize;
  /** Size at which some frames are compared with what enlarging makes of them; null where the source shows no more than is encoded. */
  readonly enlarged: FrameSize | null;
  /** Seconds for a video of this many frames. */
  seconds(frames: number): number;
  /** null: bits are free and tensors are rounded after the training. */
  readonly goal: RateGoal | null;
  readonly coder: Coder | null;
  readonly training: TrainingPace;
  /** Limits of a segment's frames. */
  readonly segmentFrames: { readonly least: number; readonly most: number };
  /** The network for a segment of this many frames with latents of this many numbers. */
  config(frames: number, latentDim: number): InrConfig;
}

/** @throws RangeError naming the option that is out of range. */
export function planEncoding(info: VideoInfo, options: PlanOptions): Plan {
  const preset = SHAPES[options.preset];
  if (preset === undefined) throw new RangeError(`preset must be one of ${PRESETS.join(', ')}, got ${String(options.preset)}`);
  const size = encodedSize(info, options);
  const given = options.seconds;
  if (given !== undefined && !(given >= 1 && given <= 7 * 86_400)) throw new RangeError(`seconds must be from 1 to ${7 * 86_400}, got ${given}`);
  const goal = rateGoal(preset, options);
  const shape: PresetShape = goal?.kind === 'bpp' && goal.bpp <= LOW_RATE_BPP ? { ...preset, ...LOW_RATE } : preset;
  const pixels = size.width * size.height;
  const { min, max } = PATCH_SIDES;
  const patches = PATCHES * Math.sqrt(pixels / REFERENCE_PIXELS);
  const { basisCount = shape.basisCount, patch = Math.min(max, Math.max(min, Math.round(Math.sqrt(pixels / patches)))), ...changes } = options.network ?? {};
  const rows = Math.ceil(size.height / patch);
  const columns = Math.ceil(size.width / patch);
  const grids = (strides: readonly number[], channels: number): GridConfig[] =>
    strides.map((stride) => ({ channels, rows: Math.ceil(rows / stride), columns: Math.ceil(columns / stride) }));
  const work = Math.max(1, pixels / (2 * REFERENCE_PIXELS));
  const enlarged = { width: size.width * FACTOR, height: size.height * FACTOR };
  const detailed = info.width * info.height > pixels && enlarged.width * enlarged.height <= MAX_FITTED_PIXELS;
  return {
    size,
    enlarged: detailed ? enlarged : null,
    seconds: (frames) => given ?? shape.seconds * work * (info.kind === 'photo' ? PHOTO_SHARE : Math.max(1, frames / REFERENCE_FRAMES)),
    goal,
    coder: shape.coder,
    training: shape.training,
    segmentFrames: {
      least: SEGMENT_FRAMES.least,
      most: Math.max(SEGMENT_FRAMES.least, Math.min(SEGMENT_FRAMES.most, Math.floor(SEGMENT_PIXELS / pixels))),
    },
    config: (frames, latentDim) => ({
      ...size,
      frames,
      latentDim,
      patch,
      layers: shape.layers,
      hidden: shape.hidden,
      rank: shape.rank,
      hyperHidden: shape.hyperHidden,
      ...changes,
      // One frame has nothing to mix: its detail goes into the grids.
      grids: grids(shape.gridStrides, frames === 1 ? 3 * shape.gridChannels : shape.gridChannels),
      basis: { count: frames === 1 ? 0 : Math.min(basisCount, Math.ceil(frames / FRAMES_PER_BASIS)), grids: grids(shape.basisStrides, shape.basisChannels) },
    }),
  };
}

function rateGoal(shape: PresetShape, { preset, targetBpp, targetPsnr }: PlanOptions): RateGoal | null {
  if (targetBpp === undefined && targetPsnr === undefined) return shape.price === null ? null : { kind: 'price', price: shape.price };
  if (targetBpp !== undefined && targetPsnr !== undefined) throw new RangeError('give targetBpp or targetPsnr, not both');
  if (shape.price === null) throw new RangeError(`the preset ${preset} has no target: its tensors are rounded after the training`);
  if (targetBpp !== undefined) {
    if (!(targetBpp >= 0.01 && targetBpp <= 24)) throw new RangeError(`targetBpp must be from 0.01 to 24 bits per pixel, got ${targetBpp}`);
    return { kind: 'bpp', bpp: targetBpp };
  }
  if (!((targetPsnr as number) >= 10 && (targetPsnr as number) <= 60)) throw new RangeError(`targetPsnr must be from 10 to 60 dB, got ${targetPsnr}`);
  return { kind: 'psnr', psnr_db: targetPsnr as number };
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
