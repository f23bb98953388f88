/** Limits on files that strangers send, each with its reason. */
import { FrameSourceError } from './error.js';
import type { FramesOptions } from './types.js';

/** Pixels of one video frame: the squares that panoramas are stored in. Decoded it takes 100 MB, of which a decoder keeps a few. */
export const MAX_VIDEO_PIXELS = 8192 * 8192;

/** Pixels of a photo: above today's 108-megapixel cameras. Decoded whole it takes 3 bytes a pixel, 400 MB. */
export const MAX_PHOTO_PIXELS = 2 ** 27;

/** Pixels of a side, after the pixel aspect ratio is applied: the most H.264 and JPEG viewers commonly take. */
export const MAX_SIDE = 32_768;

/** Seconds. Longer is a recording to cut first; far longer is a damaged header. Up to here `limit` samples it. */
export const MAX_DURATION_S = 24 * 3600;

/** Bytes up to which a file is read whole to count its frames: a second or so of disk. */
export const MAX_COUNTED_BYTES = 256 * 2 ** 20;

/** Pixels that are decoded to count frames, in all of them together: about a second. Beyond it packets are counted. */
export const MAX_COUNTED_PIXELS = 2 ** 28;

/** Packets of a file: a day of video at 60 frames a second beside sound. A file of more is read up to there. */
export const MAX_PACKETS = 10_000_000;

/** Tracks of a file: a television multiplex has a few dozen. */
export const MAX_TRACKS = 256;

/** Reads in a row that find no packet, after which a file counts as ended: what lies between two sound parts of a damaged one. */
export const MAX_READ_FAILURES = 64;

/** Errors of a decoder that is to give out its last frames: it holds no more frames than this. */
export const MAX_FLUSH_FAILURES = 64;

/** Seconds without a new frame after which the decoder counts as stuck. A slow 4K AV1 seek takes under a minute. */
export const STALL_S = 120;

/** Boxes at the top of an MP4 that are looked at for truncation: an hour of fragments of one second each. */
export const MAX_TOP_LEVEL_BOXES = 8192;

/** Elements of a live Matroska recording that are looked at for truncation: ten minutes of pictures and sound, a second of reading. */
export const MAX_LIVE_ELEMENTS = 50_000;

/** Items and properties of a HEIF photo: a telephone's has some fifty tiles, the largest take a few hundred. */
export const MAX_HEIF_ITEMS = 4096;

/** Bytes of a HEIF photo's description. */
export const MAX_HEIF_META_BYTES = 2 ** 20;

/** @throws FrameSourceError `too_large` when a video's upright size is above the limits, `media_damaged` below 1 x 1. */
export function checkSize(name: string, width: number, height: number, maxPixels: number): void {
  if (!(width >= 1 && height >= 1)) {
    throw new FrameSourceError('media_damaged', `${name} says its pictures are ${width} x ${height} pixels; the file is damaged.`);
  }
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > maxPixels) {
    const limit = `${Math.floor(maxPixels / 1e6)} megapixels and ${MAX_SIDE} pixels a side`;
    throw new FrameSourceError('too_large', `${name} is ${width} x ${height} pixels, more than the limit of ${limit}. Scale it down first.`);
  }
}

/** @throws FrameSourceError `too_large` above MAX_DURATION_S, `media_damaged` when there is no sensible duration. */
export function checkDuration(name: string, duration: number): void {
  if (!Number.isFinite(duration) || duration < 0) {
    throw new FrameSourceError('media_damaged', `${name} gives no usable duration; the file is damaged.`);
  }
  if (duration > MAX_DURATION_S) {
    const hours = (duration / 3600).toFixed(1);
    throw new FrameSourceError('too_large', `${name} lasts ${hours} hours, more than the limit of ${MAX_DURATION_S / 3600}. Cut it first.`);
  }
}

/** @throws RangeError naming the option. */
export function checkFramesOptions(options: FramesOptions): void {
  if (options.size !== undefined) {
    for (const side of ['width', 'height'] as const) {
      const value = options.size[side];
      if (!Number.isInteger(value) || value < 1 || value > MAX_SIDE) {
        throw new RangeError(`size.${side} must be a whole number from 1 to ${MAX_SIDE}, got ${value}`);
      }
    }
    if (options.size.width * options.size.height > MAX_VIDEO_PIXELS) {
      throw new RangeError(`size ${options.size.width} x ${options.size.height} is above ${MAX_VIDEO_PIXELS} pixels`);
    }
  }
  if (options.from_s !== undefined && !(options.from_s >= 0 && options.limit === undefined)) {
    throw new RangeError(`from_s must be seconds from 0 on, without a limit, got ${options.from_s}`);
  }
  if (options.limit !== undefined && !(Number.isInteger(options.limit) && options.limit >= 1)) {
    throw new RangeError(`limit must be a whole number of frames from 1 on, got ${options.limit}`);
  }
}
