/**
 * Frames between encoded frames: a video is encoded with only every alpha-th frame, and the frames left out are compared
 * with what each way puts in their place. `npm run bench -- interpolation [VIDEO] [--size WxH] [--seconds S]`. Neighbours
 * are decoded from the container's bytes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { pixelSize, type PixelSize, positiveSeconds } from '../../client/cli/arguments.js';
import type { Clip } from '../../client/peers/clip.js';
import { ALPHAS, between, type Fill, gapPsnr, leaveOut, meanPsnr, nearest } from '../../client/peers/interpolation.js';
import { pickFrames } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { encodeVideo } from '../../model/inr/encode.node.js';
import { blendFrames, interpolateFrames, type Picture } from '../../model/inr/motion.js';
import { type Preset, PRESETS } from '../../model/inr/plan.js';
import { openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { openClip } from './clip.js';
import { machine, printTable } from './table.js';

const THREADS = 2;
const PAPER = 'Latent-INR, its Table 1, Big Buck Bunny at 1280 x 720: 33.17 / 28.08 / 25.88 dB at alpha 2 / 4 / 8';

interface Options {
  readonly size: PixelSize;
  readonly seconds: number;
  readonly preset: Preset;
}

await new Command('interpolation')
  .description('Left-out frames from their decoded neighbours: nearest, blend, interpolated latents, motion.')
  .argument('[video]', 'the video (default: a clip made on the spot)')
  .addOption(new Option('--size <WxH>', 'encoded size; the picture is stretched to it').argParser(pixelSize).default({ width: 320, height: 160 }, '320x160'))
  .addOption(new Option('--seconds <s>', 'seconds of encoding, for each alpha').argParser(positiveSeconds).default(60))
  .addOption(new Option('--preset <name>', 'preset of the encoder').choices(PRESETS).default('standard'))
  .action(bench)
  .parseAsync();

async function bench(video: string | undefined, options: Options): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'latentchat-interpolation-'));
  try {
    const clip = await openClip(video, options.size, folder);
    const columns: Map<string, string>[] = [];
    for (const alpha of ALPHAS) columns.push(await measure(clip, alpha, options));
    console.log(
      `${clip.caption}; preset ${options.preset}, ${options.seconds} s for each alpha; ${THREADS} threads\n` +
        `Frames t with t mod alpha = 0 are encoded; mean PSNR in dB over the frames between two of them. ${PAPER}\n${machine()}`,
    );
    const names = [...(columns[0]?.keys() ?? [])];
    printTable([['frames between', ...ALPHAS.map((alpha) => `alpha ${alpha}`)], ...names.map((name) => [name, ...columns.map((column) => column.get(name) ?? '')])]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One column of the table: what each row's way reaches at this alpha. */
async function measure(clip: Clip, alpha: number, options: Options): Promise<Map<string, string>> {
  const { kept, gaps } = leaveOut(clip, alpha);
  const decoder = new LinrDecoder(await encodeEvery(clip, alpha, options), nodeRuntime({ threads: THREADS }));
  const decoded: Picture[] = [];
  for (let k = 0; k < kept.length; k++) decoded.push(await decoder.frame(k));
  const ways: readonly (readonly [string, Fill])[] = [
    ['original neighbours: blend', between(kept, blendFrames)],
    ['original neighbours: motion', between(kept, interpolateFrames)],
    ['decoded neighbours: nearest', between(decoded, nearest)],
    ['decoded neighbours: blend', between(decoded, blendFrames)],
    ['network at interpolated latents (eq. 4)', ({ before, beta }) => decoder.frame(before + beta, undefined, 'latents')],
    ['decoded neighbours: motion (as the decoder draws)', ({ before, beta }) => decoder.frame(before + beta)],
  ];
  const column = new Map([['(the encoded frames themselves)', meanPsnr(decoded.map(({ data }) => data), kept.map(({ data }) => data)).toFixed(2)]]);
  for (const [name, fill] of ways) column.set(name, (await gapPsnr(gaps, fill)).toFixed(2));
  await decoder.release();
  return column;
}

/** The bytes of a container of every alpha-th frame. */
async function encodeEvery(clip: Clip, alpha: number, { seconds, preset }: Options): Promise<Uint8Array> {
  const source = pickFrames(await openFrames(clip.file), { step: alpha });
  try {
    let container: Uint8Array | null = null;
    await encodeVideo(source, {
      pack: await openPack(), runtime: nodeRuntime({ threads: THREADS }), preset, seconds, size: clip.size,
      sourceName: path.basename(clip.file), sourceBytes: null,
      onContainer: (bytes, stage) => {
        if (stage === 'final') container = bytes;
      },
    });
    if (container === null) throw new Error('the encoder ended without a container');
    return container;
  } finally {
    await source.close();
  }
}
