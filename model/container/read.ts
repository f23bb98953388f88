import type { BlockCoding } from './block.js';
import { ContainerError, malformed } from './errors.js';
import { readHeader, sectionBytes, truncated, VERSION, type Header, type SectionEntry, type SectionType } from './header.js';
import { readLatents, type DecodedLatents } from './latents.js';
import { MAX_ELEMENTS } from './limits.js';
import { readFrameCount, readMeta, readTimes } from './meta.js';
import { readNetwork, type DecodedNetwork, type TensorCoding } from './network.js';
import type { Container, ContainerMeta } from './types.js';

/** What the first bytes of a file hold: everything but the network. */
export interface ContainerHead {
  /** Its `network` is null, whether or not the file has one. */
  readonly container: Container;
  readonly hasNetwork: boolean;
  /** How many bytes from the start of the file the head takes: what a range request needs. */
  readonly headBytes: number;
  /** Length of the whole file. */
  readonly fileBytes: number;
}

/** What a file holds and what it spends its bytes on. */
export interface ContainerReport {
  readonly version: number;
  readonly fileBytes: number;
  readonly headBytes: number;
  readonly sections: readonly SectionEntry[];
  /** null for a single frame, whose latent is stored as float16 without coding. */
  readonly latents: BlockCoding | null;
  readonly tensors: readonly TensorCoding[];
}

/** Reads a whole `.linr` file. Throws ContainerError, and nothing else, for bytes it refuses; see limits.ts for what it accepts. */
export function readContainer(bytes: Uint8Array): Container {
  return parse(bytes).container;
}

/** Reads a whole file and reports how it is stored. Throws as `readContainer`. */
export function inspectContainer(bytes: Uint8Array): ContainerReport & { readonly container: Container } {
  const { container, header, latents, network } = parse(bytes);
  return {
    container,
    version: VERSION,
    fileBytes: header.fileBytes,
    headBytes: headLength(header),
    sections: header.sections,
    latents: latents.coding,
    tensors: network?.codings ?? [],
  };
}

/**
 * Reads header, times and latents from the first bytes of a file, enough to chat. Where `bytes` is too short the ContainerError has code
 * `truncated` and says in `neededBytes` how many are needed; a caller that knows nothing may start with 4,096.
 */
export function readHead(bytes: Uint8Array): ContainerHead {
  const header = readHeader(bytes);
  const needed = headLength(header);
  if (bytes.length < needed) throw truncated('head', needed);
  const { meta, latents } = parseHead(bytes, header);
  return {
    container: { meta, latents: latents.latents, latentDim: latents.latentDim, network: null },
    hasNetwork: header.sections.some((section) => section.type === 'NETW'),
    headBytes: needed,
    fileBytes: header.fileBytes,
  };
}

interface Parsed {
  readonly container: Container;
  readonly header: Header;
  readonly latents: DecodedLatents;
  readonly network: DecodedNetwork | null;
}

function parse(bytes: Uint8Array): Parsed {
  const header = readHeader(bytes);
  if (bytes.length < header.fileBytes) {
    throw new ContainerError(
      'truncated',
      `The container is cut off: it has ${bytes.length} of its ${header.fileBytes} bytes.`,
      header.fileBytes,
    );
  }
  if (bytes.length > header.fileBytes) throw malformed(`The file goes on for ${bytes.length - header.fileBytes} bytes after the container's end.`);
  const { meta, latents } = parseHead(bytes, header);
  const section = sectionBytes(bytes, header, 'NETW');
  const network = section === null ? null : readNetwork(section, MAX_ELEMENTS - latents.latents.length);
  return {
    container: { meta, latents: latents.latents, latentDim: latents.latentDim, network: network?.network ?? null },
    header,
    latents,
    network,
  };
}

function parseHead(bytes: Uint8Array, header: Header): { meta: ContainerMeta; latents: DecodedLatents } {
  const metaBytes = required(bytes, header, 'META');
  const timesBytes = required(bytes, header, 'TIME');
  const latentsBytes = required(bytes, header, 'LATN');
  const frames = readFrameCount(metaBytes);
  const meta = readMeta(metaBytes, readTimes(timesBytes, frames));
  return { meta, latents: readLatents(latentsBytes, frames) };
}

function required(bytes: Uint8Array, header: Header, type: SectionType): Uint8Array {
  const section = sectionBytes(bytes, header, type);
  if (section === null) throw malformed(`The container has no ${type} section.`);
  return section;
}

/** The end of the LATN section. */
function headLength(header: Header): number {
  const latents = header.sections.find((section) => section.type === 'LATN');
  if (latents === undefined) throw malformed('The container has no LATN section.');
  return latents.offset + latents.bytes;
}
