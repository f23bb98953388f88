import { open } from 'node:fs/promises';
import { ContainerError, readHead } from '../../model/container/index.js';
import { sniffPhoto, SNIFF_BYTES } from '../../model/frames/sniff.js';

/** What a file is taken for until it has been looked at in a process of its own; names are never asked. */
export interface FileType {
  readonly kind: 'video' | 'photo';
  /** For the file's name on disk, without the dot. */
  readonly extension: 'linr' | 'media';
}

/** Judges a file by its first bytes. No file is refused here: what can be read is for its reader to say, not for a list. */
export async function fileType(file: string): Promise<FileType> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    return typeOf(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

export function typeOf(head: Uint8Array): FileType {
  if (looksLikeContainer(head)) return { kind: 'video', extension: 'linr' };
  return { kind: sniffPhoto(head) === null ? 'video' : 'photo', extension: 'media' };
}

/** True when the bytes start with a container's signature, however wrong the rest may be. */
export function looksLikeContainer(head: Uint8Array): boolean {
  if (head.length < 8) return false;
  try {
    readHead(head);
    return true;
  } catch (error) {
    return error instanceof ContainerError && error.code !== 'not_a_container';
  }
}
