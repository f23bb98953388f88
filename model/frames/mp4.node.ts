/** MP4 files (H.264) of frames. */
import { rename, rm } from 'node:fs/promises';
import type { Frame, FrameSize } from './types.js';
import { VideoEncoder, type EncodedTimes } from './video-encoder.node.js';

/** Ticks a second: whole numbers of them lie between frames at 24, 25, 30, 48, 50, 60 and 120 a second. */
const TICKS_PER_SECOND = 57_600;
/** x264's quality: next to no visible loss, so that what is seen is the container's. */
const CRF = '16';
/** Seconds between key frames, for jumping about in the video. */
const KEY_FRAME_SECONDS = 2;
/** BT.709, in limited range, as players expect it of HD. */
const COLOURS = { matrix: 1, transfer: 1, primaries: 1, full: false } as const;

type Picture = Pick<Frame, 'width' | 'height' | 'data'>;

/** Takes the pictures of a video in order. */
export class Mp4Writer {
  #nextKey_s = 0;

  private constructor(
    private readonly file: string,
    private readonly part: string,
    private readonly size: FrameSize,
    private readonly encoder: VideoEncoder,
  ) {}

  /**
   * Begins an MP4 file of pictures of one size, each shown at its own time. Odd sides get a pixel more, which repeats the edge:
   * H.264 with colour at half the size needs even ones.
   * @param framesPerSecond about, for what is said in the file
   */
  static async create(file: string, { width, height }: FrameSize, framesPerSecond: number): Promise<Mp4Writer> {
    const size = { width: width + (width % 2), height: height + (height % 2) };
    const part = `${file}.${process.pid}.part`;
    const encoder = await VideoEncoder.create({
      path: part,
      format: 'mp4',
      codec: 'libx264',
      pixelFormat: 'yuv420p',
      size,
      ticksPerSecond: TICKS_PER_SECOND,
      framesPerSecond,
      codecOptions: { crf: CRF, 'forced-idr': '1' },
      formatOptions: { movflags: '+faststart' },
      colours: COLOURS,
    });
    return new Mp4Writer(file, part, size, encoder);
  }

  /** Takes the next picture and when it is shown. @throws Error when the encoder fails. */
  async add(picture: Picture, { start_s, duration_s }: Omit<EncodedTimes, 'key'>): Promise<void> {
    const key = start_s >= this.#nextKey_s;
    if (key) this.#nextKey_s = start_s + KEY_FRAME_SECONDS;
    await this.encoder.add(withEvenSides(picture, this.size), { start_s, duration_s, key });
  }

  /** Completes the file; until then nothing has its name. */
  async finish(): Promise<void> {
    await this.encoder.finish();
    await rename(this.part, this.file);
  }

  /** Takes away what was written. */
  async cancel(): Promise<void> {
    await this.encoder.cancel();
    await rm(this.part, { force: true });
  }
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
