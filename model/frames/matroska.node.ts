/** The outermost structure of Matroska and WebM files (RFC 8794 for EBML, RFC 9559 for Matroska). */
import { open, type FileHandle } from 'node:fs/promises';
import { FrameSourceError } from './error.js';
import { MAX_MATROSKA_ELEMENTS } from './limits.js';
import type { MediaFile } from './open.node.js';

const SEGMENT = 0x18538067;
/** An EBML header is a few dozen bytes; the segment's own header follows it at once. */
const HEAD_BYTES = 1024;
/** The longest ID, 4 bytes, and the longest size, 8. */
const ELEMENT_HEADER_BYTES = 12;

/** What may lie in a segment: SeekHead, Info, Tracks, Cluster, Cues, Chapters, Tags, Attachments, Void, CRC-32. */
const IN_SEGMENT = new Set([0x114d9b74, 0x1549a966, 0x1654ae6b, 0x1f43b675, 0x1c53bb6b, 0x1043a770, 0x1254c367, 0x1941a469, 0xec, 0xbf]);

export interface Segment {
  /** Byte of the file at which its first element begins. */
  readonly start: number;
  /** Byte after its last element, or null where the file does not say (live recordings). */
  readonly end: number | null;
}

/** The file's first segment; null where something else follows the EBML header. */
export async function findSegment(handle: FileHandle): Promise<Segment | 'cut off' | null> {
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  const header = readSize(head, 4, bytesRead);
  if (header === null) return 'cut off';
  const start = header.end + (header.value ?? 0);
  if (start + 4 > bytesRead || head.readUInt32BE(start) !== SEGMENT) return null;
  const size = readSize(head, start + 4, bytesRead);
  if (size === null) return 'cut off';
  return { start: size.end, end: size.value === null ? null : size.end + size.value };
}

/**
 * Walks over the elements of the segment. mediabunny 1.61 searches without end for the next element when it meets
 * something else where an element should begin, so such files are refused before it sees them.
 *
 * @throws FrameSourceError `media_damaged` naming the byte at which the structure breaks.
 */
export async function checkMatroskaElements({ path, name, bytes }: MediaFile): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const segment = await findSegment(handle);
    if (segment === null || segment === 'cut off') throw broken(name, 0);
    const end = Math.min(segment.end ?? bytes, bytes);
    const header = Buffer.alloc(ELEMENT_HEADER_BYTES);
    let offset = segment.start;
    for (let element = 0; offset < end && element < MAX_MATROSKA_ELEMENTS; element++) {
      const { bytesRead } = await handle.read(header, 0, Math.min(header.length, end - offset), offset);
      const idLength = Math.clz32(header[0] ?? 0) - 23;
      if (idLength > 4 || idLength > bytesRead || !IN_SEGMENT.has(header.readUIntBE(0, idLength))) throw broken(name, offset);
      const size = readSize(header, idLength, bytesRead);
      if (size === null) throw broken(name, offset);
      if (size.value === null) return; // A live cluster: it ends where the next begins.
      offset += size.end + size.value;
      if (offset > end) throw broken(name, offset);
    }
  } finally {
    await handle.close();
  }
}

function broken(name: string, offset: number): FrameSourceError {
  return new FrameSourceError('media_damaged', `${name} has a damaged structure at byte ${offset}. Export or download it again.`);
}

/** An EBML size: the leading zero bits of its first byte say how many bytes follow. All ones: null, unknown. */
function readSize(data: Buffer, offset: number, length: number): { value: number | null; end: number } | null {
  const first = data[offset];
  if (first === undefined || first === 0 || offset >= length) return null;
  const size = Math.clz32(first) - 23;
  if (offset + size > length) return null;
  let value = first & (0xff >> size);
  let allOnes = value === 0xff >> size;
  for (let index = 1; index < size; index++) {
    const byte = data[offset + index] as number;
    value = value * 256 + byte;
    allOnes &&= byte === 0xff;
  }
  return { value: allOnes ? null : value, end: offset + size };
}
