import { ByteReader, ByteWriter, checkLimit } from './bytes.js';
import { crc32 } from './crc32.js';
import { ContainerError, malformed } from './errors.js';
import { MAX_FILE_BYTES, MAX_SECTIONS } from './limits.js';

/** As PNG's: a byte above 127, the name, and line ends that a text transfer would damage. */
export const MAGIC: Uint8Array = Uint8Array.of(0x89, 0x4c, 0x49, 0x4e, 0x52, 0x0d, 0x0a, 0x1a);
/** The version of files with free numbers in their latents or basis images in their networks; those without are of version 1. */
export const VERSION = 2;
export const FIRST_VERSION = 1;

/**
 * The kinds of section of version 1, in the order in which they stand in a file. There is one NETW for each segment that is coded, in the
 * order of the segments, and one of every other kind.
 */
export const SECTION_ORDER = ['META', 'TIME', 'LATN', 'NETW'] as const;
export type SectionType = (typeof SECTION_ORDER)[number];

/** Where a section lies in the file. */
export interface SectionEntry {
  readonly type: string;
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
}

export interface Header {
  readonly version: number;
  readonly sections: readonly SectionEntry[];
  /** Length of the whole file. */
  readonly fileBytes: number;
}

const FIXED_BYTES = 12;
const ENTRY_BYTES = 12;

/** Joins sections into a file: magic, u16 version, u16 count n, n x (type, u32 length, u32 CRC-32), u32 CRC-32 of all that, sections. */
export function joinSections(sections: readonly (readonly [SectionType, Uint8Array])[], version: number): Uint8Array {
  const header = new ByteWriter();
  header.bytes(MAGIC);
  header.u16(version);
  header.u16(sections.length);
  let total = FIXED_BYTES + ENTRY_BYTES * sections.length + 4;
  for (const [type, bytes] of sections) {
    header.bytes(new TextEncoder().encode(type));
    header.u32(bytes.length);
    header.u32(crc32(bytes));
    total += bytes.length;
  }
  checkLimit(total, MAX_FILE_BYTES, 'The length of the file');
  header.u32(crc32(header.finish()));
  const file = new Uint8Array(total);
  file.set(header.finish());
  let at = header.length;
  for (const [, bytes] of sections) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/** Reads and checks the header of a file of which `bytes` is a prefix. */
export function readHeader(bytes: Uint8Array): Header {
  if (bytes.length === 0) throw new ContainerError('not_a_container', 'The file is empty.', FIXED_BYTES);
  for (let i = 0; i < Math.min(MAGIC.length, bytes.length); i++) {
    if (bytes[i] !== MAGIC[i]) throw new ContainerError('not_a_container', 'The file is not a .linr container: it does not start with its signature.');
  }
  if (bytes.length < FIXED_BYTES) throw truncated('header', FIXED_BYTES);
  const fixed = new ByteReader(bytes.subarray(MAGIC.length), 'header');
  const version = fixed.u16();
  if (version < FIRST_VERSION || version > VERSION) {
    throw new ContainerError('version_unsupported', `The container has version ${version}; this reader knows versions ${FIRST_VERSION} to ${VERSION}.`);
  }
  const count = fixed.u16();
  checkLimit(count, MAX_SECTIONS, 'The number of sections');
  const headerBytes = FIXED_BYTES + ENTRY_BYTES * count + 4;
  if (bytes.length < headerBytes) throw truncated('header', headerBytes);
  const table = new ByteReader(bytes.subarray(FIXED_BYTES, headerBytes), 'header');
  const sections: SectionEntry[] = [];
  let offset = headerBytes;
  for (let i = 0; i < count; i++) {
    const type = String.fromCharCode(...table.bytes(4));
    const length = table.u32();
    sections.push({ type, offset, bytes: length, crc32: table.u32() });
    offset += length;
  }
  if (table.u32() !== crc32(bytes.subarray(0, headerBytes - 4))) {
    throw new ContainerError('checksum_mismatch', 'The header of the container is damaged: its checksum does not match.');
  }
  checkLimit(offset, MAX_FILE_BYTES, 'The length of the file');
  checkKinds(sections);
  return { version, sections, fileBytes: offset };
}

/** Known kinds in order and, but for NETW, once each; a kind whose first letter is lower case may be skipped, any other is from a later version. */
function checkKinds(sections: readonly SectionEntry[]): void {
  let last = -1;
  for (const { type } of sections) {
    if (!/^[A-Za-z0-9]{4}$/.test(type)) throw malformed('A section of the container has a name that is not four letters or digits.');
    const place = (SECTION_ORDER as readonly string[]).indexOf(type);
    if (place < 0) {
      if (/^[a-z]/.test(type)) continue;
      throw new ContainerError('version_unsupported', `The container has a section ${type} that this reader does not know.`);
    }
    if (place < last || (place === last && type !== 'NETW')) throw malformed(`The section ${type} of the container is repeated or out of order.`);
    last = place;
  }
}

/** A view of the section's bytes in `file`, a prefix of the file, checked against its checksum. */
export function sectionBytes(file: Uint8Array, entry: SectionEntry): Uint8Array {
  const end = entry.offset + entry.bytes;
  if (file.length < end) throw truncated(`${entry.type} section`, end);
  return checkedSection(file.subarray(entry.offset, end), entry);
}

/** `bytes`, which are those of the section, once they match its checksum. */
export function checkedSection(bytes: Uint8Array, entry: SectionEntry): Uint8Array {
  if (crc32(bytes) !== entry.crc32) {
    throw new ContainerError('checksum_mismatch', `The ${entry.type} section of the container is damaged: its checksum does not match.`);
  }
  return bytes;
}

export function truncated(where: string, neededBytes: number): ContainerError {
  return new ContainerError('truncated', `The container ends inside its ${where}; it was cut off.`, neededBytes);
}
