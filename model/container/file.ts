/** A container read as far as it is needed: the head at once, each segment's network when it is asked for. */
import { ContainerError } from './errors.js';
import { checkedSection } from './header.js';
import { MAX_FILE_BYTES } from './limits.js';
import { checkLimit } from './bytes.js';
import { decodeNetwork } from './network.js';
import { checkFileSize, readHead, type ContainerHead, type SegmentEntry } from './read.js';
import { HEAD_GUESS_BYTES, type ByteSource } from './source.js';
import type { ContainerMeta, ContainerNetwork, Mixing } from './types.js';

export class LinrFile {
  private constructor(
    private readonly source: ByteSource,
    private readonly head: ContainerHead,
  ) {}

  /**
   * Reads the head, with one reading or two. Throws ContainerError, and nothing else but what the source throws, for bytes it refuses.
   */
  static async open(source: ByteSource): Promise<LinrFile> {
    checkLimit(source.size, MAX_FILE_BYTES, 'The length of the file');
    let bytes = await readExactly(source, 0, Math.min(HEAD_GUESS_BYTES, source.size));
    let head: ContainerHead;
    try {
      head = readHead(bytes);
    } catch (error) {
      if (!(error instanceof ContainerError) || error.code !== 'truncated' || error.neededBytes === null) throw error;
      const { neededBytes } = error;
      if (neededBytes > source.size) throw error;
      const rest = await readExactly(source, bytes.length, neededBytes);
      const joined = new Uint8Array(neededBytes);
      joined.set(bytes);
      joined.set(rest, bytes.length);
      bytes = joined;
      head = readHead(bytes);
    }
    checkFileSize(source.size, head.fileBytes);
    return new LinrFile(source, head);
  }

  get meta(): ContainerMeta {
    return this.head.container.meta;
  }

  /** (T, D), row-major. */
  get latents(): Float32Array {
    return this.head.container.latents;
  }

  get latentDim(): number {
    return this.head.container.latentDim;
  }

  /** The free numbers of segment `k`'s latents; null where it has none. */
  mixing(k: number): Mixing | null {
    return this.head.container.mixing?.[k] ?? null;
  }

  get segments(): readonly SegmentEntry[] {
    return this.head.segments;
  }

  /** Length of the head and of the whole file. */
  get headBytes(): number {
    return this.head.headBytes;
  }

  get fileBytes(): number {
    return this.head.fileBytes;
  }

  /** Index of the segment that holds frame `index`, which must exist. */
  segmentOf(index: number): number {
    const { segments } = this.head;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((segments[middle] as SegmentEntry).first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Reads, checks and decodes the network of segment `k`; null while it is not encoded yet. Throws ContainerError as `open`.
   */
  async network(k: number): Promise<ContainerNetwork | null> {
    const entry = this.head.segments[k];
    if (entry === undefined) throw new RangeError(`there is no segment ${k}: the container has segments 0 to ${this.head.segments.length - 1}`);
    if (entry.network === null) return null;
    const { offset, bytes } = entry.network;
    return decodeNetwork(checkedSection(await readExactly(this.source, offset, offset + bytes), entry.network));
  }
}

/** What was asked for and nothing else, whatever the source does. */
async function readExactly(source: ByteSource, from: number, to: number): Promise<Uint8Array> {
  const bytes = await source.read(from, to);
  if (bytes.length !== to - from) {
    throw new ContainerError('source_failed', `The source gave ${bytes.length} bytes where ${to - from} were asked for.`);
  }
  return bytes;
}
