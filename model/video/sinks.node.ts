/** Where decoded frames go: PNG files, an MP4 file, or a stream of raw pixels. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Writable } from 'node:stream';
import type { Mp4Writer } from '../frames/mp4.node.js';
import type { Timeline } from '../frames/timeline.js';
import type { Frame, FrameSize } from '../frames/types.js';
import { checkOutput, OutputError } from './output.node.js';
import { meanRate } from './positions.js';

export interface FrameSink {
  /** Takes the next frame; `position` is its index, a fraction between frames. */
  add(frame: Frame, position: number): Promise<void>;
  /** Completes the output. */
  finish(): Promise<void>;
  /** Takes away what is of no use unfinished. */
  cancel(): Promise<void>;
}

export interface SinkPlan {
  /** A folder for PNG files, made where it is absent; a file that ends in .mp4; or a stream, which is given raw RGB24 and stays open. */
  readonly output: string | Writable;
  readonly size: FrameSize;
  /** Of the video, for the length of names. */
  readonly frames: number;
  readonly slow: number;
  readonly timeline: Timeline;
}

/** Names a video may be meant by; of these only MP4 is written. */
const VIDEO_NAMES = /\.(mp4|m4v|mov|mkv|webm|avi|gif)$/i;

/** Whether the output is one video, of which nothing is kept when a decoding is stopped. */
export function isVideoName(output: string): boolean {
  return VIDEO_NAMES.test(output);
}

/** @throws OutputError for a place that cannot be written. */
export async function openSink(plan: SinkPlan): Promise<FrameSink> {
  const { output } = plan;
  if (typeof output !== 'string') return rawSink(output);
  const folder = await stat(output).then((facts) => facts.isDirectory(), () => false);
  if (folder || !VIDEO_NAMES.test(output)) return pngSink(output, plan);
  if (!/\.mp4$/i.test(output)) throw new OutputError('format_unknown', `${output}: videos are written as MP4; name a file that ends in .mp4.`);
  await checkOutput(output);
  const { Mp4Writer: writer } = await import('../frames/mp4.node.js');
  return mp4Sink(plan.timeline, await writer.create(output, plan.size, meanRate(plan.timeline)));
}

async function pngSink(output: string, { frames, slow }: SinkPlan): Promise<FrameSink> {
  const { writePng } = await import('../frames/png.node.js');
  await mkdir(output, { recursive: true });
  const digits = Math.max(5, String(frames - 1).length);
  return {
    async add(frame, position) {
      // Whole frames get decimals too where others have them: names sort as the frames do.
      const [whole, fraction] = position.toFixed(3).split('.') as [string, string];
      const name = `frame-${whole.padStart(digits, '0')}${slow > 1 ? `.${fraction}` : ''}.png`;
      await writePng(path.join(output, name), frame);
    },
    finish: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  };
}

function mp4Sink(timeline: Timeline, writer: Mp4Writer): FrameSink {
  let written = 0;
  return {
    async add(frame) {
      const { starts_s, end_s } = timeline;
      const start_s = starts_s[written] as number;
      written += 1;
      await writer.add(frame, { start_s, duration_s: (starts_s[written] ?? end_s) - start_s });
    },
    finish: () => writer.finish(),
    cancel: () => writer.cancel(),
  };
}

function rawSink(output: Writable): FrameSink {
  return {
    add: (frame) =>
      new Promise<void>((resolve, reject) => {
        output.write(frame.data, (error) => (error ? reject(error) : resolve()));
      }),
    finish: () => Promise.resolve(),
    cancel: () => Promise.resolve(),
  };
}
