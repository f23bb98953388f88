/** A part of a video as an MP4 file: from the file it was made of, or drawn from its latents. Without sound. */
import { open } from 'node:fs/promises';
import { fileSource } from '../container/source.node.js';
import type { FrameSize, Frame } from '../frames/types.js';
import { Mp4Writer } from '../frames/mp4.node.js';
import { openFrames } from '../frames/open.node.js';
import { nodeRuntime } from '../runtime/node.node.js';
import { LinrDecoder } from './decoder.js';
import { CodedError } from '../runtime/coded-error.js';

/** Longest side of a clip's pictures, in pixels: 4K UHD. Larger ones are scaled down, since few players take them. */
const MAX_CLIP_SIDE = 3840;

export interface ClipTask {
  /** A video, or a container. */
  readonly file: string;
  /** What messages call it. */
  readonly name: string;
  readonly kind: 'video' | 'container';
  /** Seconds from the start of the video. */
  readonly from_s: number;
  /** null: the video's end. */
  readonly to_s: number | null;
  /** Seconds that a clip may show at most. */
  readonly longest_s: number;
  /** The MP4 file to write. */
  readonly output: string;
  /** Processor threads of the network that draws pictures. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  /** Seconds that are written, of how many. */
  readonly onProgress?: (done_s: number, total_s: number) => void;
}

export interface Clip extends FrameSize {
  /** Seconds of the video that the file shows. */
  readonly start_s: number;
  readonly end_s: number;
  readonly frames: number;
}

export type ClipErrorCode =
  /** The times are no part of the video. */
  | 'out_of_range'
  /** Longer than a clip may be. */
  | 'too_long'
  /** A photo, or a video of one frame. */
  | 'not_a_video';

/** What a caller can mend; `message` is a sentence. */
export class ClipError extends CodedError {
  override readonly name = 'ClipError';

  constructor(
    readonly code: ClipErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** What a clip is cut from. */
interface Footage extends FrameSize {
  readonly duration_s: number;
  readonly fps: number;
  /** The frame shown at `from_s` and those after it. */
  frames(from_s: number, size: FrameSize): AsyncIterable<Frame>;
  close(): Promise<void>;
}

/**
 * Cuts a clip that begins and ends at exactly these seconds: it is encoded anew (H.264), so that it need not begin at a key frame.
 * @throws ClipError, FrameSourceError, ContainerError, LinrDecodeError; the signal's reason
 */
export async function cutClip(task: ClipTask): Promise<Clip> {
  const footage = task.kind === 'container' ? await drawn(task) : await filmed(task);
  try {
    const { start_s, end_s } = checkedRange(task, footage.duration_s);
    const size = fitting(footage);
    const writer = await Mp4Writer.create(task.output, size, footage.fps);
    try {
      const frames = await write(task, writer, footage.frames(start_s, size), start_s, end_s);
      if (frames === 0) throw new ClipError('out_of_range', `${task.name} has no frame from ${start_s} s on.`);
      await writer.finish();
      return { ...size, start_s, end_s, frames };
    } catch (error) {
      await writer.cancel();
      throw error;
    }
  } finally {
    await footage.close();
  }
}

/** Each frame is shown until the next one, the last until the end. @returns how many were written */
async function write({ signal, onProgress }: ClipTask, writer: Mp4Writer, frames: AsyncIterable<Frame>, start_s: number, end_s: number): Promise<number> {
  let held: Frame | null = null;
  let written = 0;
  const add = async (frame: Frame, until_s: number): Promise<void> => {
    // The first is on screen already when the clip begins.
    const shown_s = Math.max(frame.time_s, start_s);
    if (until_s <= shown_s) return;
    await writer.add(frame, { start_s: shown_s - start_s, duration_s: until_s - shown_s });
    written += 1;
    onProgress?.(until_s - start_s, end_s - start_s);
  };
  for await (const frame of frames) {
    signal?.throwIfAborted();
    if (held !== null) await add(held, Math.min(frame.time_s, end_s));
    held = frame;
    if (frame.time_s >= end_s) return written;
  }
  if (held !== null) await add(held, end_s);
  return written;
}

function checkedRange({ name, from_s, to_s, longest_s }: ClipTask, duration_s: number): { start_s: number; end_s: number } {
  if (from_s >= duration_s) throw new ClipError('out_of_range', `${name} ends at ${duration_s.toFixed(2)} s, so no clip can begin at ${from_s} s.`);
  if (to_s !== null && to_s <= from_s) throw new ClipError('out_of_range', `A clip must end after it begins; ${to_s} s is not after ${from_s} s.`);
  const end_s = Math.min(to_s ?? duration_s, duration_s);
  if (end_s - from_s > longest_s) throw new ClipError('too_long', `The clip would last ${(end_s - from_s).toFixed(1)} s, more than the limit of ${longest_s} s. Cut several.`);
  return { start_s: from_s, end_s };
}

function fitting({ width, height }: FrameSize): FrameSize {
  const scale = Math.min(1, MAX_CLIP_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

async function filmed({ file, name, signal }: ClipTask): Promise<Footage> {
  const source = await openFrames(file, { name });
  const { kind, width, height, duration_s, fps, frames } = source.info;
  if (kind === 'photo' || frames === 1) {
    await source.close();
    throw stillError(name);
  }
  return {
    width,
    height,
    duration_s,
    fps: fps ?? 30,
    frames: (from_s, size) => source.frames({ from_s, size, ...(signal === undefined ? {} : { signal }) }),
    close: () => source.close(),
  };
}

async function drawn({ file, name, threads }: ClipTask): Promise<Footage> {
  const handle = await open(file, 'r');
  try {
    const decoder = new LinrDecoder(await fileSource(handle), nodeRuntime({ threads }));
    const { meta } = await decoder.file();
    if (meta.frames === 1) throw stillError(name);
    return {
      width: meta.width,
      height: meta.height,
      duration_s: meta.duration_s,
      fps: meta.frames / meta.duration_s,
      async *frames(from_s, { width }) {
        const first = meta.times_s.findLastIndex((time) => time <= from_s);
        for (let index = Math.max(first, 0); index < meta.frames; index++) yield await decoder.frame(index, width);
      },
      async close() {
        await decoder.release();
        await handle.close();
      },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function stillError(name: string): ClipError {
  return new ClipError('not_a_video', `${name} is a single picture, and clips are cut from videos.`);
}
