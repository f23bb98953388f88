import type { BlockCoding } from './block.js';
import { ByteReader } from './bytes.js';
import { ContainerError, malformed } from './errors.js';
import { FIRST_VERSION, readHeader, sectionBytes, truncated, type Header, type SectionEntry, type SectionType } from './header.js';
import { readLatents, type DecodedLatents } from './latents.js';
import { MAX_FILE_ELEMENTS, MAX_NETWORK_ELEMENTS } from './limits.js';
import { readFrameCount, readMeta, readTimes } from './meta.js';
import { readMixing } from './mixing.js';
import { basisImages, imageElements, readNetwork, type TensorCoding } from './network.js';
import type { Container, ContainerMeta, ContainerNetwork } from './types.js';

/** A run of frames with a network of its own. */
export interface SegmentEntry {
  /** Index of its first frame. */
  readonly first: number;
  readonly frames: number;
  /** Where its network lies in the file; null while it is not encoded yet. */
  readonly network: SectionEntry | null;
}

/** What the first bytes of a file hold: everything but the networks. */
export interface ContainerHead {
  /** Its `networks` are null, whether or not the file has them. */
  readonly container: Container;
  readonly segments: readonly SegmentEntry[];
  /** How many bytes from the start of the file the head takes: what a range request needs. */
  readonly headBytes: number;
  /** Length of the whole file. */
  readonly fileBytes: number;
}

/** What one segment spends its bytes on. */
export interface SegmentReport extends SegmentEntry {
  /** Empty where the segment is not coded. */
  readonly tensors: readonly TensorCoding[];
}

/** What a file holds and what it spends its bytes on. */
export interface ContainerReport {
  readonly version: number;
  readonly fileBytes: number;
  readonly headBytes: number;
  readonly sections: readonly SectionEntry[];
  /** null for a single frame, whose latent is stored as float16 without coding. */
  readonly latents: BlockCoding | null;
  readonly segments: readonly SegmentReport[];
}

/**
 * Reads a whole `.linr` file: head and checksums; its networks stay coded until `decodeNetwork`. Throws ContainerError, and nothing
 * else, for bytes it refuses; see limits.ts for what it accepts.
 */
export function readContainer(bytes: Uint8Array): Container {
  return containerOf(bytes, parse(bytes));
}

/**
 * Reads a whole file, checks every network by decoding it, one at a time, and reports how all is stored. Throws as `readContainer`.
 * @param check is given each network of segment `k` as it is decoded, its basis images still coded; what it throws ends the reading. Default:
 *   decodes them
 */
export function inspectContainer(
  bytes: Uint8Array,
  check: (network: ContainerNetwork, container: Container, k: number) => void = checkImages,
): ContainerReport & { readonly container: Container } {
  const parsed = parse(bytes);
  const { header, latents, segments } = parsed;
  const container = containerOf(bytes, parsed);
  let elementsLeft = MAX_FILE_ELEMENTS;
  const reports = segments.map((segment, k) => {
    const network = container.networks[k];
    if (network === null || network === undefined) return { ...segment, tensors: [] };
    const { network: decoded, codings } = readNetwork(network, Math.min(elementsLeft, MAX_NETWORK_ELEMENTS));
    elementsLeft -= imageElements(decoded);
    if (elementsLeft < 0) throw new ContainerError('limit_exceeded', `The networks hold more than ${MAX_FILE_ELEMENTS} numbers, the most this reader accepts of a file.`);
    check(decoded, container, k);
    for (const { dims } of codings) elementsLeft -= dims.reduce((product, dim) => product * dim, 1);
    return { ...segment, tensors: codings };
  });
  return {
    container,
    version: header.version,
    fileBytes: header.fileBytes,
    headBytes: headLength(header),
    sections: header.sections,
    latents: latents.coding,
    segments: reports,
  };
}

function checkImages({ images }: ContainerNetwork): void {
  if (images !== undefined) basisImages(images);
}

