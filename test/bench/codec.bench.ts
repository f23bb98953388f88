/**
 * Latent-INR as a codec beside its peers, in one run: `npm run bench -- codec [VIDEO ...]`. Of each clip our presets
 * and targets, x264 and x265 at several rates, and, of the first clip, NeRV, HNeRV, NVP and NIRVANA of one of our
 * sizes, trained as long. Everything is measured on files read back from disk; the last table is the mean distance to
 * x264 at equal size.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  listOf,
  positiveNumber,
  positiveSeconds,
  wholeNumber,
  type PixelSize,
} from '../../client/cli/arguments.js';
import { readClip, type Clip } from '../../client/peers/clip.js';
import { NEURAL_CODECS, type NeuralCodecName } from '../../client/peers/neural.js';
import { PRESETS, type Preset } from '../../model/inr/plan.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { benchVideos } from './clip.js';
import { enlargement } from './codec-enlarged.js';
import {
  aboveX264,
  classicRows,
  neuralRow,
  ourRow,
  X264_CRF,
  X264_SIZE,
  type Row,
  type RowOptions,
  type Setting,
} from './codec-rows.js';
import { framesOption, sizeOption, threadsOption } from './options.js';
import { machine, printTable } from './table.js';

/** The preset that targets are asked of. */
const TARGET_PRESET: Preset = 'standard';
/** Seconds that networks are trained for where the encoder's are its presets' own. */
const NETWORK_SECONDS = 60;
const HEADER = ['codec', 'bytes', 'bpp', 'PSNR RGB', 'luma', 'SSIM', 'CPU s', 'frames/s', 'to x264: RGB', 'luma'];

interface Options {
  readonly size: PixelSize;
  readonly seconds?: number;
  readonly frames?: number;
  readonly presets: readonly Preset[];
  readonly targets: readonly (number | typeof X264_SIZE)[];
  readonly crf: readonly number[];
  readonly networks: readonly NeuralCodecName[];
  readonly enlarged: boolean;
  readonly threads: number;
}

/** As `listOf`; "none" is an empty list. */
function listOrNone<T>(entry: (value: string) => T): (value: string) => T[] {
  return (value) => (value === 'none' ? [] : listOf(entry)(value));
}

function oneOf<T extends string>(names: readonly T[]): (entry: string) => T {
  return (entry) => {
    const name = names.find((known) => known === entry);
    if (name === undefined) throw new InvalidArgumentError(`It must be of ${names.join(', ')}, or none.`);
    return name;
  };
}

const NETWORKS = Object.keys(NEURAL_CODECS) as NeuralCodecName[];
const target = (entry: string): number | typeof X264_SIZE => (entry === X264_SIZE ? entry : positiveNumber(24)(entry));

await new Command('codec')
  .description('Latent-INR, NeRV, HNeRV, NVP, NIRVANA, x264 and x265 on the same clips.')
  .argument(
    '[videos...]',
    'the clips (default: bunny, dog, bikes, juggle and coffee in videos/ of LATENTCHAT_DATA; without it a made one)',
  )
  .addOption(sizeOption('size all of them encode; the picture is stretched to it'))
  .addOption(framesOption('only the first n frames of each clip', 4))
  .addOption(
    new Option(
      '--seconds <s>',
      `most seconds of our encodings, and of networks' trainings (default: the preset's own, and ${NETWORK_SECONDS})`,
    ).argParser(positiveSeconds),
  )
  .addOption(
    new Option('--presets <list>', 'presets of ours, as they are')
      .argParser(listOrNone(oneOf(PRESETS)))
      .default(['draft', 'standard'], 'draft,standard'),
  )
  .addOption(
    new Option(
      '--targets <list>',
      `bits a pixel that preset ${TARGET_PRESET} is asked for; ${X264_SIZE}: the size of x264 at crf ${X264_CRF}`,
    )
      .argParser(listOrNone(target))
      .default([0.15, 0.3, 0.36, X264_SIZE], `0.15,0.3,0.36,${X264_SIZE}`),
  )
  .addOption(
    new Option('--crf <list>', 'rate factors of x264 and x265')
      .argParser(listOrNone(wholeNumber(0, 51)))
      .default([12, 16, 20, X264_CRF, 27, 31, 35, 40], `12,16,20,${X264_CRF},27,31,35,40`),
  )
  .addOption(
    new Option('--networks <list>', 'networks that the first clip is compared with, of about the size of our last row')
      .argParser(listOrNone(oneOf(NETWORKS)))
      .default(NETWORKS, NETWORKS.join(',')),
  )
  .option('--enlarged', 'also compares our frames of the first clip drawn at four times the size')
  .addOption(threadsOption('threads of every codec'))
  .action(bench)
  .parseAsync();

