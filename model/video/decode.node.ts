/** Frames of a container as PNG files, as an MP4 video, or raw. */
import type { Writable } from 'node:stream';
import type { Timeline } from '../frames/timeline.js';
import type { FrameSize } from '../frames/types.js';
import { LinrDecodeError } from '../inr/decode-error.js';
import { frameSize } from '../inr/decoder.js';
import { LinrVideo } from './linr-video.js';
import { openLinr, type OpenLinrOptions } from './open.node.js';
import { positionsOf, timelineOf, type FrameRange } from './positions.js';
import { openSink } from './sinks.node.js';

export interface DecodeOptions extends Pick<OpenLinrOptions, 'threads' | 'signal'> {
  /** A folder for PNG files, made where it is absent; a file that ends in .mp4; or a stream, which is given raw RGB24 and stays open. */
  readonly output: string | Writable;
  /** Which frames: indices from 0, and runs as `[first, last]`, both included. Default: all. */
  readonly frames?: readonly (number | FrameRange)[];
  /** Pixels, at most four times the encoded width. Default: the encoded width. */
  readonly width?: number;
  /** So many times slower, with frames drawn between each two. A whole number. Default 1. */
  readonly slow?: number;
  /** Frames a second of a video. Default: each is shown as long as the container says. */
  readonly fps?: number;
  /** Told once, before the first frame is drawn. */
  readonly onStart?: (report: DecodeReport) => void;
  /** Told how many frames have been drawn, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface DecodeReport extends FrameSize {
  /** Number of frames written. */
  readonly count: number;
  /** When each is shown, in seconds. */
  readonly timeline: Timeline;
}

/**
 * Draws frames and writes them. For pixels in memory there is `LinrVideo.frame`.
 *
 * @param input an opened video, or a path, an address or bytes of a container.
 * @throws LinrDecodeError for frames that do not exist or are still being encoded, and for a width out of range
 * @throws OutputError for a place that cannot be written, ContainerError for a file that cannot be used, the signal's reason. What is of no
 *   use unfinished, a part of an MP4 file, is taken away again.
 */
export async function decode(input: LinrVideo | Parameters<typeof openLinr>[0], options: DecodeOptions): Promise<DecodeReport> {
  if (input instanceof LinrVideo) return decodeOpened(input, options);
  const video = await openLinr(input, options);
  try {
    return await decodeOpened(video, options);
  } finally {
    await video.close();
  }
}

async function decodeOpened(video: LinrVideo, options: DecodeOptions): Promise<DecodeReport> {
  const { output, frames, width, slow = 1, fps, signal, onStart, onProgress } = options;
  if (!(Number.isInteger(slow) && slow >= 1)) throw new RangeError(`slow must be a whole number above 0, got ${slow}`);
  const ranges = frames === undefined ? [[0, video.frames - 1] as const] : frames.map((one): FrameRange => (typeof one === 'number' ? [one, one] : one));
  for (const [first, last] of ranges) checkRange(video, first, last);
  const size = frameSize(video, width);
  const positions = positionsOf(ranges, slow);
  const timeline = timelineOf(positions, video.times_s, video.duration_s, fps ?? null);
  const report = { ...size, count: positions.length, timeline };
  const sink = await openSink({ output, size, frames: video.frames, slow, timeline });
  try {
    onStart?.(report);
    for (const [done, position] of positions.entries()) {
      await sink.add(await video.frame(position, size.width, signal === undefined ? {} : { signal }), position);
      onProgress?.(done + 1, positions.length);
    }
    await sink.finish();
    return report;
  } catch (error) {
    await sink.cancel();
    throw error;
  }
}

/** Before anything is written: a run that ends in frames which cannot be drawn would leave half of itself. */
function checkRange({ frames, segments }: LinrVideo, first: number, last: number): void {
  if (!(Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first <= last && last < frames)) {
    throw new LinrDecodeError('frame_not_found', `frames ${first} to ${last} do not exist: this video has frames 0 to ${frames - 1}`);
  }
  const missing = segments.find((segment) => segment.network === null && segment.first <= last && segment.first + segment.frames > first);
  if (missing === undefined) return;
  const end = missing.first + missing.frames - 1;
  throw new LinrDecodeError('pictures_not_ready', `frames ${missing.first} to ${end} are still being encoded`);
}
