/** Weight files on disk. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { WeightBytes } from './bytes.js';

/** Linux reads at most 2 GiB less a page in one call. */
const MAX_READ = 2 ** 30;

/** An open file. `close()` it; reading after that fails. */
export interface WeightFileBytes extends WeightBytes {
  close(): void;
}

/** @throws Error (ENOENT and others) when the file cannot be opened. */
export function openWeightBytes(path: string): WeightFileBytes {
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  return {
    size,
    read(start, end) {
      const bytes = new Uint8Array(end - start);
      for (let filled = 0; filled < bytes.byteLength; ) {
        const count = readSync(file, bytes, filled, Math.min(bytes.byteLength - filled, MAX_READ), start + filled);
        if (count === 0) throw new Error(`${path} was cut short while it was being read; fetch it again`);
        filled += count;
      }
      return bytes;
    },
    close: () => closeSync(file),
  };
}

/** A file that is open only while it is read, so that nobody has to close it. */
export function weightBytesAt(path: string): WeightBytes {
  return {
    size: statSync(path).size,
    read(start, end) {
      const file = openWeightBytes(path);
      try {
        return file.read(start, end);
      } finally {
        file.close();
      }
    },
  };
}
