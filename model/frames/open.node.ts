/** Opens any file that shows something: a photo through sharp, everything else through libav. */
import { open, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FrameSourceError } from './error.js';
import { sniffPhoto, SNIFF_BYTES, type PhotoFormat } from './sniff.js';
import type { FrameSource } from './types.js';
import { openVideo } from './video.node.js';

export interface OpenFramesOptions {
  /** What messages call the file. Default: the path as given. A server puts the name its user knows here. */
  readonly name?: string;
}

/** A file as the decoders are handed it. */
export interface MediaFile {
  /** Absolute, so that no program takes it for an option. */
  readonly path: string;
  /** For messages. */
  readonly name: string;
  readonly bytes: number;
  /** Whether its first bytes are those of a photo. */
  readonly isPhoto: boolean;
}

/**
 * Opens a photo or a video in any format that sharp or libav reads. The bytes decide what it is, never the name. What of a damaged
 * file can be read is given, and `warnings` says what is missing. Close the source when done.
 *
 * @throws FrameSourceError that says what is wrong with the file and what would help.
 */
export async function openFrames(path: string, options: OpenFramesOptions = {}): Promise<FrameSource> {
  const { file, photo } = await inspect(resolve(path), options.name ?? path);
  if (photo === null) return openVideo(file);
  const { openPhoto } = await import('./photo.node.js');
  return (await openPhoto(file, photo)) ?? openVideo(file);
}

async function inspect(path: string, name: string): Promise<{ file: MediaFile; photo: PhotoFormat | null }> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
    throw new FrameSourceError('file_missing', missing ? `There is no file ${name}.` : `${name} cannot be read: ${String(cause)}.`, { cause });
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new FrameSourceError('file_missing', `${name} is not a file. Name a photo or a video.`);
    if (stat.size === 0) throw new FrameSourceError('file_empty', `${name} is empty (0 bytes). Copy or download it again.`);
    const head = Buffer.alloc(SNIFF_BYTES);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const photo = sniffPhoto(head.subarray(0, bytesRead));
    return { file: { path, name, bytes: stat.size, isPhoto: photo !== null }, photo };
  } finally {
    await handle.close();
  }
}
