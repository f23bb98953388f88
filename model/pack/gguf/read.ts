/**
 * The GGUF format (ggml's docs/gguf.md, versions 2 and 3, little-endian): metadata, a table of tensors, then their data. The table is read
 * at once, a tensor when it is asked for. Files may come from anywhere, so every size is checked before it is used.
 */
import type { WeightBytes } from '../bytes.js';
import { MAX_ELEMENTS, TensorFileError } from '../tensor-file.js';
import { GGUF_TYPES, type GgufType } from './types.js';

/** Metadata and tensor table together. Llama 3's vocabulary of 128,256 with its merges makes 8 MB. */
const MAX_HEADER_BYTES = 128 * 1024 * 1024;
/** Entries of the metadata: real files have 20 to 60. */
const MAX_METADATA = 10_000;
/** Elements of all arrays together: the largest vocabularies have 260,000 tokens, each with a score and a type, and as many merges. */
const MAX_ARRAY_ELEMENTS = 4_000_000;
/** Bytes of a string: chat templates reach 20 kB, licences 100 kB. */
const MAX_STRING_BYTES = 4 * 1024 * 1024;
/** Bytes of a key or a tensor's name: the specification's limit for keys is 65,535, real ones stay below 64. */
const MAX_NAME_BYTES = 512;
/** Tensors: a 405-billion-parameter model has 1,138. */
const MAX_TENSORS = 100_000;
/** Axes of a tensor, ggml's own limit. */
const MAX_RANK = 4;
/** Bytes the data may be aligned to: 32 by default; more than a page serves nothing. */
const MAX_ALIGNMENT = 65_536;

export type GgufScalar = number | string | boolean;
export type GgufValue = GgufScalar | readonly GgufScalar[];

/** Raised for a file that is not valid GGUF, or holds what is not known here. The message names the file. */
export class GgufError extends TensorFileError {
  override readonly name = 'GgufError';
}

export interface GgufTensor {
  /** Rows first: (N, K), where the file lists the fastest axis first. */
  readonly dims: readonly number[];
  readonly type: GgufType;
  /** Where its data lies in the file. */
  readonly start: number;
  readonly end: number;
}

export interface GgufFile {
  /** For messages: the file's name. */
  readonly file: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /**
   * The blocks of a tensor.
   * @throws GgufError when there is none of that name, or its shape is not `dims`
   */
  blocks(name: string, dims: readonly number[]): { readonly type: GgufType; readonly bytes: Uint8Array };
}

/** Bytes fetched at a time while the header is read. */
const CHUNK = 1024 * 1024;

/** Numbers and strings one after another, never past the file's end or the header's limit. */
class Cursor {
  private chunk: Uint8Array = new Uint8Array(0);
  private chunkStart = 0;
  position = 0;

  constructor(
    private readonly bytes: WeightBytes,
    private readonly fail: (reason: string) => never,
  ) {}

  /** Bytes the file still has. */
  get left(): number {
    return this.bytes.size - this.position;
  }

  take(count: number, what: string): Uint8Array {
    if (count > this.left) this.fail(`it ends within ${what}`);
    if (this.position + count > MAX_HEADER_BYTES) this.fail(`its metadata are longer than ${MAX_HEADER_BYTES} bytes`);
    const [from, to] = [this.position, this.position + count];
    if (from < this.chunkStart || to > this.chunkStart + this.chunk.length) {
      this.chunkStart = from;
      this.chunk = this.bytes.read(from, Math.min(this.bytes.size, from + Math.max(count, CHUNK)));
    }
    this.position = to;
    return this.chunk.subarray(from - this.chunkStart, to - this.chunkStart);
  }

  private view(count: number, what: string): DataView {
    const bytes = this.take(count, what);
    return new DataView(bytes.buffer, bytes.byteOffset, count);
  }

  uint32(what: string): number {
    return this.view(4, what).getUint32(0, true);
  }

  /** A 64-bit size, which must be one that a number can say. */
  size(what: string, most: number): number {
    const value = this.view(8, what).getBigUint64(0, true);
    if (value > BigInt(most)) this.fail(`${what} is ${value}, more than the ${most} allowed`);
    return Number(value);
  }

  string(what: string, most: number): string {
    const length = this.size(`the length of ${what}`, most);
    return TEXT.decode(this.take(length, what));
  }

  scalar(type: number, what: string): GgufScalar {
    const bytes = SCALAR_BYTES[type];
    if (type === STRING) return this.string(what, MAX_STRING_BYTES);
    if (bytes === undefined) return this.fail(`${what} has the unknown type ${type}`);
    const view = this.view(bytes, what);
    switch (type) {
      case 0:
        return view.getUint8(0);
      case 1:
        return view.getInt8(0);
      case 2:
        return view.getUint16(0, true);
      case 3:
        return view.getInt16(0, true);
      case 4:
        return view.getUint32(0, true);
      case 5:
        return view.getInt32(0, true);
      case 6:
        return view.getFloat32(0, true);
      case 7:
        return view.getUint8(0) !== 0;
      case 10:
        return Number(view.getBigUint64(0, true));
      case 11:
        return Number(view.getBigInt64(0, true));
      default:
        return view.getFloat64(0, true);
    }
  }
}

/** Some vocabularies hold tokens that are no whole characters: they become U+FFFD rather than a refusal. */
const TEXT = new TextDecoder('utf-8', { ignoreBOM: true });
const STRING = 8;
const ARRAY = 9;
const SCALAR_BYTES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