async function bench(named: readonly string[], options: Options): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'latentchat-codec-'));
  try {
    const distances = new Map<string, { readonly psnr_db: number; readonly luma_db: number }[]>();
    console.log(
      `${options.threads} threads; bpp on bytes on disk, of x264 and x265 of their video packets alone.\n` +
        "PSNR and SSIM are means over frames; luma is BT.709's; CPU s are processor seconds of encoding;\n" +
        'frames/s are of decoding, by processor time over threads.\n' +
        `To x264: dB above its curve (medium, crf ${options.crf.join(' ')}) at equal size; - beyond its ends.\n${machine()}`,
    );
    const videos = await benchVideos(named, folder);
    for (const [index, video] of videos.entries()) {
      const clip = await readClip(video, {
        size: options.size,
        ...(options.frames === undefined ? {} : { frames: options.frames }),
      });
      const ours = await compare(clip, index === 0, options, folder);
      for (const { name, above } of ours)
        if (above !== null) distances.set(name, [...(distances.get(name) ?? []), above]);
    }
    printDistances(distances, videos.length);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Prints a clip's table. @returns our rows' distances to x264 */
async function compare(
  clip: Clip,
  first: boolean,
  options: Options,
  folder: string,
): Promise<{ name: string; above: ReturnType<typeof aboveX264> }[]> {
  const rowOptions: RowOptions = {
    seconds: options.seconds ?? null,
    frames: options.frames,
    threads: options.threads,
    folder,
  };
  const factors = [...new Set([...options.crf, X264_CRF])].sort((a, b) => a - b);
  const x264 = await classicRows(clip, 'libx264', factors, rowOptions);
  const x264Bpp = x264.find(({ name }) => name.endsWith(`crf ${X264_CRF}`))?.figures?.bpp ?? null;
  const settings: Setting[] = [
    ...options.presets.map((preset) => ({ name: `Latent-INR, ${preset}`, preset })),
    ...options.targets.map((wanted) => ({
      name: `Latent-INR, ${wanted === X264_SIZE ? "x264's size" : `${wanted} bpp`}`,
      preset: TARGET_PRESET,
      target: wanted,
    })),
  ];
  const ours: Row[] = [];
  for (const setting of settings) ours.push(await ourRow(clip, setting, x264Bpp, rowOptions));
  const size =
    ours.at(-1)?.figures?.bytes ??
    (x264Bpp === null ? null : (x264Bpp * clip.size.width * clip.size.height * clip.frames.length) / 8);
  const networks: Row[] = [];
  if (first && size !== null)
    for (const name of options.networks)
      networks.push(await neuralRow(clip, name, size, options.seconds ?? NETWORK_SECONDS, rowOptions));
  const x265 = await classicRows(clip, 'libx265', factors, rowOptions);
  console.log(`\n${clip.caption}`);
  printTable([HEADER, ...[...ours, ...networks, ...x264, ...x265].map((row) => cells(row, x264))]);
  const container =
    settings.length === 0 ? null : path.join(folder, `${(settings[0] as Setting).name.replace(/\W+/g, '-')}.linr`);
  if (first && options.enlarged && container !== null) {
    console.log(
      `\nThe file of ${settings[0]?.name} enlarged: mean PSNR in dB against the video's own frames at that size`,
    );
    printTable(await enlargement(clip, await readFile(container), nodeRuntime({ threads: options.threads })));
  }
  return ours.map((row) => ({ name: row.name, above: aboveX264(row, x264) }));
}

function cells(row: Row, x264: readonly Row[]): string[] {
  const { name, figures, reason, cpu_s } = row;
  if (figures === null) return [name, reason ?? ''];
  const above = aboveX264(row, x264);
  return [
    name,
    String(figures.bytes),
    figures.bpp.toFixed(4),
    figures.psnr_db.toFixed(2),
    figures.luma_db.toFixed(2),
    figures.ssim.toFixed(4),
    cpu_s.toFixed(1),
    figures.fps.toFixed(0),
    signed(above?.psnr_db),
    signed(above?.luma_db),
  ];
}

function signed(value: number | undefined): string {
  return value === undefined ? '-' : `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
}

function printDistances(
  distances: ReadonlyMap<string, readonly { readonly psnr_db: number; readonly luma_db: number }[]>,
  clips: number,
): void {
  if (distances.size === 0) return;
  console.log(`\nMean distance in dB to x264 medium at equal size, over the clips whose file lies within its curve`);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  printTable([
    ['ours', 'RGB', 'luma', 'clips'],
    ...[...distances].map(([name, of]) => [
      name,
      signed(mean(of.map(({ psnr_db }) => psnr_db))),
      signed(mean(of.map(({ luma_db }) => luma_db))),
      `${of.length} of ${clips}`,
    ]),
  ]);
}
