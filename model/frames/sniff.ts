/** Tells a file's format from its first bytes. Names and extensions are never asked. */

export type PhotoFormat = 'jpeg' | 'png' | 'webp';
/** Read by mediabunny and by ffmpeg. */
export type CommonContainer = 'mp4' | 'matroska';
/** Read by ffmpeg alone. */
export type FfmpegContainer = 'avi' | 'flv' | 'mpegts' | 'mpeg' | 'asf' | 'ogg' | 'gif';
/** A picture format that is not read at all, by its common name. */
export type RefusedFormat = 'HEIC' | 'AVIF' | 'TIFF' | 'BMP';

export type Sniffed =
  | { readonly kind: 'photo'; readonly format: PhotoFormat }
  | { readonly kind: 'video'; readonly container: CommonContainer | FfmpegContainer }
  | { readonly kind: 'refused'; readonly format: RefusedFormat }
  | { readonly kind: 'unknown' };

/** Bytes `sniff` wants to see: enough for three packets of an MPEG transport stream. */
export const SNIFF_BYTES = 600;

/** Top-level boxes an MP4 or QuickTime file can start with. */
const MP4_FIRST_BOXES = new Set(['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot']);
const HEIC_BRANDS = new Set(['heic', 'heix', 'heim', 'heis', 'hevc', 'mif1', 'msf1']);
const TS_PACKET_BYTES = 188;
const TS_SYNC = 0x47;

/** @param head The first SNIFF_BYTES bytes of the file, or all of a shorter one. */
export function sniff(head: Uint8Array): Sniffed {
  const text = (start: number, length: number): string => String.fromCharCode(...head.subarray(start, start + length));
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);

  if (starts(0xff, 0xd8, 0xff)) return { kind: 'photo', format: 'jpeg' };
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return { kind: 'photo', format: 'png' };
  if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') return { kind: 'photo', format: 'webp' };
  if (MP4_FIRST_BOXES.has(text(4, 4))) {
    const brand = text(4, 4) === 'ftyp' ? text(8, 4) : '';
    if (HEIC_BRANDS.has(brand)) return { kind: 'refused', format: 'HEIC' };
    if (brand === 'avif' || brand === 'avis') return { kind: 'refused', format: 'AVIF' };
    return { kind: 'video', container: 'mp4' };
  }
  if (starts(0x1a, 0x45, 0xdf, 0xa3)) return { kind: 'video', container: 'matroska' };
  if (text(0, 4) === 'RIFF' && text(8, 4) === 'AVI ') return { kind: 'video', container: 'avi' };
  if (text(0, 3) === 'FLV') return { kind: 'video', container: 'flv' };
  if (text(0, 4) === 'OggS') return { kind: 'video', container: 'ogg' };
  if (text(0, 6) === 'GIF87a' || text(0, 6) === 'GIF89a') return { kind: 'video', container: 'gif' };
  if (starts(0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11)) return { kind: 'video', container: 'asf' };
  if (starts(0x00, 0x00, 0x01, 0xba)) return { kind: 'video', container: 'mpeg' };
  for (const start of [0, 4]) {
    // AVCHD cameras put a 4-byte time before each packet.
    const step = TS_PACKET_BYTES + start;
    if ([0, 1, 2].every((packet) => head[start + packet * step] === TS_SYNC)) return { kind: 'video', container: 'mpegts' };
  }
  if (starts(0x49, 0x49, 0x2a, 0x00) || starts(0x4d, 0x4d, 0x00, 0x2a)) return { kind: 'refused', format: 'TIFF' };
  // "BM" alone could be the start of a text; a bitmap's second header tells its own size, 12 to 124 bytes.
  if (text(0, 2) === 'BM' && (head[14] ?? 0) >= 12 && head[15] === 0 && head[16] === 0 && head[17] === 0) {
    return { kind: 'refused', format: 'BMP' };
  }
  return { kind: 'unknown' };
}
