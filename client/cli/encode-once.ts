/** Containers that a command makes for itself: made once, kept, and found again by the next run. */
import { createHash } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { FrameSource } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import type { EncodeOptions } from '../../model/inr/encode.node.js';
import type { Models } from '../../projector/library/models.js';

/** Something that can be encoded, more than once if need be. */
export interface ToEncode {
  /** As the container names its source. */
  readonly name: string;
  /** Of the file; null where there is none. */
  readonly bytes: number | null;
  /** What tells it from everything else that may be encoded beside it. */
  readonly identity: readonly unknown[];
  open(): Promise<FrameSource>;
}

export type EncodeOnceOptions = Pick<EncodeOptions, 'preset' | 'size' | 'seconds' | 'targetBpp' | 'network' | 'lambda' | 'latentStart'>;
export type EncodeOnceWork = Pick<EncodeOptions, 'signal' | 'onProgress' | 'clock'>;

/** A video or photo as something to encode. */
export async function fileToEncode(file: string): Promise<ToEncode> {
  const { size, mtimeMs } = await stat(file);
  return { name: path.basename(file), bytes: size, identity: [path.resolve(file), size, mtimeMs], open: () => openFrames(file) };
}

/**
 * The container of `source` in `folder`: the one that is there, else a new one. A run that is stopped leaves a checkpoint, and the next one goes
 * on from it.
 * @returns path of the container
 * @throws the signal's reason when it is aborted, and as encoding does
 */
export async function encodeOnce(source: ToEncode, models: Models, folder: string, options: EncodeOnceOptions, work: EncodeOnceWork): Promise<string> {
  const made = [...source.identity, options, models.pack.manifest.feature_space];
  const output = path.join(folder, `${source.name}.${createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 12)}.linr`);
  if (await stat(output).then(() => true, () => false)) return output;
  await mkdir(folder, { recursive: true });
  const { encodeSource } = await import('../../model/encoding/encode-file.node.js');
  const frames = await source.open();
  try {
    await encodeSource(frames, source, { pack: models.pack, runtime: models.runtime, ...options, ...work, output });
  } finally {
    await frames.close();
  }
  return output;
}
