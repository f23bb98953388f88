/** A codec on a clip: what its file takes, how well and how fast it is decoded. All of it from files read back. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { bitsPerPixel } from '../../model/inr/quality.js';
import type { Runtime } from '../../model/runtime/types.js';
import { fidelity, wallClock, type Clip, type Fidelity } from './clip.js';
import { decodeClassic, decodeSpeed, encodeClassic, type ClassicCodec, type ClassicOptions } from './classic.js';
import type { NeuralCodec, PeerTrainOptions, TrainedCodec } from './codec.js';

export interface CodecFigures extends Fidelity {
  readonly bytes: number;
  /** Bits a pixel. */
  readonly bpp: number;
  /** Seconds of encoding, or of training and writing. */
  readonly seconds: number;
}

/** Constant rate factors of x264 and x265: from about the rate of a `.linr` downwards. */
export const RATE_FACTORS: Readonly<Record<ClassicCodec, readonly number[]>> = {
  libx264: [16, 21, 26, 33],
  libx265: [18, 23, 28, 35],
};

export async function measureLinr(
  clip: Pick<Clip, 'frames' | 'size'>,
  bytes: Uint8Array,
  runtime: Runtime,
  clock = wallClock,
): Promise<Fidelity> {
  const decoder = new LinrDecoder(bytes, runtime);
  try {
    await decoder.frame(0);
    return await fidelity(
      clip,
      drawn(clip.frames.length, async (t) => (await decoder.frame(t)).data),
      clock,
    );
  } finally {
    await decoder.release();
  }
}

/** Trains a codec for `seconds`, writes its file into `folder` and reads it back. */
export async function trainCodec(
  { frames }: Pick<Clip, 'frames'>,
  codec: NeuralCodec,
  seconds: number,
  folder: string,
  runtime: Runtime,
  options: PeerTrainOptions = {},
): Promise<TrainedCodec & { readonly seconds: number }> {
  const { clock = wallClock } = options;
  const started = clock();
  const { file, steps } = await codec.train(runtime, frames, seconds, options);
  const name = path.join(folder, `${codec.name.replace(/\W+/g, '-')}.peer`);
  await writeFile(name, file);
  return { file: await readFile(name), steps, seconds: clock() - started };
}

export async function measureCodec(
  clip: Clip,
  codec: NeuralCodec,
  seconds: number,
  folder: string,
  runtime: Runtime,
  options: PeerTrainOptions = {},
): Promise<CodecFigures & { readonly steps: number }> {
  const trained = await trainCodec(clip, codec, seconds, folder, runtime, options);
  const decoder = await codec.open(trained.file, runtime);
  try {
    await decoder.frame(0);
    const kept = await fidelity(
      clip,
      drawn(clip.frames.length, (t) => decoder.frame(t)),
      options.clock,
    );
    return { ...figures(clip, trained.file.length, trained.seconds, kept), steps: trained.steps };
  } finally {
    await decoder.release();
  }
}

/**
 * Of x264 or x265. Its bytes are those of the video packets alone: what the file format adds is left out, in its
 * favour.
 */
export async function measureClassic(
  clip: Clip,
  codec: ClassicCodec,
  crf: number,
  folder: string,
  options: ClassicOptions,
): Promise<CodecFigures> {
  const file = path.join(folder, `${codec}-${crf}.mp4`);
  const { seconds, packetBytes } = await encodeClassic(clip, codec, crf, file, options);
  const kept = await fidelity(clip, decodeClassic(clip, file));
  return figures(clip, packetBytes, seconds, { ...kept, fps: await decodeSpeed(clip, file, options) });
}

export function figures(
  { frames, size }: Pick<Clip, 'frames' | 'size'>,
  bytes: number,
  seconds: number,
  kept: Fidelity,
): CodecFigures {
  return { ...kept, bytes, bpp: bitsPerPixel(bytes, frames.length, size.width, size.height), seconds };
}

async function* drawn(
  count: number,
  frame: (t: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  for (let t = 0; t < count; t++) yield await frame(t);
}
