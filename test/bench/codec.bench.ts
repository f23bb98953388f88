/**
 * Latent-INR as a codec beside its peers, in one run on one video: NeRV and HNeRV of the same size on disk trained for the
 * same seconds, x264 and x265 at four rates. `npm run bench -- codec [VIDEO] [--size WxH] [--seconds S]`. Everything is
 * measured on files read back from disk.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import sharp from 'sharp';
import { pixelSize, positiveSeconds, type PixelSize } from '../../client/cli/arguments.js';
import { readContainerFile } from '../../client/cli/sources.js';
import type { Clip } from '../../client/peers/clip.js';
import { missing, type ClassicCodec } from '../../client/peers/ffmpeg.js';
import { figures, measureClassic, measureCodec, measureLinr, RATE_FACTORS, type CodecFigures } from '../../client/peers/measure.js';
import { NEURAL_CODECS, type NeuralCodecName } from '../../client/peers/neural.js';
import { openFrames } from '../../model/frames/open.node.js';
import { LinrDecoder, MAX_ENLARGEMENT } from '../../model/inr/decoder.js';
import { PRESETS } from '../../model/inr/plan.js';
import { psnr } from '../../model/inr/quality.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { openClip } from './clip.js';
import { machine, printTable } from './table.js';

const THREADS = 2;
/** Frames that are compared enlarged. */
const ENLARGED_FRAMES = 24;
const CLI = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../client/cli/latentchat.mjs');

const runtime = nodeRuntime({ threads: THREADS });
const HEADER = ['codec', 'bytes', 'bpp', 'PSNR dB', 'SSIM', 'encode s', 'decode frames/s'];

interface Options {
  readonly size: PixelSize;
  readonly seconds: number;
  readonly preset: string;
}

await new Command('codec')
  .description('Latent-INR, NeRV, HNeRV, x264 and x265 on one video.')
  .argument('[video]', 'the video (default: a clip made on the spot)')
  .addOption(new Option('--size <WxH>', 'size all of them encode; the picture is stretched to it').argParser(pixelSize).default({ width: 320, height: 160 }, '320x160'))
  .addOption(new Option('--seconds <s>', 'seconds of encoding for ours, of training for NeRV and HNeRV').argParser(positiveSeconds).default(60))
  .addOption(new Option('--preset <name>', 'preset of ours').choices(PRESETS).default('standard'))
  .action(bench)
  .parseAsync();

async function bench(video: string | undefined, options: Options): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'latentchat-codec-'));
  try {
    const clip = await openClip(video, options.size, folder);
    const rows = [HEADER];
    const ours = await latentInr(clip, options, folder);
    rows.push(ours.row);
    for (const name of Object.keys(NEURAL_CODECS) as NeuralCodecName[]) rows.push(await neural(clip, name, ours.bytes, options.seconds, folder));
    for (const codec of ['libx264', 'libx265'] as const) rows.push(...(await classic(clip, codec, folder)));
    console.log(`${clip.caption}; preset ${options.preset}, ${options.seconds} s; ${THREADS} threads; SSIM over RGB\n${machine()}`);
    printTable(rows);
    console.log(`\nThe file of ours enlarged, against the video's own frames at that size: mean PSNR in dB of ${ENLARGED_FRAMES} frames or fewer`);
    printTable(await enlargement(clip, ours.file));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function row(name: string, { bytes, bpp, psnr_db, ssim, seconds, fps }: CodecFigures): string[] {
  return [name, String(bytes), bpp.toFixed(4), psnr_db.toFixed(2), ssim.toFixed(4), seconds.toFixed(1), fps.toFixed(0)];
}

/** The command `encode`, as a user would call it. */
async function latentInr(clip: Clip, { preset, seconds }: Options, folder: string): Promise<{ file: string; bytes: number; row: string[] }> {
  const out = path.join(folder, 'ours.linr');
  const { width, height } = clip.size;
  const started = performance.now();
  const child = spawn(process.execPath, [
    CLI, 'encode', clip.file, '-o', out, '--size', `${width}x${height}`, '--seconds', String(seconds), '--preset', preset, '--threads', String(THREADS),
  ], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`latentchat encode ended with code ${code}`);
  const spent = (performance.now() - started) / 1000;
  const { bytes } = await readContainerFile(out);
  return { file: out, bytes: bytes.length, row: row('Latent-INR (.linr)', figures(clip, bytes.length, spent, await measureLinr(clip, bytes, runtime))) };
}

/** Our frames at four times the encoded size: by the decoder, and by the filters that anyone has, from the same decoded frames. */
async function enlargement({ file, size }: Clip, container: string): Promise<string[][]> {
  const large = { width: size.width * MAX_ENLARGEMENT, height: size.height * MAX_ENLARGEMENT };
  const decoder = new LinrDecoder((await readContainerFile(container)).bytes, runtime);
  const { times_s } = (await decoder.file()).meta;
  const source = await openFrames(file);
  const sums = { decoder: 0, lanczos3: 0, cubic: 0 };
  let count = 0;
  try {
    for await (const truth of source.frames({ size: large, limit: ENLARGED_FRAMES })) {
      const t = times_s.findIndex((time) => time > truth.time_s - 1e-4);
      const { data } = await decoder.frame(t);
      sums.decoder += psnr((await decoder.frame(t, large.width)).data, truth.data);
      for (const kernel of ['lanczos3', 'cubic'] as const) {
        const picture = sharp(data, { raw: { ...size, channels: 3 } }).resize(large.width, large.height, { kernel, fit: 'fill' });
        sums[kernel] += psnr(await picture.raw().toBuffer(), truth.data);
      }
      count += 1;
    }
  } finally {
    await source.close();
    await decoder.release();
  }
  const mean = (sum: number): string => (sum / count).toFixed(2);
  return [[`${large.width} x ${large.height}`, 'PSNR dB'], ['our decoder', mean(sums.decoder)], ['Lanczos', mean(sums.lanczos3)], ['bicubic', mean(sums.cubic)]];
}

/** A network of about `bytes` bytes, trained for `seconds`, written, and read back. */
async function neural(clip: Clip, name: NeuralCodecName, bytes: number, seconds: number, folder: string): Promise<string[]> {
  const codec = NEURAL_CODECS[name]({ ...clip.size, frames: clip.frames.length }, bytes);
  const measured = await measureCodec(clip, codec, seconds, folder, runtime);
  return row(`${codec.name}, ${codec.numbers} numbers, ${measured.steps} steps`, measured);
}

async function classic(clip: Clip, codec: ClassicCodec, folder: string): Promise<string[][]> {
  const name = codec.replace('lib', '');
  const reason = await missing(codec);
  if (reason !== null) return [[name, reason]];
  const rows: string[][] = [];
  for (const crf of RATE_FACTORS[codec]) rows.push(row(`${name} medium, crf ${crf}`, await measureClassic(clip, codec, crf, folder, { threads: THREADS })));
  return rows;
}
