/** How both decoders scale: through FFmpeg's scale filter, in the system's program or inside node-av. */
import type { FrameSize } from './types.js';

/**
 * FFmpeg's scale filter: the mean over the covered pixels when shrinking, bicubic when enlarging, and ffmpeg's own
 * conversion, to the bit, when the size stays.
 */
export function scaleFilter(size: FrameSize, coded: FrameSize): string {
  const kernel = size.width * size.height < coded.width * coded.height ? 'area' : 'bicubic';
  const same = size.width === coded.width && size.height === coded.height;
  return `scale=${size.width}:${size.height}:flags=${same ? 'bicubic' : `${kernel}+accurate_rnd+full_chroma_int`}`;
}
