import { Command, Option } from 'commander';
import { ContainerError, type SegmentEntry } from '../../model/container/index.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import type { DecodeReport } from '../../model/video/decode.node.js';
import type { LinrVideo } from '../../model/video/linr-video.js';
import { type FrameRange, meanRate } from '../../model/video/positions.js';
import { isVideoName } from '../../model/video/sinks.node.js';
import { frameRanges, positiveNumber, wholeNumber } from './arguments.js';
import { deviceOption, threadsOption } from './common-options.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { tellFallback } from './models.js';
import { containerProblem } from './sources.js';
import { Progress } from './terminal.js';

interface DecodeOptions {
  readonly frames?: readonly FrameRange[];
  readonly width?: number;
  readonly output: string;
  readonly fps?: number;
  readonly slow: number;
  readonly threads: number;
  readonly device: DeviceChoice;
}

/** More would be hours of one second. */
const SLOWEST = 64;
const FASTEST_FPS = 1000;

export function decodeCommand(): Command {
  return new Command('decode')
    .description('Draw frames of a .linr file as PNG files, as an MP4 video, or raw.')
    .argument('<file>', 'container')
    .addOption(new Option('--frames <list>', 'such as 7 or 0-9 or 0-9,20,30-39 (default: all)').argParser(frameRanges))
    .addOption(new Option('--width <n>', 'width in pixels, at most 4 times the encoded one (default: the encoded one)').argParser(wholeNumber(1, 65_536)))
    .requiredOption('-o, --output <place>', 'a folder for PNG files, made where it is absent; a file that ends in .mp4; or - for raw RGB24 on standard output')
    .addOption(new Option('--slow <n>', 'n times slower: n - 1 frames are drawn between each two').argParser(wholeNumber(1, SLOWEST)).default(1))
    .addOption(new Option('--fps <n>', 'frames a second of the video (default: the times in the container)').argParser(positiveNumber(FASTEST_FPS)))
    .addOption(threadsOption())
    .addOption(deviceOption())
    .action(decode);
}

async function decode(name: string, { output, frames, threads, device, ...options }: DecodeOptions): Promise<void> {
  const [{ decode: decodeFrames }, { openLinr }, { deviceRuntime }] = await Promise.all([
    import('../../model/video/decode.node.js'),
    import('../../model/video/open.node.js'),
    import('../../model/runtime/device.node.js'),
  ]);
  const raw = output === '-';
  const interrupt = interruptible(raw || isVideoName(output) ? 'Nothing was kept.' : `The frames written so far are in ${output}.`);
  const progress = new Progress();
  try {
    const video = await openLinr(name, { runtime: await deviceRuntime(device, { threads, onFallback: tellFallback }) });
    const { count, width, height, timeline } = await decodeFrames(video, {
      ...options,
      output: raw ? process.stdout : output,
      frames: checkedRanges(name, video, frames),
      signal: interrupt.signal,
      onStart: (report) => {
        if (raw) process.stderr.write(`rgb24, ${told(report)}, ${rate(report)}\n`);
      },
      onProgress: (done, total) => progress.update({ label: 'frames', done, total, unit: 'frames' }),
    });
    progress.clear();
    if (raw) return;
    const report = { count, width, height, timeline };
    const video_s = isVideoName(output) ? `, ${rate(report)}, ${timeline.end_s.toFixed(2)} s` : '';
    process.stdout.write(`${output}: ${told(report)}${video_s}\n`);
  } catch (error) {
    throw await namedProblem(name, error);
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

const told = ({ count, width, height }: DecodeReport): string => `${count} ${count === 1 ? 'frame' : 'frames'} of ${width} x ${height}`;

const rate = ({ timeline }: DecodeReport): string => `${Number(meanRate(timeline).toFixed(3))} frames/s`;

/** The ranges asked for, or all frames. @throws UserError naming the frames there are, or those that have pictures yet. */
function checkedRanges(name: string, { frames, segments }: LinrVideo, wanted: readonly FrameRange[] | undefined): readonly FrameRange[] {
  const last = frames - 1;
  const ranges = wanted ?? [[0, last] as const];
  const beyond = ranges.find(([, end]) => end > last);
  if (beyond !== undefined) throw new UserError(`${name} has frames 0 to ${last}; --frames asks for ${beyond[1]}.`);
  const there = codedRanges(segments);
  if (there.length === 0) throw new UserError(`${name} holds latents only, no pictures yet: encode the video to the end, or chat with it.`);
  const covered = ranges.every(([from, to]) => there.some(([first, end]) => from >= first && to <= end));
  if (covered) return ranges;
  const list = there.map(([first, end]) => (first === end ? String(first) : `${first}-${end}`)).join(',');
  throw new UserError(`${name} is still being encoded: of its frames 0 to ${last} there are pictures of ${list}. Ask for those with --frames ${list}.`);
}

/** Runs of frames whose segments are coded. */
function codedRanges(segments: readonly SegmentEntry[]): FrameRange[] {
  const runs: [number, number][] = [];
  for (const { first, frames, network } of segments) {
    if (network === null) continue;
    const before = runs.at(-1);
    if (before !== undefined && before[1] === first - 1) before[1] = first + frames - 1;
    else runs.push([first, first + frames - 1]);
  }
  return runs;
}

/** What is wrong with the network gets the container's name in front; what is wrong with the options says so itself. */
async function namedProblem(name: string, error: unknown): Promise<unknown> {
  if (error instanceof ContainerError) return containerProblem(error);
  const { LinrDecodeError } = await import('../../model/inr/decode-error.js');
  if (!(error instanceof LinrDecodeError)) return error;
  const message = error.code === 'network_invalid' ? `${name}: ${error.message}` : error.message;
  return new UserError(message, { cause: error });
}
