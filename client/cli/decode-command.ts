import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import { frameRanges, wholeNumber, type FrameRange } from './arguments.js';
import { threadsOption } from './common-options.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { readContainerFile } from './sources.js';
import { Progress } from './terminal.js';

interface DecodeOptions {
  readonly frames?: readonly FrameRange[];
  readonly width?: number;
  readonly output: string;
  readonly threads: number;
}

export function decodeCommand(): Command {
  return new Command('decode')
    .description('Draw frames of a .linr file as PNG files.')
    .argument('<file>', 'container')
    .addOption(new Option('--frames <list>', 'such as 7 or 0-9 or 0-9,20,30-39 (default: all)').argParser(frameRanges))
    .addOption(new Option('--width <n>', 'width in pixels, at most 4 times the encoded one (default: the encoded one)').argParser(wholeNumber(1, 65_536)))
    .requiredOption('-o, --output <folder>', 'where the PNG files go; made where it is absent')
    .addOption(threadsOption())
    .action(decode);
}

async function decode(file: string, options: DecodeOptions): Promise<void> {
  const { container, bytes } = await readContainerFile(file);
  const { frames: count } = container.meta;
  if (container.networks.every((network) => network === null)) throw new UserError(`${file} holds latents only, no pictures yet: encode the video to the end, or chat with it.`);
  const ranges = options.frames ?? [[0, count - 1] as const];
  const beyond = ranges.find(([, last]) => last >= count);
  if (beyond !== undefined) throw new UserError(`${file} has frames 0 to ${count - 1}; --frames asks for ${beyond[1]}.`);
  const indices = ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));

  const [{ LinrDecoder }, { nodeRuntime }, { writePng }] = await Promise.all([
    import('../../model/inr/decoder.js'),
    import('../../model/runtime/node.node.js'),
    import('../../model/frames/png.node.js'),
  ]);
  const interrupt = interruptible(`The frames written so far are in ${options.output}.`);
  const progress = new Progress();
  const digits = Math.max(5, String(count - 1).length);
  const decoder = new LinrDecoder(bytes, nodeRuntime({ threads: options.threads }));
  try {
    await mkdir(options.output, { recursive: true });
    let done = 0;
    let size = '';
    for await (const frame of decoder.frames(indices, options.width)) {
      interrupt.signal.throwIfAborted();
      const name = `frame-${String(indices[done]).padStart(digits, '0')}.png`;
      await writePng(path.join(options.output, name), frame);
      done++;
      size = `${frame.width} x ${frame.height}`;
      progress.update({ label: 'frames', done, total: indices.length, unit: 'frames' });
    }
    progress.clear();
    process.stdout.write(`${options.output}: ${done} ${done === 1 ? 'frame' : 'frames'} of ${size}\n`);
  } finally {
    progress.clear();
    interrupt.dispose();
    await decoder.release();
  }
}
