/** Where decoded frames go: PNG files, an MP4 file, or raw on standard output. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Timeline } from '../../../model/frames/timeline.js';
import type { Mp4Writer } from '../../../model/frames/mp4.node.js';
import type { Frame, FrameSize } from '../../../model/frames/types.js';
import { UserError } from '../failure.js';
import { checkOutput } from '../sources.js';
import { meanRate } from './positions.js';

export interface FrameSink {
  /** Takes the next frame; `position` is its index, a fraction between frames. */
  add(frame: Frame, position: number): Promise<void>;
  /** Completes the output. @returns what to tell the user; '' where standard output is not free. */
  finish(): Promise<string>;
  /** Takes away what is of no use unfinished. */
  cancel(): Promise<void>;
}

export interface SinkPlan {
  readonly output: string;
  readonly size: FrameSize;
  /** Of the video, for the length of names. */
  readonly frames: number;
  readonly slow: number;
  readonly timeline: Timeline;
}

/** Names a user may mean a video by; of these only MP4 is written. */
const VIDEO_NAMES = /\.(mp4|m4v|mov|mkv|webm|avi|gif)$/i;

/** What of a decoding is kept when it is stopped. */
export function keptOf(output: string): string {
  return output === '-' || VIDEO_NAMES.test(output) ? 'Nothing was kept.' : `The frames written so far are in ${output}.`;
}

/** @throws UserError for a place that cannot be written. */
export async function openSink(plan: SinkPlan): Promise<FrameSink> {
  const { output } = plan;
  if (output === '-') return rawSink(plan);
  const folder = await stat(output).then((facts) => facts.isDirectory(), () => false);
  if (folder || !VIDEO_NAMES.test(output)) return pngSink(plan);
  if (!/\.mp4$/i.test(output)) throw new UserError(`${output}: videos are written as MP4; name a file that ends in .mp4.`);
  await checkOutput(output);
  const { Mp4Writer: writer } = await import('../../../model/frames/mp4.node.js');
  return mp4Sink(plan, await writer.create(output, plan.size, meanRate(plan.timeline)));
}

async function pngSink({ output, size, frames, slow }: SinkPlan): Promise<FrameSink> {
  const { writePng } = await import('../../../model/frames/png.node.js');
  await mkdir(output, { recursive: true });
  const digits = Math.max(5, String(frames - 1).length);
  let written = 0;
  return {
    async add(frame, position) {
      // Whole frames get decimals too where others have them: names sort as the frames do.
      const [whole, fraction] = position.toFixed(3).split('.') as [string, string];
      const name = `frame-${whole.padStart(digits, '0')}${slow > 1 ? `.${fraction}` : ''}.png`;
      await writePng(path.join(output, name), frame);
      written += 1;
    },
    finish: () => Promise.resolve(`${output}: ${told(written, size)}`),
    cancel: () => Promise.resolve(),
  };
}

function mp4Sink({ output, size, timeline }: SinkPlan, writer: Mp4Writer): FrameSink {
  let written = 0;
  return {
    async add(frame) {
      const { starts_s, end_s } = timeline;
      const start_s = starts_s[written] as number;
      written += 1;
      await writer.add(frame, { start_s, duration_s: (starts_s[written] ?? end_s) - start_s });
    },
    async finish() {
      await writer.finish();
      return `${output}: ${told(written, size)}, ${rate(timeline)}, ${timeline.end_s.toFixed(2)} s`;
    },
    cancel: () => writer.cancel(),
  };
}

function rawSink({ size, timeline }: SinkPlan): FrameSink {
  const count = timeline.starts_s.length;
  process.stderr.write(`rgb24, ${told(count, size)}, ${rate(timeline)}\n`);
  return {
    add: (frame) =>
      new Promise<void>((resolve, reject) => {
        process.stdout.write(frame.data, (error) => (error ? reject(error) : resolve()));
      }),
    finish: () => Promise.resolve(''),
    cancel: () => Promise.resolve(),
  };
}

const told = (count: number, { width, height }: FrameSize): string => `${count} ${count === 1 ? 'frame' : 'frames'} of ${width} x ${height}`;

const rate = (timeline: Timeline): string => `${Number(meanRate(timeline).toFixed(3))} frames/s`;
