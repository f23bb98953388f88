/** How a frame becomes the square picture a tower was trained on, as preprocessor_config.json says it. */
import type { Frame, FrameSize } from '../frames/types.js';
import { resize, type ResizeFilter } from '../frames/resize.js';
import type { Normalisation } from './vit.js';

export interface Preparation extends Normalisation {
  /** Side of the square in pixels. */
  readonly size: number;
  readonly filter: ResizeFilter;
  /** `squash`: both sides become `size`. `crop`: the shorter one becomes `shortest`, then the middle square is cut out. */
  readonly fit: 'squash' | 'crop';
  /** Only for `crop`; at least `size`. */
  readonly shortest?: number;
  /** Only for `squash`: the longer side is first brought to this, the other with it. Idefics3 does so; it costs sharpness. */
  readonly longest?: number;
}

/** Pixels of the longer side of a frame that is still to be cut: a strip of one pixel's height must not become a picture of gigabytes. */
const MAX_SIDE = 16_384;

/** The size at which frames should be asked for, so that no more than the middle has to be cut out. */
export function preparedSize({ size, fit, shortest = size }: Preparation, { width, height }: FrameSize): FrameSize {
  if (fit === 'squash') return { width: size, height: size };
  const long = Math.min(MAX_SIDE, Math.floor((shortest * Math.max(width, height)) / Math.min(width, height)));
  return width <= height ? { width: shortest, height: long } : { width: long, height: shortest };
}

/** (size, size, 3) bytes. A frame that has its prepared size already is not scaled again. */
export function prepare(preparation: Preparation, frame: Pick<Frame, 'width' | 'height' | 'data'>): Uint8Array {
  const { size, filter, fit, longest } = preparation;
  const target = preparedSize(preparation, frame);
  const same = frame.width === target.width && frame.height === target.height;
  const first = longest === undefined || same ? frame : scaled(frame, longestSide(frame, longest), filter);
  const picture = scaled(first, target, filter);
  return fit === 'squash' ? picture.data : cropped(picture, size);
}

function scaled(frame: Pick<Frame, 'width' | 'height' | 'data'>, { width, height }: FrameSize, filter: ResizeFilter): FrameSize & { data: Uint8Array } {
  return { width, height, data: resize(frame, width, height, filter) };
}

/** Idefics3's rule: the shorter side is rounded down, then up to an even number. */
function longestSide({ width, height }: FrameSize, longest: number): FrameSize {
  const shorter = (ratio: number): number => {
    const side = Math.trunc(ratio);
    return Math.max(1, side % 2 === 0 ? side : side + 1);
  };
  const aspect = width / height;
  return width >= height ? { width: longest, height: shorter(longest / aspect) } : { width: shorter(longest * aspect), height: longest };
}

/** The middle square. */
function cropped({ width, height, data }: FrameSize & { data: Uint8Array }, size: number): Uint8Array {
  const [left, top] = [Math.floor((width - size) / 2), Math.floor((height - size) / 2)];
  const result = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const start = ((top + row) * width + left) * 3;
    result.set(data.subarray(start, start + size * 3), row * size * 3);
  }
  return result;
}