/**
 * Reads metadata and tensor table.
 * @param file name for messages
 * @throws GgufError when the file is damaged, cut short, exceeds a limit or holds a tensor of an unknown type
 */
export function readGguf(bytes: WeightBytes, file: string): GgufFile {
  const fail = (reason: string): never => {
    throw new GgufError(`${file} is not a GGUF file that can be read: ${reason}`);
  };
  const cursor = new Cursor(bytes, fail);
  if (TEXT.decode(cursor.take(4, 'the magic number')) !== 'GGUF') fail('it does not start with "GGUF"');
  const version = cursor.uint32('the version');
  if (version !== 2 && version !== 3) fail(`its version is ${version}; 2 and 3 are known (a big-endian file reads as a huge number)`);
  const tensorCount = cursor.size('the number of tensors', MAX_TENSORS);
  const metadata = readMetadata(cursor, cursor.size('the number of metadata entries', MAX_METADATA), fail);
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !Number.isInteger(alignment) || alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) !== 0) {
    fail(`general.alignment is ${String(alignment)}; a power of 2 up to ${MAX_ALIGNMENT} is needed`);
  }
  const table = readTable(cursor, tensorCount, fail);
  const align = (position: number): number => Math.ceil(position / (alignment as number)) * (alignment as number);
  const tensors = place(table, align(cursor.position), bytes.size, align, fail);
  return {
    file,
    metadata,
    tensors,
    blocks(name, dims) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new GgufError(`${file} has no tensor "${name}"`);
      if (tensor.dims.join() !== dims.join()) throw new GgufError(`${file}: tensor "${name}" has shape [${tensor.dims.join(', ')}], expected [${dims.join(', ')}]`);
      return { type: tensor.type, bytes: bytes.read(tensor.start, tensor.end) };
    },
  };
}

function readMetadata(cursor: Cursor, count: number, fail: (reason: string) => never): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  let elements = 0;
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`the key of metadata entry ${i}`, MAX_NAME_BYTES);
    const type = cursor.uint32(`the type of ${key}`);
    if (type !== ARRAY) {
      metadata.set(key, cursor.scalar(type, key));
      continue;
    }
    const elementType = cursor.uint32(`the element type of ${key}`);
    if (elementType === ARRAY) fail(`${key} is an array of arrays`);
    const length = cursor.size(`the length of ${key}`, MAX_ARRAY_ELEMENTS - elements);
    // A string takes at least the 8 bytes of its own length.
    const least = length * (SCALAR_BYTES[elementType] ?? 8);
    if (least > cursor.left) fail(`${key} claims ${length} elements, but the file ends after ${cursor.left} bytes`);
    elements += length;
    const values: GgufScalar[] = [];
    for (let j = 0; j < length; j++) values.push(cursor.scalar(elementType, key));
    metadata.set(key, values);
  }
  return metadata;
}

interface Entry {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: GgufType;
  /** From the start of the data. */
  readonly offset: number;
  readonly bytes: number;
}

function readTable(cursor: Cursor, count: number, fail: (reason: string) => never): Entry[] {
  const entries: Entry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = cursor.string(`the name of tensor ${i}`, MAX_NAME_BYTES);
    if (names.has(name)) fail(`it lists tensor "${name}" twice`);
    names.add(name);
    const rank = cursor.uint32(`the rank of "${name}"`);
    if (rank < 1 || rank > MAX_RANK) fail(`tensor "${name}" has ${rank} axes; 1 to ${MAX_RANK} are known`);
    const fastestFirst = Array.from({ length: rank }, (_, axis) => cursor.size(`axis ${axis} of "${name}"`, MAX_ELEMENTS));
    const elements = fastestFirst.reduce((product, size) => product * size, 1);
    if (elements > MAX_ELEMENTS) fail(`tensor "${name}" has ${elements} elements, more than any array can hold`);
    const id = cursor.uint32(`the type of "${name}"`);
    const type = GGUF_TYPES.get(id);
    if (type === undefined) {
      return fail(`tensor "${name}" has the block type number ${id}; known are ${[...GGUF_TYPES.values()].map(({ name: known }) => known).join(', ')}`);
    }
    const row = fastestFirst[0] as number;
    if (row % type.block !== 0) fail(`rows of tensor "${name}" have ${row} weights, no whole number of ${type.name} blocks of ${type.block}`);
    const offset = cursor.size(`the offset of "${name}"`, Number.MAX_SAFE_INTEGER);
    entries.push({ name, dims: fastestFirst.reverse(), type, offset, bytes: (elements / type.block) * type.bytes });
  }
  return entries;
}

/** Tensors in the file: one after another, aligned, ending with the file or within its last padding. */
function place(entries: readonly Entry[], dataStart: number, fileBytes: number, align: (position: number) => number, fail: (reason: string) => never): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  let due = 0;
  for (const { name, dims, type, offset, bytes } of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (offset !== due) fail(`tensor "${name}" starts at byte ${offset} of the data where ${due} was due`);
    const start = dataStart + offset;
    if (start + bytes > fileBytes) {
      fail(`tensor "${name}" needs bytes ${start} to ${start + bytes}, but the file ends after ${fileBytes}: it was cut short, fetch it again`);
    }
    tensors.set(name, { dims, type, start, end: start + bytes });
    due = align(offset + bytes);
  }
  return tensors;
}
