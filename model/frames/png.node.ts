/** PNG files of frames, through sharp. */
import sharp, { type Sharp } from 'sharp';
import type { Frame } from './types.js';

type Picture = Pick<Frame, 'width' | 'height' | 'data'>;

const RAW_CHANNELS = 3;

/** The frame as the bytes of a PNG file. */
export function encodePng(frame: Picture): Promise<Buffer> {
  return raw(frame).png({ compressionLevel: 6 }).toBuffer();
}

/** Writes the frame as a PNG file. */
export async function writePng(path: string, frame: Picture): Promise<void> {
  await raw(frame).png({ compressionLevel: 6 }).toFile(path);
}

function raw(frame: Picture): Sharp {
  return sharp(frame.data, { raw: { width: frame.width, height: frame.height, channels: RAW_CHANNELS } });
}
