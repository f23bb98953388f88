/** Tells photos from everything else by a file's first bytes. Names and extensions are never asked. */

/** Formats that sharp reads. */
export type PhotoFormat = 'jpeg' | 'png' | 'webp' | 'tiff' | 'avif' | 'heic';

/** Bytes `sniffPhoto` wants to see: a PNG tells that it moves before its first pixels, which a colour profile may delay. */
export const SNIFF_BYTES = 65_536;

/** Brands of the ISO base media file format (ISO/IEC 14496-12) that stand for one picture; sequences have others. */
const PICTURE_BRANDS: Readonly<Record<string, PhotoFormat>> = { avif: 'avif', mif1: 'heic', heic: 'heic', heix: 'heic', heim: 'heic', heis: 'heic' };
const WEBP_ANIMATION = 0x02;

/**
 * The photo format that the bytes begin with; null for animations and for all that is no photo.
 *
 * @param head The first SNIFF_BYTES bytes of the file, or all of a shorter one.
 */
export function sniffPhoto(head: Uint8Array): PhotoFormat | null {
  const text = (start: number, length: number): string => String.fromCharCode(...head.subarray(start, start + length));
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte);

  if (starts(0xff, 0xd8, 0xff)) return motionJpeg(head) ? null : 'jpeg';
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return movingPng(head) ? null : 'png';
  if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') return text(12, 4) === 'VP8X' && ((head[20] ?? 0) & WEBP_ANIMATION) !== 0 ? null : 'webp';
  if (starts(0x49, 0x49, 0x2a, 0x00) || starts(0x4d, 0x4d, 0x00, 0x2a)) return 'tiff';
  return text(4, 4) === 'ftyp' ? (PICTURE_BRANDS[text(8, 4)] ?? null) : null;
}

/** One JPEG right behind another: a raw Motion JPEG video, unless it says that it is a photo with pictures beside it ("MPF", CIPA DC-007). */
function motionJpeg(head: Uint8Array): boolean {
  // A letter a byte; those in question are the same in all the encodings that go by this name.
  const text = new TextDecoder('latin1').decode(head);
  return text.includes('\xff\xd9\xff\xd8\xff') && !text.includes('MPF\0');
}

/** An animated PNG has a chunk "acTL" before the first with pixels, "IDAT". A chunk is its length, its name, data and a checksum. */
function movingPng(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let offset = 8; offset + 8 <= head.length; offset += 12 + view.getUint32(offset)) {
    const name = String.fromCharCode(...head.subarray(offset + 4, offset + 8));
    if (name === 'acTL') return true;
    if (name === 'IDAT') return false;
  }
  return false;
}
