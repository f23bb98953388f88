/** Photos through sharp, as videos of one frame. */
import sharp, { type Sharp } from 'sharp';
import { FrameSourceError } from './error.js';
import { checkFramesOptions, checkSize, MAX_PHOTO_PIXELS } from './limits.js';
import type { MediaFile } from './open.node.js';
import type { PhotoFormat } from './sniff.js';
import type { Frame, FrameSource, FramesOptions } from './types.js';

/** Pixels of the longer side of the small picture that a photo is decoded to when it is opened, to see whether it is whole. */
const LOOK_SIDE = 64;

/**
 * Opens a photo: turned as its EXIF orientation says, in sRGB, transparent parts on white. Of several pages the first is taken.
 * Of a photo that is cut off or damaged what can be decoded is shown, with a warning.
 *
 * @returns null where sharp does not read this kind of it, as HEIC; libav may
 * @throws FrameSourceError `media_damaged`, `too_large`.
 */
export async function openPhoto({ path, name }: MediaFile, format: PhotoFormat): Promise<FrameSource | null> {
  const header = await sharp(path, { limitInputPixels: false, pages: 1 })
    .metadata()
    .catch(() => null);
  if (header === null) return null;
  const { width, height } = header.autoOrient;
  checkSize(name, width, height, MAX_PHOTO_PIXELS);

  // Reading starts anew for each use; a limit in the decoder itself stops headers that lie about the size.
  const read = (failOn: 'error' | 'none'): Sharp => sharp(path, { limitInputPixels: MAX_PHOTO_PIXELS, pages: 1, failOn });
  const look = (failOn: 'error' | 'none'): Promise<unknown> => read(failOn).resize(LOOK_SIDE, LOOK_SIDE, { fit: 'inside' }).raw().toBuffer();
  // sharp names the file by its path.
  const reasonOf = (cause: unknown): string => firstLine(cause).replaceAll(path, name);
  const fault = await look('error').then(() => null, reasonOf);
  if (fault !== null && !(await look('none').then(() => true, () => false))) {
    if (format === 'heic') return null;
    throw new FrameSourceError('media_damaged', `${name} is a damaged ${format.toUpperCase()} photo (${fault}). Export it again.`);
  }

  let closed = false;
  return {
    info: { width, height, duration_s: 0, frames: 1, fps: null, kind: 'photo' },
    warnings: fault === null ? [] : [`The photo is damaged or cut off (${fault}); what is missing of it is shown in gray.`],
    async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
      checkFramesOptions(options);
      if (closed) throw new FrameSourceError('source_closed', `${name} was closed.`);
      options.signal?.throwIfAborted();
      let picture = read(fault === null ? 'error' : 'none').autoOrient().toColourspace('srgb').flatten({ background: '#ffffff' });
      if (options.size !== undefined) picture = picture.resize({ ...options.size, fit: 'fill' });
      const { data, info } = await picture
        .raw({ depth: 'uchar' })
        .toBuffer({ resolveWithObject: true })
        .catch((cause: unknown) => {
          throw new FrameSourceError('media_damaged', `${name} is a damaged ${format.toUpperCase()} photo (${reasonOf(cause)}). Export it again.`, { cause });
        });
      options.signal?.throwIfAborted();
      yield { width: info.width, height: info.height, time_s: 0, data: toRgb(data, info.channels) };
    },
    close(): Promise<void> {
      closed = true;
      return Promise.resolve();
    },
  };
}

/** (pixels, channels) bytes of grey or colour to (pixels, 3) in an array of their own. */
function toRgb(data: Buffer, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) rgb.fill(data[from] as number, to, to + 3);
  return rgb;
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? '';
}
