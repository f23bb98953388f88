/** MP4 files (H.264) of frames: by the system's ffmpeg where it can, else by mediabunny. */
import { rename, rm } from 'node:fs/promises';
import type { Mp4Encoder, Mp4Job, Timeline } from './mp4-encoder.js';
import { ffmpegEncoder, ffmpegEncodes } from './mp4-ffmpeg.node.js';
import { mediabunnyEncoder } from './mp4-mediabunny.node.js';
import type { Frame, FrameSize } from './types.js';

/** Times that lie this close to an even rate, in seconds, were even before a file rounded them to its milliseconds. */
const EVEN_TOLERANCE_S = 0.0006;

type Picture = Pick<Frame, 'width' | 'height' | 'data'>;

/** Takes the pictures of a video in order. */
export class Mp4Writer {
  private constructor(
    private readonly file: string,
    private readonly job: Mp4Job,
    private readonly encoder: Mp4Encoder,
  ) {}

  /**
   * Begins an MP4 file of pictures of one size. Odd sides get a pixel more, which repeats the edge: H.264 with colour at half the size
   * needs even ones. A video whose frames are not evenly spaced goes to mediabunny, whose muxer keeps each frame's time to 1/57,600 s;
   * ffmpeg is given raw pictures, which carry no times of their own.
   */
  static async create(file: string, { width, height }: FrameSize, timeline: Timeline): Promise<Mp4Writer> {
    const job = { path: `${file}.${process.pid}.part`, size: { width: width + (width % 2), height: height + (height % 2) }, timeline };
    const rate = evenRate(timeline);
    const encoder = rate !== null && (await ffmpegEncodes()) ? ffmpegEncoder(job, rate) : await mediabunnyEncoder(job);
    return new Mp4Writer(file, job, encoder);
  }

  /** Which program encodes. */
  get encoderName(): Mp4Encoder['name'] {
    return this.encoder.name;
  }

  /** @throws Error when the encoder fails. */
  add(picture: Picture): Promise<void> {
    return this.encoder.add(withEvenSides(picture, this.job.size));
  }

  /** Completes the file; until then nothing has its name. */
  async finish(): Promise<void> {
    await this.encoder.finish();
    await rename(this.job.path, this.file);
  }

  /** Takes away what was written. */
  async cancel(): Promise<void> {
    await this.encoder.cancel();
    await rm(this.job.path, { force: true });
  }
}

/** Pictures a second as a fraction for ffmpeg; null where the times are not even. */
export function evenRate({ starts_s, end_s }: Timeline): string | null {
  const count = starts_s.length;
  const step = count > 1 ? (starts_s[count - 1] as number) / (count - 1) : end_s;
  if (!(step > 0)) return null;
  const fits = (seconds: number): boolean => starts_s.every((start, i) => Math.abs(start - i * seconds) <= EVEN_TOLERANCE_S);
  const whole = Math.round(1 / step);
  if (whole > 0 && fits(1 / whole)) return String(whole);
  // Television's rates: 30000/1001 and its like.
  const film = Math.round(1.001 / step);
  if (film > 0 && fits(1.001 / film)) return `${film * 1000}/1001`;
  return fits(step) ? `${Math.round(1e6 / step)}/1000000` : null;
}

function withEvenSides({ width, height, data }: Picture, size: FrameSize): Uint8Array {
  if (width === size.width && height === size.height) return data;
  const out = new Uint8Array(size.width * size.height * 3);
  for (let y = 0; y < size.height; y++) {
    const row = data.subarray(Math.min(y, height - 1) * width * 3, (Math.min(y, height - 1) + 1) * width * 3);
    out.set(row, y * size.width * 3);
    if (size.width > width) out.set(row.subarray(-3), (y * size.width + width) * 3);
  }
  return out;
}
