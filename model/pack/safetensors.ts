/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header of names, types, shapes and byte ranges,
 * then the tensors' bytes. Files may come from anywhere, so every size is checked before it is used.
 */
import { sizeOf, type DType, type HostTensor } from '../runtime/tensor.js';
import { memoryBytes, type WeightBytes } from './bytes.js';
import {
  findTensor, MAX_ELEMENTS, MAX_NAME_LENGTH, MAX_RANK, STORED_BYTES, TensorFileError, tensorOver, type StoredType, type TensorFile,
} from './tensor-file.js';

/** Bytes of the header. A pack's largest is 60 kB; a 70-billion-parameter model's shard needs about 100 kB. */
const MAX_HEADER_BYTES = 8 * 1024 * 1024;
/** Tensors in one file: the header limit over the shortest possible entry, rounded down to a size a Map holds at once. */
const MAX_TENSORS = 100_000;

const STORED_TYPES: Readonly<Record<string, StoredType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};
const TYPE_NAMES = Object.fromEntries(Object.entries(STORED_TYPES).map(([name, stored]) => [stored, name])) as Record<DType, string>;

/** Raised for a file that is not valid safetensors. The message names the file and what is wrong with it. */
export class SafetensorsError extends TensorFileError {
  override readonly name = 'SafetensorsError';
}

interface Entry {
  readonly stored: StoredType;
  readonly dims: readonly number[];
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a safetensors file: its header now, each tensor when it is asked for.
 * @param source the file in memory, or one that is read in parts
 * @param file name for messages
 * @throws SafetensorsError when the header is damaged, a limit is exceeded, or the tensors do not tile the data exactly
 */
export function readSafetensors(source: Uint8Array | WeightBytes, file: string): TensorFile {
  const fail = (reason: string): never => {
    throw new SafetensorsError(`${file} is not a valid safetensors file: ${reason}`);
  };
  const bytes = source instanceof Uint8Array ? memoryBytes(source) : source;
  if (bytes.size < 8) fail(`it has ${bytes.size} bytes, fewer than the 8 of the header's length`);
  const length = bytes.read(0, 8);
  const headerBytes = Number(new DataView(length.buffer, length.byteOffset, 8).getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES) fail(`its header claims ${headerBytes} bytes, more than the ${MAX_HEADER_BYTES} allowed`);
  if (8 + headerBytes > bytes.size) fail(`its header claims ${headerBytes} bytes, but the file ends after ${bytes.size}`);

  const dataStart = 8 + headerBytes;
  const entries = readHeader(bytes.read(8, dataStart), bytes.size - dataStart, fail);
  const find = (name: string, dims?: readonly number[]): Entry => findTensor(file, entries, name, dims, (message) => new SafetensorsError(message));

  return {
    file,
    names: () => [...entries.keys()],
    has: (name) => entries.has(name),
    info(name) {
      const { dims, stored, start, end } = find(name);
      return { dims, stored, bytes: end - start };
    },
    get(name, dims) {
      const entry = find(name, dims);
      return tensorOver(bytes.read(dataStart + entry.start, dataStart + entry.end), entry.stored, entry.dims);
    },
  };
}

function readHeader(header: Uint8Array, dataBytes: number, fail: (reason: string) => never): Map<string, Entry> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch {
    return fail('its header is not JSON');
  }
  if (!isObject(json)) return fail('its header is not a JSON object');
  const entries = new Map<string, Entry>();
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') continue;
    if (entries.size === MAX_TENSORS) fail(`it holds more than ${MAX_TENSORS} tensors`);
    if (name.length > MAX_NAME_LENGTH) fail(`a tensor's name is longer than ${MAX_NAME_LENGTH} characters`);
    entries.set(name, readEntry(name, value, fail));
  }
  let position = 0;
  for (const [name, entry] of [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (entry.start !== position) fail(`tensor "${name}" starts at byte ${entry.start} of the data where ${position} was due`);
    position = entry.end;
  }
  if (position !== dataBytes) fail(`its tensors take ${position} bytes, but ${dataBytes} follow the header`);
  return entries;
}

function readEntry(name: string, value: unknown, fail: (reason: string) => never): Entry {
  if (!isObject(value)) return fail(`the entry of tensor "${name}" is not an object`);
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  const stored = typeof typeName === 'string' && Object.hasOwn(STORED_TYPES, typeName) ? STORED_TYPES[typeName] : undefined;
  if (stored === undefined) {
    return fail(`tensor "${name}" has type ${JSON.stringify(typeName)}; known are ${Object.keys(STORED_TYPES).join(', ')}`);
  }
  if (!isSizes(shape) || shape.length > MAX_RANK) return fail(`the shape of tensor "${name}" is not a list of at most ${MAX_RANK} sizes`);
  if (!isSizes(offsets) || offsets.length !== 2) return fail(`the data_offsets of tensor "${name}" are not two positions`);
  const [start, end] = offsets as [number, number];
  const elements = sizeOf(shape);
  if (elements > MAX_ELEMENTS) fail(`tensor "${name}" has ${elements} elements, more than any array can hold`);
  const size = elements * STORED_BYTES[stored];
  if (end - start !== size) fail(`tensor "${name}" of shape [${shape.join(', ')}] needs ${size} bytes, its data_offsets span ${end - start}`);
  return { stored, dims: shape, start, end };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0));
}

/** Writes tensors in the given order, the data aligned to 8 bytes. `metadata` lands in the header's `__metadata__`. */
export function writeSafetensors(tensors: ReadonlyMap<string, HostTensor>, metadata?: Readonly<Record<string, string>>): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let position = 0;
  for (const [name, { dtype, dims, data }] of tensors) {
    if (data.length !== sizeOf(dims)) {
      throw new RangeError(`tensor "${name}" has ${data.length} elements, its shape [${dims.join(', ')}] needs ${sizeOf(dims)}`);
    }
    header[name] = { dtype: TYPE_NAMES[dtype], shape: dims, data_offsets: [position, position + data.byteLength] };
    position += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(json.byteLength / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + position).fill(0x20, 8, 8 + headerBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.set(json, 8);
  let offset = 8 + headerBytes;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}
