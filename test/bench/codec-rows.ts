/** What the codec bench measures of a clip: one row a file, each read back from the disk. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { missing, type ClassicCodec } from '../../client/peers/classic.js';
import { processorClock, type Clip } from '../../client/peers/clip.js';
import { figures, measureClassic, measureCodec, measureLinr, type CodecFigures } from '../../client/peers/measure.js';
import { NEURAL_CODECS, type NeuralCodecName } from '../../client/peers/neural.js';
import { curveAt } from '../../client/peers/rate-curve.js';
import type { Preset } from '../../model/inr/plan.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { encoded } from './encoded.js';

/** The rate factor whose size a target may name, x264's default. */
export const X264_CRF = 23;
/** A target that names it. */
export const X264_SIZE = 'x264';

/** What ours is asked for: a preset as it is, or a file of so many bits a pixel, or of x264's size. */
export interface Setting {
  readonly name: string;
  readonly preset: Preset;
  readonly target?: number | typeof X264_SIZE;
}

export interface Row {
  readonly name: string;
  /** Null where it cannot be had, with the reason in place of the figures. */
  readonly figures: CodecFigures | null;
  readonly reason?: string;
  /** Processor seconds of encoding, or of training and writing: of all threads together. */
  readonly cpu_s: number;
}

export interface RowOptions {
  /** Null: the preset's own. */
  readonly seconds: number | null;
  readonly frames: number | undefined;
  readonly threads: number;
  readonly folder: string;
}

/** x264 or x265 at each of `factors`. */
export async function classicRows(
  clip: Clip,
  codec: ClassicCodec,
  factors: readonly number[],
  { threads, folder }: RowOptions,
): Promise<Row[]> {
  const name = codec.replace('lib', '');
  const reason = missing(codec);
  if (reason !== null) return [{ name, figures: null, reason, cpu_s: 0 }];
  const rows: Row[] = [];
  for (const crf of factors) {
    const made = await measureClassic(clip, codec, crf, folder, { threads, clock: processorClock(threads) });
    rows.push({ name: `${name} medium, crf ${crf}`, figures: made, cpu_s: made.seconds * threads });
  }
  return rows;
}

/**
 * Ours at a setting.
 *
 * @param x264Bpp bits a pixel of x264 at its default rate factor, for targets that name it; null where there is none
 */
export async function ourRow(
  clip: Clip,
  { name, preset, target }: Setting,
  x264Bpp: number | null,
  options: RowOptions,
): Promise<Row> {
  const { seconds, frames, threads, folder } = options;
  const targetBpp = target === X264_SIZE ? x264Bpp : target;
  if (targetBpp === null) return { name, figures: null, reason: 'there is no x264 whose size it could have', cpu_s: 0 };
  const { bytes, cpu_s } = await encoded(clip.file, {
    size: clip.size,
    preset,
    threads,
    ...(seconds === null ? {} : { seconds }),
    ...(targetBpp === undefined ? {} : { targetBpp }),
    ...(frames === undefined ? {} : { frames }),
  });
  const file = path.join(folder, `${name.replace(/\W+/g, '-')}.linr`);
  await writeFile(file, bytes);
  const read = await readFile(file);
  const kept = await measureLinr(clip, read, nodeRuntime({ threads }), processorClock(threads));
  return { name, figures: figures(clip, read.length, cpu_s / threads, kept), cpu_s };
}

/** A network of about `bytes` bytes. */
export async function neuralRow(
  clip: Clip,
  name: NeuralCodecName,
  bytes: number,
  seconds: number,
  { threads, folder }: RowOptions,
): Promise<Row> {
  const codec = NEURAL_CODECS[name]({ ...clip.size, frames: clip.frames.length }, bytes);
  const made = await measureCodec(clip, codec, seconds, folder, nodeRuntime({ threads }), {
    clock: processorClock(threads),
  });
  return {
    name: `${codec.name}, ${codec.numbers} numbers, ${made.steps} steps`,
    figures: made,
    cpu_s: made.seconds * threads,
  };
}

/** How far above x264 at equal size a row lies, in dB over RGB and over luma; null beyond the ends of its curve. */
export function aboveX264(
  { figures: made }: Row,
  x264: readonly Row[],
): { readonly psnr_db: number; readonly luma_db: number } | null {
  if (made === null) return null;
  const above = (of: (figures: CodecFigures) => number): number | null => {
    const curve = x264.flatMap(({ figures: point }) => (point === null ? [] : [{ bpp: point.bpp, dB: of(point) }]));
    const there = curveAt(curve, made.bpp);
    return there === null ? null : of(made) - there;
  };
  const [psnr_db, luma_db] = [above((point) => point.psnr_db), above((point) => point.luma_db)];
  return psnr_db === null || luma_db === null ? null : { psnr_db, luma_db };
}