/**
 * Reads header, times and latents from the first bytes of a file, enough to chat. Where `bytes` is too short the ContainerError has code
 * `truncated` and says in `neededBytes` how many are needed; a caller that knows nothing may start with `HEAD_GUESS_BYTES`.
 */
export function readHead(bytes: Uint8Array): ContainerHead {
  const header = readHeader(bytes);
  const headBytes = headLength(header);
  if (bytes.length < headBytes) throw truncated('head', headBytes);
  const { meta, latents, segments, mixing } = parseHead(bytes, header);
  return {
    container: { meta, latents: latents.latents, latentDim: latents.latentDim, ...mixing, networks: segments.map(() => null) },
    segments,
    headBytes,
    fileBytes: header.fileBytes,
  };
}

/** The refusal of a file of `size` bytes whose header promises `fileBytes`. */
export function checkFileSize(size: number, fileBytes: number): void {
  if (size < fileBytes) {
    throw new ContainerError('truncated', `The container is cut off: it has ${size} of its ${fileBytes} bytes.`, fileBytes);
  }
  if (size > fileBytes) throw malformed(`The file goes on for ${size - fileBytes} bytes after the container's end.`);
}

interface ParsedHead {
  readonly meta: ContainerMeta;
  readonly latents: DecodedLatents;
  readonly segments: readonly SegmentEntry[];
  /** Without `mixing` where the file is of the first version. */
  readonly mixing: Pick<Container, 'mixing'>;
}

function parse(bytes: Uint8Array): ParsedHead & { readonly header: Header } {
  const header = readHeader(bytes);
  checkFileSize(bytes.length, header.fileBytes);
  return { header, ...parseHead(bytes, header) };
}

function containerOf(bytes: Uint8Array, { meta, latents, segments, mixing }: ParsedHead): Container {
  return {
    meta,
    ...mixing,
    latents: latents.latents,
    latentDim: latents.latentDim,
    networks: segments.map(({ network }) => (network === null ? null : sectionBytes(bytes, network))),
  };
}

function parseHead(bytes: Uint8Array, header: Header): ParsedHead {
  const metaBytes = required(bytes, header, 'META');
  const timesBytes = required(bytes, header, 'TIME');
  const latentsBytes = required(bytes, header, 'LATN');
  const frames = readFrameCount(metaBytes);
  const { meta, coded } = readMeta(metaBytes, readTimes(timesBytes, frames));
  const segments = segmentEntries(meta, coded, header);
  const input = new ByteReader(latentsBytes, 'LATN');
  const latents = readLatents(input, frames);
  const mixing = header.version === FIRST_VERSION ? {} : { mixing: readMixing(input, segments) };
  input.end();
  return { meta, segments, latents, mixing };
}

/** Gives each coded segment its NETW section, in order. `coded` null: one segment, coded where there is a network. */
function segmentEntries(meta: ContainerMeta, coded: readonly boolean[] | null, header: Header): SegmentEntry[] {
  const sections = header.sections.filter((section) => section.type === 'NETW');
  const wanted = coded ?? [sections.length > 0];
  const promised = wanted.filter((present) => present).length;
  if (promised !== sections.length) {
    throw malformed(`The container has ${sections.length} NETW sections for ${promised} coded segments.`);
  }
  let first = 0;
  let next = 0;
  return meta.segments.map((frames, k) => {
    const entry = { first, frames, network: wanted[k] === true ? (sections[next++] ?? null) : null };
    first += frames;
    return entry;
  });
}

function required(bytes: Uint8Array, header: Header, type: SectionType): Uint8Array {
  const entry = header.sections.find((section) => section.type === type);
  if (entry === undefined) throw malformed(`The container has no ${type} section.`);
  return sectionBytes(bytes, entry);
}

/** The end of the LATN section. */
function headLength(header: Header): number {
  const latents = header.sections.find((section) => section.type === 'LATN');
  if (latents === undefined) throw malformed('The container has no LATN section.');
  return latents.offset + latents.bytes;
}
