/** The frames that codecs are compared on, and how well they are kept. */
import path from 'node:path';
import { pickFrames, type FrameSize, type FrameSource } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { lumaPsnr, psnr, ssim } from '../../model/inr/quality.js';

export interface Clip {
  readonly file: string;
  /** For captions of tables: what it is, and its size. */
  readonly caption: string;
  readonly size: FrameSize;
  readonly fps: number;
  /** RGB (height, width, 3) each, scaled to `size`. */
  readonly frames: readonly Uint8Array[];
}

export interface ClipOptions {
  readonly size: FrameSize;
  /** Only the first frames. Default: all. */
  readonly frames?: number;
  readonly signal?: AbortSignal;
}

/** Frames a second of what has no rate of its own. */
const DEFAULT_FPS = 25;

/** The first frames of a video, or all, as a source of its own. */
export async function openPart(file: string, frames?: number): Promise<FrameSource> {
  const source = await openFrames(file);
  return frames === undefined ? source : pickFrames(source, { end: frames });
}

/** Reads a clip into memory. */
export async function readClip(file: string, { size, frames: count, signal }: ClipOptions): Promise<Clip> {
  const source = await openPart(file, count);
  try {
    const frames: Uint8Array[] = [];
    for await (const frame of source.frames({ size, ...(signal === undefined ? {} : { signal }) })) frames.push(frame.data);
    const caption = `${path.basename(file)}, ${frames.length} frames of ${size.width} x ${size.height}`;
    return { file, size, fps: source.info.fps ?? DEFAULT_FPS, frames, caption };
  } finally {
    await source.close();
  }
}

export interface Fidelity {
  /** Means over frames; PSNR over RGB, and over luma (BT.709). */
  readonly psnr_db: number;
  readonly luma_db: number;
  readonly ssim: number;
  /** Frames a second the decoder gave, one after another. */
  readonly fps: number;
}

/** Seconds that pass. */
export const wallClock = (): number => performance.now() / 1000;

/** A clock of this process's processor time over `threads`: on a busy machine it goes slower, as the work does. */
export function processorClock(threads: number): () => number {
  return () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6 / threads;
  };
}

/** Compares what `decode` yields, in order, with the clip's frames; the comparison's own time is not counted. */
export async function fidelity(
  { frames, size }: Pick<Clip, 'frames' | 'size'>, decode: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, clock = wallClock,
): Promise<Fidelity> {
  const decoded: Uint8Array[] = [];
  const started = clock();
  for await (const frame of decode) decoded.push(frame);
  const seconds = clock() - started;
  if (decoded.length !== frames.length) throw new Error(`${decoded.length} frames were decoded, the clip has ${frames.length}`);
  const mean = (figure: (frame: Uint8Array, truth: Uint8Array) => number): number =>
    frames.reduce((sum, truth, t) => sum + figure(decoded[t] as Uint8Array, truth), 0) / frames.length;
  return {
    psnr_db: mean(psnr),
    luma_db: mean(lumaPsnr),
    ssim: mean((frame, truth) => ssim(frame, truth, size.width, size.height)),
    fps: frames.length / seconds,
  };
}
