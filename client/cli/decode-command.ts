import { open } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import { ContainerError, type LinrFile, type SegmentEntry } from '../../model/container/index.js';
import { frameRanges, positiveNumber, wholeNumber, type FrameRange } from './arguments.js';
import { deviceOption, threadsOption } from './common-options.js';
import { positionsOf, timelineOf } from './decode/positions.js';
import { keptOf, openSink } from './decode/sinks.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
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

async function decode(name: string, options: DecodeOptions): Promise<void> {
  const handle = await open(name, 'r');
  try {
    const [{ fileSource }, { LinrDecoder, frameSize }, { pictureRuntime }] = await Promise.all([
      import('../../model/container/source.node.js'),
      import('../../model/inr/decoder.js'),
      import('./picture-runtime.js'),
    ]);
    const decoder = new LinrDecoder(await fileSource(handle), await pictureRuntime(options.device, options.threads));
    const file = await decoder.file();
    const ranges = checkedRanges(name, file, options.frames);
    const size = frameSize(file.meta, options.width);
    const interrupt = interruptible(keptOf(options.output));
    const progress = new Progress();
    const { slow } = options;
    const positions = positionsOf(ranges, slow);
    const timeline = timelineOf(positions, file.meta.times_s, file.meta.duration_s, options.fps ?? null);
    const sink = await openSink({ output: options.output, size, frames: file.meta.frames, slow, timeline });
    try {
      for (const [done, position] of positions.entries()) {
        interrupt.signal.throwIfAborted();
        await sink.add(await decoder.frame(position, size.width), position);
        progress.update({ label: 'frames', done: done + 1, total: positions.length, unit: 'frames' });
      }
      const told = await sink.finish();
      progress.clear();
      if (told !== '') process.stdout.write(`${told}\n`);
    } catch (error) {
      await sink.cancel();
      throw error;
    } finally {
      progress.clear();
      interrupt.dispose();
      await decoder.release();
    }
  } catch (error) {
    throw await namedProblem(name, error);
  } finally {
    await handle.close();
  }
}

/** The ranges asked for, or all frames. @throws UserError naming the frames there are, or those that have pictures yet. */
function checkedRanges(name: string, { meta, segments }: LinrFile, wanted: readonly FrameRange[] | undefined): readonly FrameRange[] {
  const last = meta.frames - 1;
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

/** What is wrong with the container gets its name in front; what is wrong with the options says so itself. */
async function namedProblem(name: string, error: unknown): Promise<unknown> {
  if (error instanceof ContainerError) return containerProblem(name, error);
  const { LinrDecodeError } = await import('../../model/inr/decode-error.js');
  if (!(error instanceof LinrDecodeError)) return error;
  const message = error.code === 'network_invalid' ? `${name}: ${error.message}` : error.message;
  return new UserError(message, { cause: error });
}
