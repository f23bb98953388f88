/** Photos through sharp, as videos of one frame. */
import sharp from 'sharp';
import { FrameSourceError } from './error.js';
import { checkFramesOptions, checkSize, MAX_PHOTO_PIXELS } from './limits.js';
import type { MediaFile } from './open.node.js';
import type { PhotoFormat } from './sniff.js';
import type { Frame, FrameSource, FramesOptions } from './types.js';

/**
 * Opens a JPEG, PNG or WebP photo: turned as its EXIF orientation says, in sRGB, transparent parts on white.
 * Of an animated PNG or WebP the first picture is taken.
 *
 * @throws FrameSourceError `media_damaged`, `too_large`.
 */
export async function openPhoto({ path, name }: MediaFile, format: PhotoFormat): Promise<FrameSource> {
  // Reading starts anew for each use; a limit in the decoder itself stops headers that lie about the size.
  const read = () => sharp(path, { limitInputPixels: MAX_PHOTO_PIXELS, pages: 1, failOn: 'error' });
  const damaged = (cause: unknown): FrameSourceError =>
    new FrameSourceError('media_damaged', `${name} is a damaged ${format.toUpperCase()} photo (${firstLine(cause)}). Export it again.`, { cause });

  const header = await sharp(path, { limitInputPixels: false, pages: 1 })
    .metadata()
    .catch((cause: unknown) => {
      throw damaged(cause);
    });
  const { width, height } = header.autoOrient;
  checkSize(name, width, height, MAX_PHOTO_PIXELS);

  let closed = false;
  return {
    info: { width, height, duration_s: 0, frames: 1, fps: null, kind: 'photo' },
    async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
      checkFramesOptions(options);
      if (closed) throw new FrameSourceError('source_closed', `${name} was closed.`);
      options.signal?.throwIfAborted();
      let picture = read().autoOrient().toColourspace('srgb').flatten({ background: '#ffffff' });
      if (options.size !== undefined) picture = picture.resize({ ...options.size, fit: 'fill' });
      const { data, info } = await picture
        .raw({ depth: 'uchar' })
        .toBuffer({ resolveWithObject: true })
        .catch((cause: unknown) => {
          throw damaged(cause);
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
