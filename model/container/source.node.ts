/** A container in a file, read in parts. */
import type { FileHandle } from 'node:fs/promises';
import { ContainerError } from './errors.js';
import type { ByteSource } from './source.js';

/** The bytes of an open file. The handle stays its owner's to close; the file may be replaced by another of its name meanwhile. */
export async function fileSource(handle: FileHandle): Promise<ByteSource> {
  const { size } = await handle.stat();
  return {
    size,
    async read(from, to) {
      const bytes = new Uint8Array(to - from);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled);
        if (bytesRead === 0) throw new ContainerError('source_changed', 'The container was cut short while it was being read; open it again.');
        filled += bytesRead;
      }
      return bytes;
    },
  };
}
