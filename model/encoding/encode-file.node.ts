/** A video to a `.linr` file on disk, with its checkpoint beside it. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FrameSourceError, type FrameSource } from '../frames/index.js';
import { openFrames } from '../frames/open.node.js';
import { encodeVideo, type EncodeOptions, type EncodeReport } from '../inr/encode.node.js';
import { writeAtomically } from '../runtime/durable.node.js';
import { isContainer } from '../video/path-source.node.js';

export interface EncodeToFileOptions extends Omit<EncodeOptions, 'onContainer' | 'checkpointPath' | 'sourceName' | 'sourceBytes'> {
  /** The `.linr` file to write: the old one or the whole new one is there, whatever happens. */
  readonly output: string;
  /** Where the state of a training is kept until it is done; null: nowhere. Default: beside the output. */
  readonly checkpoint?: string | null;
}

export interface EncodeFileReport extends EncodeReport {
  /** What of the video could not be read as its file says, in sentences. */
  readonly warnings: readonly string[];
}

/** Where the state of a training lies beside its output. */
export function checkpointOf(output: string): string {
  return `${output}.checkpoint`;
}

/**
 * Encodes a photo or a video in any format that can be read.
 *
 * @throws FrameSourceError for a file that cannot be read, or is a container already
 * @throws as encodeSource
 */
export async function encodeFile(input: string, options: EncodeToFileOptions): Promise<EncodeFileReport> {
  const source = await openFrames(input).catch(async (error: unknown) => {
    const encoded = await isContainer(input).catch(() => false);
    throw encoded ? new FrameSourceError('not_media', `${input} is a container already. Use it with info, decode or chat.`) : error;
  });
  try {
    return await encodeSource(source, { name: path.basename(input), bytes: (await stat(input)).size }, options);
  } finally {
    await source.close();
  }
}

/**
 * Encodes an opened source, which stays its owner's to close. An encoding that was stopped leaves a checkpoint, and the same call goes on
 * from there.
 *
 * @param of the name and length in bytes that the container keeps of its source
 * @throws as encodeVideo; the file system's error where the output cannot be written
 */
export async function encodeSource(
  source: FrameSource,
  { name, bytes }: { readonly name: string; readonly bytes: number | null },
  { output, checkpoint = checkpointOf(output), ...options }: EncodeToFileOptions,
): Promise<EncodeFileReport> {
  const report = await encodeVideo(source, {
    ...options,
    sourceName: name,
    sourceBytes: bytes,
    ...(checkpoint === null ? {} : { checkpointPath: checkpoint }),
    onContainer: async (container, stage) => {
      if (stage === 'final') await writeAtomically(output, container);
    },
  });
  return { ...report, warnings: source.warnings };
}
