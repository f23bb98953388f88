/**
 * Our frames drawn at four times the encoded size: by the decoder, and by the filters that anyone has, from the same
 * decoded frames.
 */
import sharp from 'sharp';
import { openPart, type Clip } from '../../client/peers/clip.js';
import { LinrDecoder, MAX_ENLARGEMENT } from '../../model/inr/decoder.js';
import { psnr } from '../../model/inr/quality.js';
import type { Runtime } from '../../model/runtime/types.js';

/** Frames that are compared, at most. */
export const ENLARGED_FRAMES = 24;

/** A table: mean PSNR in dB against the video's own frames at that size. */
export async function enlargement(
  { file, size, frames }: Clip,
  container: Uint8Array,
  runtime: Runtime,
): Promise<string[][]> {
  const large = { width: size.width * MAX_ENLARGEMENT, height: size.height * MAX_ENLARGEMENT };
  const decoder = new LinrDecoder(container, runtime);
  const { times_s } = (await decoder.file()).meta;
  const source = await openPart(file, frames.length);
  const sums = { decoder: 0, lanczos3: 0, cubic: 0 };
  let count = 0;
  try {
    for await (const truth of source.frames({ size: large, limit: ENLARGED_FRAMES })) {
      const t = times_s.findIndex((time) => time > truth.time_s - 1e-4);
      if (t < 0) break;
      const { data } = await decoder.frame(t);
      sums.decoder += psnr((await decoder.frame(t, large.width)).data, truth.data);
      for (const kernel of ['lanczos3', 'cubic'] as const) {
        const picture = sharp(data, { raw: { ...size, channels: 3 } }).resize(large.width, large.height, {
          kernel,
          fit: 'fill',
        });
        sums[kernel] += psnr(await picture.raw().toBuffer(), truth.data);
      }
      count += 1;
    }
  } finally {
    await source.close();
    await decoder.release();
  }
  const mean = (sum: number): string => (sum / count).toFixed(2);
  return [
    [`${large.width} x ${large.height}, ${count} frames`, 'PSNR dB'],
    ['our decoder', mean(sums.decoder)],
    ['Lanczos', mean(sums.lanczos3)],
    ['bicubic', mean(sums.cubic)],
  ];
}
