import { Command, Option } from 'commander';
import type { EncodeReport } from '../../model/inr/encode.node.js';
import type { EncodeProgress } from '../../model/inr/progress.js';
import { DEFAULT_WIDTH, MAX_SIDE, type Preset, PRESETS } from '../../model/inr/plan.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import { checkOutput } from '../../model/video/output.node.js';
import { pixelSize, type PixelSize, positiveNumber, positiveSeconds, wholeNumber } from './arguments.js';
import { deviceOption, packOption, threadsOption } from './common-options.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
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
    .addOption(new Option('--seconds <s>', "time that a training may take, with the preset paper (default: more for long and large videos); the others take what they take").argParser(positiveSeconds))
    .addOption(new Option('--target-bpp <n>', 'bits per pixel the file should have').argParser(positiveNumber(24)).conflicts('targetPsnr'))
    .addOption(new Option('--target-psnr <dB>', 'quality the decoded frames should have, in as few bytes as the time allows').argParser(positiveNumber(60)))
    .addOption(packOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addHelpText('after', '\nCtrl+C stops and keeps the training so far beside the output; the same command goes on from there.')
    .action(encode);
}

async function encode(input: string, { pack, threads, device, ...options }: EncodeOptions): Promise<void> {
  const { output } = options;
  await checkOutput(output);
  const { checkpointOf, encodeFile } = await import('../../model/encoding/encode-file.node.js');
  const interrupt = interruptible(`The same command goes on where it stopped, from ${checkpointOf(output)} if training had begun.`);
  const progress = new Progress();
  try {
    const models = await openModels({ threads, device, ...(pack === undefined ? {} : { pack }) });
    const report = await encodeFile(input, {
      ...options,
      pack: models.pack,
      runtime: models.pictureRuntime,
      signal: interrupt.signal,
      onProgress: (state) => progress.update(progressState(state)),
    });
    progress.clear();
    for (const warning of report.warnings) process.stderr.write(`warning: ${warning}\n`);
    process.stdout.write(summary(output, report));
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

function summary(output: string, { bytes, frames, width, height, psnr_db, bpp, segments, seconds }: EncodeReport): string {
  const counted = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? '' : 's'}`;
  return (
    `${output}: ${grouped(bytes)} bytes, ${counted(frames, 'frame')} of ${width} x ${height}, PSNR ${psnr_db.toFixed(2)} dB, ` +
    `${bpp.toFixed(4)} bpp, ${counted(segments, 'segment')}, ${duration(seconds)}\n`
  );
}

function progressState({ stage, done, total, unit, psnr_db, frames_per_s, eta_s }: EncodeProgress): ProgressState {
  const details = [];
  if (psnr_db !== undefined && Number.isFinite(psnr_db)) details.push(`${psnr_db.toFixed(1)} dB`);
  if (frames_per_s !== undefined && Number.isFinite(frames_per_s)) details.push(`${frames_per_s.toFixed(0)} frames/s`);
  return { label: stage, done, total, unit, detail: details.join(', '), ...(eta_s === undefined ? {} : { eta_s }) };
}
