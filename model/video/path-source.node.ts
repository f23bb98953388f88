/** A container on a disk, opened for each reading: nothing is held open, so there is nothing to close. */
import { open, type FileHandle } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { ContainerError, type ByteSource } from '../container/index.js';
import { fileSource } from '../container/source.node.js';

/** First bytes of a container, enough to tell it from videos and photos. */
const SIGNATURE = Buffer.from([0x89, 0x4c, 0x49, 0x4e, 0x52]);

/** Whether the file starts as a container does. @throws the file system's error for a file that cannot be read */
export function isContainer(file: string): Promise<boolean> {
  return withFile(file, async (handle) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SIGNATURE.length), 0, SIGNATURE.length, 0);
    return bytesRead === SIGNATURE.length && buffer.equals(SIGNATURE);
  });
}

/**
 * The bytes of the file at `path` as it is now. Once another file is there, or this one was changed, a reading throws ContainerError
 * `source_changed`.
 * @throws the file system's error for a file that cannot be read
 */
export async function pathSource(path: string): Promise<ByteSource> {
  const first = await withFile(path, (handle) => handle.stat({ bigint: true }));
  return {
    size: Number(first.size),
    read: (from, to) =>
      withFile(path, async (handle) => {
        if (!same(first, await handle.stat({ bigint: true }))) {
          throw new ContainerError('source_changed', 'The container was replaced while it was being read; open it again.');
        }
        return (await fileSource(handle)).read(from, to);
      }),
  };
}

function same(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

async function withFile<T>(path: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}
