/** Containers taken apart and put together again with right lengths and checksums, so that what is wrong inside reaches the parsers. */
import { crc32 } from '../../model/container/crc32.js';

export interface Section {
  /** Four ASCII bytes. */
  type: Uint8Array;
  bytes: Uint8Array;
}

export function splitSections(file: Uint8Array): Section[] {
  const view = new DataView(file.buffer, file.byteOffset);
  const count = view.getUint16(10, true);
  const sections: Section[] = [];
  let at = 12 + 12 * count + 4;
  for (let i = 0; i < count; i++) {
    const entry = 12 + 12 * i;
    const length = view.getUint32(entry + 4, true);
    sections.push({ type: file.slice(entry, entry + 4), bytes: file.slice(at, at + length) });
    at += length;
  }
  return sections;
}

/** A file of these sections; signature and version are those of `original`. */
export function joinSections(sections: readonly Section[], original: Uint8Array): Uint8Array {
  const headerBytes = 12 + 12 * sections.length + 4;
  const file = new Uint8Array(headerBytes + sections.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const view = new DataView(file.buffer);
  file.set(original.subarray(0, 10));
  view.setUint16(10, sections.length, true);
  let at = headerBytes;
  sections.forEach(({ type, bytes }, i) => {
    file.set(type, 12 + 12 * i);
    view.setUint32(12 + 12 * i + 4, bytes.length, true);
    view.setUint32(12 + 12 * i + 8, crc32(bytes), true);
    file.set(bytes, at);
    at += bytes.length;
  });
  view.setUint32(headerBytes - 4, crc32(file.subarray(0, headerBytes - 4)), true);
  return file;
}

/** `file` with its sections changed in place. */
export function withSections(file: Uint8Array, change: (sections: Section[]) => void): Uint8Array {
  const sections = splitSections(file);
  change(sections);
  return joinSections(sections, file);
}
