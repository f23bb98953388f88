/** Files and folders that are, whenever the process or the machine stops, either as they were or as they became. */
import type { BigIntStats } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

export interface WriteOptions {
  /** Make the file's folder where there is none. Default false: a file of something that was deleted meanwhile is not written. */
  readonly makeFolder?: boolean;
  /** Permissions of a new file and of folders made for it (which get the right to be entered as well). Default: what the process gives. */
  readonly mode?: number;
}

/**
 * Writes a file so that either the old or the new bytes are there, whole: a temporary file in the same folder is written, synchronised and
 * renamed over the old one, and the folder is synchronised.
 *
 * @returns what the file system says about the new file, asked of it while nobody else could replace it
 * @throws Error of the file system, such as ENOSPC; the old file is there as before
 */
export async function writeAtomically(file: string, content: Uint8Array | string, { makeFolder = false, mode = 0o666 }: WriteOptions = {}): Promise<BigIntStats> {
  const temporary = `${file}.${process.pid}.part`;
  if (makeFolder) await makeFolderDurably(path.dirname(file), mode);
  let stats: BigIntStats;
  try {
    const handle = await open(temporary, 'w', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
      stats = await handle.stat({ bigint: true });
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(path.dirname(file));
  return stats;
}

/** Moves a file within a file system: its bytes, its new name and the loss of its old one are on the disk when this resolves. */
export async function moveDurably(from: string, to: string, { mode = 0o666 }: Pick<WriteOptions, 'mode'> = {}): Promise<void> {
  await makeFolderDurably(path.dirname(to), mode);
  const handle = await open(from, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(from, to);
  await syncFolder(path.dirname(to));
  if (path.dirname(from) !== path.dirname(to)) await syncFolder(path.dirname(from));
}

/** Makes a folder, with those above it, where there is none. Their names are on the disk when this resolves. */
export async function makeFolderDurably(folder: string, mode = 0o666): Promise<void> {
  // Who may read a folder may enter it.
  const first = await mkdir(folder, { recursive: true, mode: mode | ((mode & 0o444) >> 2) });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made)) await syncFolder(path.dirname(made));
}

/** New names and renames become durable when their folder is; systems that cannot synchronise a folder order them by themselves. */
export async function syncFolder(folder: string): Promise<void> {
  let handle;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch {
    // Windows refuses to open folders.
  } finally {
    await handle?.close();
  }
}
