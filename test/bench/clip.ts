/** The frames a codec bench works on: of the video it is given, or of one made on the spot. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openFrames } from '../../model/frames/open.node.js';
import type { FrameSize } from '../../model/frames/types.js';
import { psnr, ssim } from '../../model/inr/quality.js';
import { makeVideo, movingPicture } from '../helpers/videos.js';

export interface Clip {
  readonly file: string;
  /** For the table's caption: what it is, and its size. */
  readonly caption: string;
  readonly size: FrameSize;
  readonly fps: number;
  /** RGB (height, width, 3) each, scaled to `size`. */
  readonly frames: readonly Uint8Array[];
}

const MADE = { width: 320, height: 160, frames: 48, fps: 25 } as const;

/** All frames of `video` at `size`; without a video, one is made in `folder`. */
export async function openClip(video: string | undefined, size: FrameSize, folder: string): Promise<Clip> {
  const file = video ?? (await madeVideo(folder));
  const source = await openFrames(file);
  try {
    const frames: Uint8Array[] = [];
    for await (const frame of source.frames({ size })) frames.push(frame.data);
    const name = video === undefined ? 'a made clip (a disc crossing a turning texture; name a video for one of your own)' : path.basename(video);
    const fps = source.info.fps ?? MADE.fps;
    return { file, size, fps, frames, caption: `${name}, ${frames.length} frames of ${size.width} x ${size.height}` };
  } finally {
    await source.close();
  }
}

async function madeVideo(folder: string): Promise<string> {
  const { width, height, frames, fps } = MADE;
  const file = path.join(folder, 'made.mp4');
  await writeFile(file, await makeVideo({ width, height, times: Array.from({ length: frames }, (_, t) => t / fps), lastDuration: 1 / fps, picture: movingPicture }));
  return file;
}

export interface Fidelity {
  /** Means over frames. */
  readonly psnr_db: number;
  readonly ssim: number;
  /** Frames a second the decoder gave, one after another. */
  readonly fps: number;
}

/** Compares what `decode` yields, in order, with the clip's frames; the comparison's own time is not counted. */
export async function fidelity(clip: Clip, decode: AsyncIterable<Uint8Array>): Promise<Fidelity> {
  const decoded: Uint8Array[] = [];
  const started = performance.now();
  for await (const frame of decode) decoded.push(frame);
  const seconds = (performance.now() - started) / 1000;
  const { frames, size } = clip;
  if (decoded.length !== frames.length) throw new Error(`${decoded.length} frames were decoded, the clip has ${frames.length}`);
  const mean = (figure: (frame: Uint8Array, truth: Uint8Array) => number): number =>
    frames.reduce((sum, truth, t) => sum + figure(decoded[t] as Uint8Array, truth), 0) / frames.length;
  return { psnr_db: mean(psnr), ssim: mean((frame, truth) => ssim(frame, truth, size.width, size.height)), fps: frames.length / seconds };
}
