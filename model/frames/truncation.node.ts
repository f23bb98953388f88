/** Tells a cut-off file before any decoder sees it: decoders only say that something is missing, or nothing at all. */
import type { FileHandle } from 'node:fs/promises';
import { FrameSourceError } from './error.js';
import { MAX_TOP_LEVEL_BOXES } from './limits.js';
import { findSegment } from './matroska.node.js';
import type { MediaFile } from './open.node.js';
import type { CommonContainer } from './sniff.js';

/** @throws FrameSourceError `video_truncated` or `media_damaged`. */
export async function checkComplete(handle: FileHandle, file: MediaFile, container: CommonContainer): Promise<void> {
  await (container === 'mp4' ? checkMp4(handle, file) : checkMatroska(handle, file));
}

/** Walks the boxes at the top of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2): each begins with its size and type. */
async function checkMp4(handle: FileHandle, { name, bytes }: MediaFile): Promise<void> {
  const header = Buffer.alloc(16);
  const seen = new Set<string>();
  let offset = 0;
  for (let box = 0; box < MAX_TOP_LEVEL_BOXES && offset < bytes; box++) {
    const { bytesRead } = await handle.read(header, 0, header.length, offset);
    // QuickTime files may end in a few zero bytes.
    if (bytesRead < 8 && header.subarray(0, bytesRead).every((byte) => byte === 0)) break;
    if (bytesRead < 8) throw cutOff(name, 'next part', offset + 8, bytes);
    const type = header.toString('latin1', 4, 8);
    seen.add(type);
    const small = header.readUInt32BE(0);
    if (small === 0) break; // The last part, up to the end of the file, however long that is.
    // Size 1: the true size is in the next 8 bytes.
    const size = small === 1 ? (bytesRead === 16 ? Number(header.readBigUInt64BE(8)) : NaN) : small;
    if (!(size >= 8)) throw new FrameSourceError('media_damaged', `${name} has a damaged structure at byte ${offset}. Export or download it again.`);
    if (offset + size > bytes) throw cutOff(name, `part "${printable(type)}"`, offset + size, bytes);
    offset += size;
  }
  if (!seen.has('moov')) {
    throw new FrameSourceError('video_truncated', `${name} has no index ("moov"): it was cut off, or its recording never finished. Copy or export it again.`);
  }
  if (!seen.has('mdat') && offset >= bytes) throw new FrameSourceError('video_truncated', `${name} ends before its pictures ("mdat"). Copy or download it again.`);
}

function cutOff(name: string, part: string, end: number, bytes: number): FrameSourceError {
  return new FrameSourceError('video_truncated', `${name} is cut off: its ${part} should end at byte ${end}, the file ends at ${bytes}. Copy or download it again.`);
}

/** A Matroska segment whose size is known must end within the file. */
async function checkMatroska(handle: FileHandle, { name, bytes }: MediaFile): Promise<void> {
  const segment = await findSegment(handle);
  if (segment === 'cut off') throw new FrameSourceError('video_truncated', `${name} ends within its header. Copy or download it again.`);
  if (segment !== null && segment.end !== null && segment.end > bytes) {
    throw new FrameSourceError('video_truncated', `${name} is cut off: it should be ${segment.end} bytes long, the file ends at ${bytes}. Copy or download it again.`);
  }
}

function printable(type: string): string {
  return type.replace(/[^\x20-\x7e]/g, '?');
}
