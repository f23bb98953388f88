import { open } from 'node:fs/promises';
import { ContainerError, readHead } from '../../model/container/index.js';
import { sniff, SNIFF_BYTES, type CommonContainer, type FfmpegContainer } from '../../model/frames/sniff.js';

const extensions: Readonly<Record<CommonContainer | FfmpegContainer, string>> = {
  mp4: 'mp4',
  matroska: 'mkv',
  avi: 'avi',
  flv: 'flv',
  mpegts: 'ts',
  mpeg: 'mpg',
  asf: 'wmv',
  ogg: 'ogv',
  gif: 'gif',
};

/** What a file is by its bytes; names are never asked. */
export interface FileType {
  readonly kind: 'video' | 'photo';
  /** `.linr` files are containers already. */
  readonly container: boolean;
  /** For the file's name on disk, without the dot; `bin` where the type is not known. */
  readonly extension: string;
}

/** Judges a file by its first bytes. Whether it can be read at all is found out later, in a process of its own. */
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
  if (looksLikeContainer(head)) return { kind: 'video', container: true, extension: 'linr' };
  const sniffed = sniff(head);
  switch (sniffed.kind) {
    case 'photo':
      return { kind: 'photo', container: false, extension: sniffed.format === 'jpeg' ? 'jpg' : sniffed.format };
    case 'refused':
      return { kind: 'photo', container: false, extension: 'bin' };
    case 'video':
      return { kind: 'video', container: false, extension: extensions[sniffed.container] };
    case 'unknown':
      return { kind: 'video', container: false, extension: 'bin' };
  }
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
