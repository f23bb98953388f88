import { readSync } from 'node:fs';

/** The first bytes of an open file, or all of a shorter one. */
export function readStart(descriptor: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let filled = 0;
  for (;;) {
    const read = readSync(descriptor, buffer, filled, bytes - filled, filled);
    if (read === 0) return buffer.subarray(0, filled);
    filled += read;
  }
}
