import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Command, Option } from 'commander';
import type { EncodeProgress } from '../../model/inr/encode.node.js';
import { DEFAULT_WIDTH, MAX_SIDE, PRESETS, type Preset } from '../../model/inr/plan.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import { bitsPerPixel } from '../../model/inr/quality.js';
import { pixelSize, positiveNumber, positiveSeconds, wholeNumber, type PixelSize } from './arguments.js';
import { deviceOption, packOption, threadsOption } from './common-options.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { Models } from './models.js';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { checkOutput, isContainer, readContainerFile } from './sources.js';
import { duration, grouped, Progress, type ProgressState } from './terminal.js';

interface EncodeOptions {
  readonly output: string;
  readonly preset: Preset;
  readonly width?: number;
  readonly size?: PixelSize;
  readonly seconds?: number;
  readonly targetBpp?: number;
  readonly targetPsnr?: number;
  readonly pack?: string;
  readonly threads: number;
  readonly device: DeviceChoice;
}

export function encodeCommand(): Command {
  return new Command('encode')
    .description('Encode a video or photo into a .linr file: latents to chat with, and a network that draws the frames from them.')
    .argument('<in>', 'video or photo')
    .requiredOption('-o, --output <file>', 'the .linr file to write')
    .addOption(new Option('--preset <name>', 'how much time and network to spend').choices(PRESETS).default('standard'))
    .addOption(
      new Option('--width <n>', `encoded width in pixels, the height keeps the aspect ratio (default: ${DEFAULT_WIDTH}, or the video's own where it is smaller; narrower where the height would be above ${MAX_SIDE})`)
        .argParser(wholeNumber(1, MAX_SIDE))
        .conflicts('size'),
    )
    .addOption(new Option('--size <WxH>', 'encoded size in pixels; the picture is stretched to it').argParser(pixelSize))
    .addOption(new Option('--seconds <s>', "time the whole encoding may take (default: the preset's)").argParser(positiveSeconds))
    .addOption(new Option('--target-bpp <n>', 'bits per pixel the file should have').argParser(positiveNumber(24)).conflicts('targetPsnr'))
    .addOption(new Option('--target-psnr <dB>', 'quality the decoded frames should have, in as few bytes as the time allows').argParser(positiveNumber(60)))
    .addOption(packOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addHelpText('after', '\nCtrl+C stops and keeps the training so far beside the output; the same command goes on from there.')
    .action(encode);
}

async function encode(input: string, options: EncodeOptions): Promise<void> {
  const { output, preset, width, size, seconds, targetBpp, targetPsnr } = options;
  await checkOutput(output);
  const checkpoint = `${output}.checkpoint`;
  const interrupt = interruptible(`The same command goes on where it stopped, from ${checkpoint} if training had begun.`);
  const progress = new Progress();
  const [{ openFrames }, { encodeVideo }] = await Promise.all([import('../../model/frames/open.node.js'), import('../../model/inr/encode.node.js')]);
  const source = await openFrames(input).catch(async (error: unknown) => {
    const encoded = await isContainer(input).catch(() => false);
    throw encoded ? new UserError(`${input} is a container already. Use it with info, decode or chat.`) : error;
  });
  try {
    const models = await Models.open(options);
    const report = await encodeVideo(source, {
      pack: models.pack,
      runtime: models.pictureRuntime,
      preset,
      ...(width === undefined ? {} : { width }),
      ...(size === undefined ? {} : { size }),
      ...(seconds === undefined ? {} : { seconds }),
      ...(targetBpp === undefined ? {} : { targetBpp }),
      ...(targetPsnr === undefined ? {} : { targetPsnr }),
      signal: interrupt.signal,
      checkpointPath: checkpoint,
      sourceName: path.basename(input),
      sourceBytes: (await stat(input)).size,
      onProgress: (state) => progress.update(progressState(state)),
      onContainer: async (bytes, stage) => {
        if (stage === 'final') await writeAtomically(output, bytes);
      },
    });
    progress.clear();
    const { bytes } = await readContainerFile(output);
    const { frames } = report;
    for (const warning of source.warnings) process.stderr.write(`warning: ${warning}\n`);
    const bpp = bitsPerPixel(bytes.length, frames, report.width, report.height);
    process.stdout.write(
      `${output}: ${grouped(bytes.length)} bytes, ${frames} ${frames === 1 ? 'frame' : 'frames'} of ${report.width} x ${report.height}, ` +
        `PSNR ${report.psnr_db.toFixed(2)} dB, ${bpp.toFixed(4)} bpp, ${grouped(report.parameters)} parameters in ${report.segments} ${report.segments === 1 ? 'segment' : 'segments'}, ${duration(report.seconds)}\n`,
    );
  } finally {
    progress.clear();
    interrupt.dispose();
    await source.close();
  }
}

function progressState({ stage, done, total, unit, psnr_db, frames_per_s, eta_s }: EncodeProgress): ProgressState {
  const details = [];
  if (psnr_db !== undefined && Number.isFinite(psnr_db)) details.push(`${psnr_db.toFixed(1)} dB`);
  if (frames_per_s !== undefined && Number.isFinite(frames_per_s)) details.push(`${frames_per_s.toFixed(0)} frames/s`);
  return { label: stage, done, total, unit, detail: details.join(', '), ...(eta_s === undefined ? {} : { eta_s }) };
}
