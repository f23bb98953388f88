/** From a video's size and a preset to a network and a training budget. */
import type { FrameSize, VideoInfo } from '../frames/types.js';
import type { InrConfig } from './config.js';

export type Preset = 'draft' | 'standard' | 'fine';
export const PRESETS: readonly Preset[] = ['draft', 'standard', 'fine'];

interface PresetShape {
  /** Seconds from the first frame read to the written file, unless the caller says otherwise. */
  readonly seconds: number;
  readonly hidden: number;
  readonly rank: number;
  readonly gridChannels: number;
  readonly basisCount: number;
  readonly basisChannels: number;
  /** Patches a cell of the basis grids spans on a side. */
  readonly basisStride: number;
}

/**
 * Bits of a tensor's values (eq. 3). The basis grids are most of a file and bear coarser steps: 6 bits instead of 8 took a
 * fifth off a file of Big Buck Bunny for 0.02 dB.
 */
const tensorBits = (name: string): number => (name === 'basis' ? 6 : 8);

const SHAPES: Readonly<Record<Preset, PresetShape>> = {
  draft: { seconds: 20, hidden: 64, rank: 8, gridChannels: 8, basisCount: 24, basisChannels: 8, basisStride: 2 },
  standard: { seconds: 60, hidden: 64, rank: 8, gridChannels: 8, basisCount: 32, basisChannels: 8, basisStride: 1 },
  fine: { seconds: 300, hidden: 96, rank: 8, gridChannels: 8, basisCount: 48, basisChannels: 8, basisStride: 1 },
};

/** Width in pixels a video is encoded at unless the caller says otherwise; smaller ones keep their own. */
export const DEFAULT_WIDTH = 320;
/** Largest encoded side in pixels: a step's memory grows with the area. */
export const MAX_SIDE = 1920;
/**
 * Most frames of one segment. Longer videos are sampled uniformly in time to this many: at 320 pixels wide they are
 * about 100 MB of pixels in memory, and 60 seconds of training still see each frame several dozen times.
 */
export const MAX_FRAMES = 600;
/** A photo needs less time than a video: a quarter of the preset's seconds. */
const PHOTO_SHARE = 0.25;
/** Patches a frame is cut into, about; more cost time, fewer make each patch harder to predict. */
const PATCHES = 2048;
const PATCH_SIDES = { min: 2, max: 12 } as const;

export interface PlanOptions {
  readonly preset: Preset;
  /** Encoded width in pixels; the height keeps the aspect ratio. Not with `size`. */
  readonly width?: number;
  /** Encoded size in pixels; the picture is stretched to it. */
  readonly size?: FrameSize;
  /** Seconds the whole encoding may take. Default: the preset's. */
  readonly seconds?: number;
}

export interface Plan {
  readonly size: FrameSize;
  readonly seconds: number;
  /** Bits of the values of the tensor of this name. */
  readonly bits: (name: string) => number;
  /** The network for a video of this many frames with latents of this many numbers. */
  config(frames: number, latentDim: number): InrConfig;
}

/** @throws RangeError naming the option that is out of range. */
export function planEncoding(info: VideoInfo, options: PlanOptions): Plan {
  const shape = SHAPES[options.preset];
  if (shape === undefined) throw new RangeError(`preset must be one of ${PRESETS.join(', ')}, got ${String(options.preset)}`);
  const size = encodedSize(info, options);
  const seconds = options.seconds ?? shape.seconds * (info.kind === 'photo' ? PHOTO_SHARE : 1);
  if (!(seconds >= 1 && seconds <= 86_400)) throw new RangeError(`seconds must be from 1 to 86400, got ${seconds}`);
  const { min, max } = PATCH_SIDES;
  const patch = Math.min(max, Math.max(min, Math.round(Math.sqrt((size.width * size.height) / PATCHES))));
  const rows = Math.ceil(size.height / patch);
  const columns = Math.ceil(size.width / patch);
  return {
    size,
    seconds,
    bits: tensorBits,
    config: (frames, latentDim) => ({
      ...size,
      frames,
      latentDim,
      patch,
      layers: 4,
      hidden: shape.hidden,
      rank: shape.rank,
      hyperHidden: 32,
      // One frame has nothing to mix: its detail goes into the grids.
      grids: [{ channels: frames === 1 ? 24 : shape.gridChannels, rows, columns }],
      basis: {
        count: frames === 1 ? 0 : Math.min(shape.basisCount, frames),
        channels: shape.basisChannels,
        rows: Math.ceil(rows / shape.basisStride),
        columns: Math.ceil(columns / shape.basisStride),
      },
    }),
  };
}

function encodedSize(info: VideoInfo, options: PlanOptions): FrameSize {
  if (options.size !== undefined && options.width !== undefined) throw new RangeError('give width or size, not both');
  const width = options.size?.width ?? options.width ?? Math.min(DEFAULT_WIDTH, info.width);
  const height = options.size?.height ?? Math.max(1, Math.round((info.height * width) / info.width));
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_SIDE) throw new RangeError(`the encoded ${name} must be a whole number of pixels from 1 to ${MAX_SIDE}, got ${value}`);
  }
  return { width, height };
}
