/** What every weight format is read as, so that those who build networks need not know which one it was. */
import { decodeBfloat16 } from '../runtime/float16.js';
import { sizeOf, type DType, type HostTensor, type TensorData } from '../runtime/tensor.js';
import { CodedError } from '../runtime/coded-error.js';

/** Axes of one tensor. ONNX Runtime's kernels stop at 8. */
export const MAX_RANK = 8;
/** Elements on one axis or in one tensor: beyond 2^32 no typed array can hold them. */
export const MAX_ELEMENTS = 2 ** 32;
/** Characters of a tensor's name; real ones stay below 150. */
export const MAX_NAME_LENGTH = 512;

/** Element types of files: those of the graph, and bfloat16, which is handed out as float32 (exactly). */
export type StoredType = DType | 'bfloat16';

export const STORED_BYTES: Readonly<Record<StoredType, number>> = {
  float32: 4, float16: 2, bfloat16: 2, int64: 8, int32: 4, int8: 1, uint8: 1, bool: 1,
};

export interface TensorInfo {
  readonly dims: readonly number[];
  readonly stored: StoredType;
  /** Length of its data in the file. */
  readonly bytes: number;
}

/** Named tensors of one file, or of several that belong together. */
export interface TensorFile {
  /** For messages: the file's name. */
  readonly file: string;
  /** Names in the order of the file. */
  names(): string[];
  has(name: string): boolean;
  /**
   * What is known of a tensor without reading its data.
   * @throws as `get`.
   */
  info(name: string): TensorInfo;
  /**
   * A tensor; of a file in memory a view of its bytes where their alignment allows. Treat it as read-only.
   * @throws TensorFileError naming the file and the tensor when there is none of that name, or when its shape is not `dims`.
   */
  get(name: string, dims?: readonly number[]): HostTensor;
}

/** Raised for a weight file that is damaged, of another format, or without what was asked for. The message names the file. */
export class TensorFileError extends CodedError {
  override readonly name: string = 'TensorFileError';
  readonly code = 'weights_invalid';
}

/** The entry of `name`, its shape checked. `fail` makes the format's own error of a message. */
export function findTensor<Entry extends { readonly dims: readonly number[] }>(
  file: string,
  entries: ReadonlyMap<string, Entry>,
  name: string,
  dims: readonly number[] | undefined,
  fail: (message: string) => Error,
): Entry {
  const entry = entries.get(name);
  if (entry === undefined) throw fail(`${file} has no tensor "${name}"`);
  if (dims !== undefined && dims.join() !== entry.dims.join()) {
    throw fail(`${file}: tensor "${name}" has shape [${entry.dims.join(', ')}], expected [${dims.join(', ')}]`);
  }
  return entry;
}

/** The tensor whose little-endian row-major data these bytes are: over them where their address allows, else over a copy. */
export function tensorOver(bytes: Uint8Array, stored: StoredType, dims: readonly number[]): HostTensor {
  const size = STORED_BYTES[stored];
  const aligned = bytes.byteOffset % size === 0;
  // Not `bytes.slice`: that of Node's Buffer is no copy.
  const buffer = aligned ? bytes.buffer : new Uint8Array(bytes).buffer;
  const offset = aligned ? bytes.byteOffset : 0;
  const length = sizeOf(dims);
  if (stored === 'bfloat16') return { dtype: 'float32', dims, data: decodeBfloat16(new Uint16Array(buffer, offset, length)) };
  return { dtype: stored, dims, data: view(stored, buffer, offset, length) };
}

function view(dtype: DType, buffer: ArrayBufferLike, offset: number, length: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, offset, length);
    case 'float16':
      return new Uint16Array(buffer, offset, length);
    case 'int64':
      return new BigInt64Array(buffer, offset, length);
    case 'int32':
      return new Int32Array(buffer, offset, length);
    case 'int8':
      return new Int8Array(buffer, offset, length);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer, offset, length);
  }
}

/** The tensors whose names start with `prefix`, under what follows it. */
export function prefixed(tensors: TensorFile, prefix: string): TensorFile {
  if (prefix === '') return tensors;
  return {
    file: tensors.file,
    names: () => tensors.names().flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : [])),
    has: (name) => tensors.has(prefix + name),
    info: (name) => tensors.info(prefix + name),
    get: (name, dims) => tensors.get(prefix + name, dims),
  };
}

/**
 * Several files as one. A name in two of them is the later file's, as when state dictionaries are loaded one after another.
 * @param file what to call them in messages
 */
export function joined(parts: readonly TensorFile[], file: string): TensorFile {
  const holders = new Map<string, TensorFile>();
  for (const part of parts) for (const name of part.names()) holders.set(name, part);
  const holder = (name: string): TensorFile => {
    const found = holders.get(name);
    if (found === undefined) throw new TensorFileError(`${file} has no tensor "${name}"`);
    return found;
  };
  return {
    file,
    names: () => [...holders.keys()],
    has: (name) => holders.has(name),
    info: (name) => holder(name).info(name),
    get: (name, dims) => holder(name).get(name, dims),
  };
}
