/**
 * Frames between encoded frames: a video is encoded with only every alpha-th frame, and all frames left out are
 * compared with what each way puts in their place. `npm run bench -- interpolation [VIDEO]`. Neighbours are decoded
 * from the container's bytes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { listOf, pixelSize, positiveSeconds, wholeNumber, type PixelSize } from '../../client/cli/arguments.js';
import { readClip, type Clip } from '../../client/peers/clip.js';
import {
  ALPHAS,
  between,
  gapPsnr,
  leaveOut,
  meanPsnr,
  nearest,
  PAPER_CAPTION,
  PAPER_TABLE,
  type Fill,
} from '../../client/peers/interpolation.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { blendFrames, interpolateFrames, type Picture } from '../../model/inr/motion.js';
import { PRESETS, type Preset } from '../../model/inr/plan.js';
import { bitsPerPixel } from '../../model/inr/quality.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { benchVideos } from './clip.js';
import { encoded } from './encoded.js';
import { framesOption, threadsOption } from './options.js';
import { machine, printTable } from './table.js';

const DEFAULT_SIZES = [
  { width: 1280, height: 720 },
  { width: 320, height: 160 },
];

interface Options {
  readonly sizes: readonly PixelSize[];
  readonly alphas: readonly number[];
  readonly frames?: number;
  readonly seconds?: number;
  readonly preset: Preset;
  readonly threads: number;
}

await new Command('interpolation')
  .description(
    'Left-out frames from their decoded neighbours: nearest, blend, interpolated latents, motion.',
  )
  .argument(
    '[video]',
    'the video (default: bunny in the folder videos/ of LATENTCHAT_DATA; without it a clip made on the spot)',
  )
  .addOption(
    new Option('--sizes <list>', 'encoded sizes WxH; the picture is stretched to each')
      .argParser(listOf(pixelSize))
      .default(DEFAULT_SIZES, '1280x720,320x160'),
  )
  .addOption(
    new Option('--alphas <list>', 'every how many-th frame is kept')
      .argParser(listOf(wholeNumber(2, 64)))
      .default(ALPHAS, ALPHAS.join(',')),
  )
  .addOption(framesOption('only the first n frames', 3))
  .addOption(
    new Option(
      '--seconds <s>',
      "most seconds of each encoding, in processor time over threads (default: the preset's own)",
    ).argParser(positiveSeconds),
  )
  .addOption(new Option('--preset <name>', 'preset of the encoder').choices(PRESETS).default('standard'))
  .addOption(threadsOption('threads'))
  .action(bench)
  .parseAsync();

async function bench(named: string | undefined, options: Options): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'latentchat-interpolation-'));
  try {
    const [video] = (await benchVideos(named === undefined ? [] : [named], folder, 1)) as [string];
    console.log(
      `Frames t with t mod alpha = 0 are encoded (preset ${options.preset}, ${options.threads} threads); ` +
        `mean PSNR in dB over all others.\nThose after the last encoded frame are shown as that one.\n${machine()}`,
    );
    for (const size of options.sizes) {
      const clip = await readClip(video, { size, ...(options.frames === undefined ? {} : { frames: options.frames }) });
      const columns: Map<string, string>[] = [];
      for (const alpha of options.alphas) columns.push(await measure(clip, alpha, options));
      const names = [...(columns[0]?.keys() ?? [])];
      console.log(`\n${clip.caption}`);
      printTable([
        ['frames between', ...options.alphas.map((alpha) => `alpha ${alpha}`)],
        ...names.map((name) => [name, ...columns.map((column) => column.get(name) ?? '')]),
      ]);
    }
    console.log(`\n${PAPER_CAPTION}`);
    printTable([
      ['method', ...ALPHAS.map((alpha) => `alpha ${alpha}`)],
      ...PAPER_TABLE.map(([method, ...psnr_db]) => [method, ...psnr_db.map((value) => value.toFixed(2))]),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One column of the table: what each row's way reaches at this alpha. */
async function measure(
  clip: Clip,
  alpha: number,
  { seconds, preset, frames, threads }: Options,
): Promise<Map<string, string>> {
  const { kept, gaps } = leaveOut(clip, alpha);
  const { bytes, cpu_s } = await encoded(clip.file, {
    size: clip.size,
    preset,
    threads,
    step: alpha,
    ...(seconds === undefined ? {} : { seconds }),
    ...(frames === undefined ? {} : { frames }),
  });
  const decoder = new LinrDecoder(bytes, nodeRuntime({ threads }));
  try {
    const decoded: Picture[] = [];
    for (let k = 0; k < kept.length; k++) decoded.push(await decoder.frame(k));
    const ways: readonly (readonly [string, Fill])[] = [
      ['original neighbours: blend', between(kept, blendFrames)],
      ['original neighbours: motion', between(kept, interpolateFrames)],
      ['decoded neighbours: nearest', between(decoded, nearest)],
      ['decoded neighbours: blend', between(decoded, blendFrames)],
      [
        'network at interpolated latents (eq. 4)',
        ({ before, beta }) => decoder.frame(before + beta, undefined, 'latents'),
      ],
      ['decoded neighbours: motion (as the decoder draws)', ({ before, beta }) => decoder.frame(before + beta)],
    ];
    const column = new Map<string, string>();
    for (const [name, fill] of ways) column.set(name, (await gapPsnr(gaps, fill)).toFixed(2));
    column.set(
      '(the encoded frames themselves)',
      meanPsnr(
        decoded.map(({ data }) => data),
        kept.map(({ data }) => data),
      ).toFixed(2),
    );
    column.set(
      '(bits a pixel of the encoded frames)',
      bitsPerPixel(bytes.length, kept.length, clip.size.width, clip.size.height).toFixed(3),
    );
    column.set('(CPU seconds of encoding)', cpu_s.toFixed(1));
    return column;
  } finally {
    await decoder.release();
  }
}
