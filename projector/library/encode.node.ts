/** Videos and photos to `.linr` files, with the models of this program. */
import { stat } from 'node:fs/promises';
import { encodeFile, type EncodeFileReport, type EncodeToFileOptions } from '../../model/encoding/encode-file.node.js';
import { openFrames } from '../../model/frames/open.node.js';
import type { EncodeProgress } from '../../model/inr/progress.js';
import type { Preset } from '../../model/inr/plan.js';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { LinrVideo } from '../../model/video/linr-video.js';
import { openLinr } from '../../model/video/open.node.js';
import { checkOutput } from '../../model/video/output.node.js';
import { framesToSearch, latentsOf } from './askable.node.js';
import { sharedModels, type ModelsOptions } from './shared-models.node.js';

type Chosen = 'width' | 'size' | 'seconds' | 'targetBpp' | 'targetPsnr' | 'output' | 'checkpoint' | 'signal';

export interface EncodeOptions extends ModelsOptions, Pick<EncodeToFileOptions, Chosen> {
  /** How much time and network to spend: draft, standard, fine, or paper for the published form. Default: standard. */
  readonly preset?: Preset;
  /** Told at most four times a second how far the encoding is. */
  readonly onProgress?: (progress: EncodeProgress) => void;
}

/**
 * Encodes a video or a photo, in any format that FFmpeg's libraries or sharp read, into a `.linr` file: latents to ask and search, and
 * networks that draw the frames from them.
 *
 * An encoding that is stopped, by its signal or by a kill, leaves a checkpoint beside the output, and the same call goes on from there.
 * Training blocks the calling thread for some ten milliseconds at a time; in a server, call this in a child process.
 *
 * @returns figures measured on the file read back from its bytes: PSNR in dB over all frames, bits per pixel, bytes, seconds, size
 * @throws FrameSourceError naming a file that cannot be read, OutputError for a place that cannot be written, PackError
 * @throws RangeError for an option out of range; the signal's reason when it is aborted
 */
export async function encode(input: string, options: EncodeOptions): Promise<EncodeFileReport> {
  const { pack: _, threads: __, device: ___, preset = 'standard', ...rest } = options;
  rest.signal?.throwIfAborted();
  await checkOutput(rest.output);
  const { pack, pictureRuntime } = await sharedModels(options);
  return encodeFile(input, { ...rest, preset, pack, runtime: pictureRuntime });
}

export interface EncodeLatentsOptions extends ModelsOptions {
  /** A `.linr` file to write as well. Default: the latents stay in memory. */
  readonly output?: string;
  /** Most frames that are looked at, uniform in time. Default: two a second, at least eight. */
  readonly frames?: number;
  readonly signal?: AbortSignal;
  /** Told how many frames have passed the vision tower, of at most how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * The latents of a video or a photo, without networks: it can be asked and searched after a few seconds, and shows no frames.
 *
 * @throws FrameSourceError naming a file that cannot be read, OutputError for a place that cannot be written, PackError; the signal's reason
 */
export async function encodeLatents(input: string, options: EncodeLatentsOptions = {}): Promise<LinrVideo> {
  const { output, frames, signal, onProgress } = options;
  signal?.throwIfAborted();
  if (output !== undefined) await checkOutput(output);
  const models = await sharedModels(options);
  const source = await openFrames(input);
  try {
    const file = { name: input, bytes: (await stat(input)).size };
    const { bytes } = await latentsOf(source, file, models, {
      frames: frames === undefined ? framesToSearch : () => frames,
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    if (output !== undefined) await writeAtomically(output, bytes);
    return await openLinr(bytes, { name: output ?? input });
  } finally {
    await source.close();
  }
}
