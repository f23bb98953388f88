/** Tells a cut-off file by its structure: decoders only say that something is missing, or nothing at all. */
import { open, type FileHandle } from 'node:fs/promises';
import { MAX_LIVE_ELEMENTS, MAX_TOP_LEVEL_BOXES } from './limits.js';
import type { MediaFile } from './open.node.js';

/** Bytes in which Matroska's header and the head of its segment lie. */
const HEAD_BYTES = 1024;
const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
/** The longest name of an EBML element, 4 bytes, and the longest size, 8. */
const ELEMENT_HEADER_BYTES = 12;
/** The largest a top-level box of 4 letters can be without its size in 8 more bytes. */
const BOX_HEADER_BYTES = 16;

/** A sentence for the file's owner that says where the file is cut off; null where nothing shows that it is. */
export async function cutOff(file: MediaFile): Promise<string | null> {
  const handle = await open(file.path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    const end = await endByStructure(handle, head.subarray(0, bytesRead), file.bytes);
    if (end === null || end <= file.bytes) return null;
    return `The file is cut off: by its own account it has ${end} bytes, but it ends after ${file.bytes}.`;
  } finally {
    await handle.close();
  }
}

/** Bytes the file should have, as far as its outermost structure says; null where it does not. */
async function endByStructure(handle: FileHandle, head: Buffer, bytes: number): Promise<number | null> {
  if (head.length < BOX_HEADER_BYTES) return null;
  if (head.readUInt32BE(0) === EBML) return matroskaEnd(handle, head, bytes);
  if (/^(RIFF|RF64)$/.test(head.toString('latin1', 0, 4))) return riffEnd(head);
  return /^(ftyp|moov|mdat|wide|free|skip|pnot)$/.test(head.toString('latin1', 4, 8)) ? mp4End(handle, bytes) : null;
}

/** Walks the boxes at the top of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2): each begins with its size and type. */
async function mp4End(handle: FileHandle, bytes: number): Promise<number | null> {
  const header = Buffer.alloc(BOX_HEADER_BYTES);
  let offset = 0;
  for (let box = 0; box < MAX_TOP_LEVEL_BOXES && offset < bytes; box++) {
    const { bytesRead } = await handle.read(header, 0, header.length, offset);
    // QuickTime files may end in a few zero bytes.
    if (bytesRead < 8) return header.subarray(0, bytesRead).every((byte) => byte === 0) ? null : offset + 8;
    const small = header.readUInt32BE(0);
    if (small === 0) return null; // The last part, up to the end of the file, however long that is.
    // Size 1: the true size is in the next 8 bytes.
    const size = small === 1 ? (bytesRead === BOX_HEADER_BYTES ? Number(header.readBigUInt64BE(8)) : NaN) : small;
    if (!(size >= 8)) return null;
    offset += size;
  }
  return offset;
}

/** The end of a Matroska or WebM file's first segment (RFC 8794 for EBML, RFC 9559 for Matroska). */
async function matroskaEnd(handle: FileHandle, head: Buffer, bytes: number): Promise<number | null> {
  const header = readSize(head, 4);
  const start = header === null ? NaN : header.end + (header.value ?? NaN);
  if (!(start + 4 <= head.length) || head.readUInt32BE(start) !== SEGMENT) return null;
  const segment = readSize(head, start + 4);
  if (segment === null) return null;
  return segment.value === null ? liveEnd(handle, segment.end, bytes) : segment.end + segment.value;
}

/**
 * The end of the last element in a segment that is open, as recordings are: elements are passed over, those without a size are
 * entered. Null where there are more than MAX_LIVE_ELEMENTS, or something else lies between them.
 */
async function liveEnd(handle: FileHandle, start: number, bytes: number): Promise<number | null> {
  const header = Buffer.alloc(ELEMENT_HEADER_BYTES);
  let offset = start;
  for (let element = 0; offset < bytes; element++) {
    const { bytesRead } = await handle.read(header, 0, ELEMENT_HEADER_BYTES, offset);
    const id = readSize(header.subarray(0, bytesRead), 0);
    const size = id === null ? null : readSize(header.subarray(0, bytesRead), id.end);
    if (size === null || element === MAX_LIVE_ELEMENTS) return null;
    offset += size.end + (size.value ?? 0);
  }
  return offset;
}

/** An EBML size: the leading zero bits of its first byte say how many bytes follow. All ones: null, unknown. */
function readSize(data: Buffer, offset: number): { value: number | null; end: number } | null {
  const first = data[offset];
  if (first === undefined || first === 0) return null;
  const length = Math.clz32(first) - 23;
  if (offset + length > data.length) return null;
  let value = first & (0xff >> length);
  let allOnes = value === 0xff >> length;
  for (const byte of data.subarray(offset + 1, offset + length)) {
    value = value * 256 + byte;
    allOnes &&= byte === 0xff;
  }
  return { value: allOnes ? null : value, end: offset + length };
}

/** The end of an AVI or WebP file's first part; recorders that were interrupted leave it at 0 or at all ones. */
function riffEnd(head: Buffer): number | null {
  const size = head.readUInt32LE(4);
  return size === 0 || size === 0xffffffff ? null : size + 8;
}
