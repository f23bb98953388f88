/**
 * Where the entries of an uncompressed ZIP archive lie, from its central directory (PKWARE's APPNOTE 6.3, sections 4.3.7 to 4.3.16;
 * ZIP64 for archives beyond 4 GB). torch.save stores everything uncompressed, so that a tensor can be read from its place.
 */
import type { WeightBytes } from '../bytes.js';
import { MAX_DIRECTORY_BYTES, MAX_ENTRIES } from './limits.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END_64_BYTES = 56;
const LOCATOR_64_BYTES = 20;
/** The archive's comment, after which it ends, has a 16-bit length. */
const MAX_COMMENT = 0xffff;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
const ENCRYPTED = 1;

export interface ZipEntry {
  readonly name: string;
  /** Position of its local header. */
  readonly header: number;
  /** Length of its data. */
  readonly size: number;
}

type Fail = (reason: string) => never;

/** The entries of the archive by name. */
export function readZipDirectory(bytes: WeightBytes, fail: Fail): Map<string, ZipEntry> {
  const { count, start, size } = findDirectory(bytes, fail);
  if (count > MAX_ENTRIES) fail(`its archive has ${count} entries, more than the ${MAX_ENTRIES} allowed`);
  if (size > MAX_DIRECTORY_BYTES) fail(`the list of its archive's entries takes ${size} bytes, more than the ${MAX_DIRECTORY_BYTES} allowed`);
  if (start + size > bytes.size) fail('the list of its archive\'s entries lies outside of it: was it cut short?');
  const view = viewOf(bytes.read(start, start + size));
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > size || view.getUint32(at, true) !== CENTRAL) fail(`entry ${i} of its archive is damaged`);
    const [nameLength, extraLength, commentLength] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    const end = at + CENTRAL_BYTES + nameLength + extraLength + commentLength;
    if (end > size) fail(`entry ${i} of its archive is damaged`);
    const name = new TextDecoder().decode(bytesOf(view, at + CENTRAL_BYTES, nameLength));
    if ((view.getUint16(at + 8, true) & ENCRYPTED) !== 0) fail(`"${name}" is encrypted`);
    if (view.getUint16(at + 10, true) !== 0) fail(`"${name}" is compressed; torch.save stores its files uncompressed`);
    const extra = new DataView(view.buffer, view.byteOffset + at + CENTRAL_BYTES + nameLength, extraLength);
    const { stored, full, header } = placeOf(view, at, extra, () => fail(`entry "${name}" of its archive is damaged`));
    if (stored !== full || header + LOCAL_BYTES + stored > bytes.size) fail(`"${name}" lies outside of the file: was it cut short?`);
    entries.set(name, { name, header, size: full });
    at = end;
  }
  return entries;
}

/** Where an entry's data starts. Its own header may be longer than the directory says: torch.save pads it so that data is aligned. */
export function dataStart(bytes: WeightBytes, entry: ZipEntry, fail: Fail): number {
  const view = viewOf(bytes.read(entry.header, entry.header + LOCAL_BYTES));
  if (view.getUint32(0, true) !== LOCAL) fail(`"${entry.name}" is not where its archive says`);
  const start = entry.header + LOCAL_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  if (start + entry.size > bytes.size) fail(`"${entry.name}" lies outside of the file: was it cut short?`);
  return start;
}

/** Number of entries, and where their list lies. */
function findDirectory(bytes: WeightBytes, fail: Fail): { count: number; start: number; size: number } {
  const tailStart = Math.max(0, bytes.size - END_BYTES - MAX_COMMENT);
  const tail = viewOf(bytes.read(tailStart, bytes.size));
  let at = tail.byteLength - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) fail('the end of its archive is missing: was it cut short?');
  const [count, size, start] = [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
  if (count !== FULL_16 && size !== FULL_32 && start !== FULL_32) return { count, start, size };

  const locator = tailStart + at - LOCATOR_64_BYTES;
  if (locator < 0) fail('the end of its archive is damaged');
  const locatorView = viewOf(bytes.read(locator, locator + LOCATOR_64_BYTES));
  if (locatorView.getUint32(0, true) !== LOCATOR_64) fail('the end of its archive is damaged');
  const end = Number(locatorView.getBigUint64(8, true));
  if (end + END_64_BYTES > bytes.size) fail('the end of its archive is damaged');
  const view = viewOf(bytes.read(end, end + END_64_BYTES));
  if (view.getUint32(0, true) !== END_64) fail('the end of its archive is damaged');
  return { count: Number(view.getBigUint64(32, true)), size: Number(view.getBigUint64(40, true)), start: Number(view.getBigUint64(48, true)) };
}

/** Sizes and position of an entry; those that don't fit 32 bits are in the ZIP64 field, in this order. */
function placeOf(view: DataView, at: number, extra: DataView, fail: () => never): { stored: number; full: number; header: number } {
  const narrow = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  let wide = zip64Field(extra);
  const [full, stored, header] = narrow.map((value) => {
    if (value !== FULL_32) return value;
    if (wide === null || wide.byteLength < 8) return fail();
    const read = Number(wide.getBigUint64(0, true));
    wide = new DataView(wide.buffer, wide.byteOffset + 8, wide.byteLength - 8);
    return read;
  }) as [number, number, number];
  return { stored, full, header };
}

function zip64Field(extra: DataView): DataView | null {
  for (let at = 0; at + 4 <= extra.byteLength; ) {
    const size = extra.getUint16(at + 2, true);
    if (at + 4 + size > extra.byteLength) return null;
    if (extra.getUint16(at, true) === 1) return new DataView(extra.buffer, extra.byteOffset + at + 4, size);
    at += 4 + size;
  }
  return null;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}
