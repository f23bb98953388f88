/**
 * Weights that torch.save wrote (.pth, .pt, .bin): a ZIP archive with a pickle and a file for each storage, or, before
 * PyTorch 1.6, pickles one after another and then the storages. Only tensors in dictionaries and lists are read; each from
 * its place in the file when it is asked for.
 */
import { sizeOf } from '../../runtime/tensor.js';
import type { WeightBytes } from '../bytes.js';
import { findTensor, MAX_NAME_LENGTH, STORED_BYTES, tensorOver, type StoredType, type TensorFile } from '../tensor-file.js';
import { MAX_DEPTH, MAX_PICKLE_BYTES, MAX_VALUES, TorchFileError } from './limits.js';
import { unpickle } from './pickle.js';
import { Dict, isTensor, STORAGE_TYPES, type PickleValue, type Storage, type TorchTensor } from './values.js';
import { dataStart, readZipDirectory } from './zip.js';

type Fail = (reason: string) => never;
/** The position of a storage's first byte. @throws where the file holds no such storage, or one of another size. */
type Locate = (tensor: TorchTensor, elementBytes: number) => number;

const ZIP_START = [0x50, 0x4b, 0x03, 0x04];
/** The first pickle of the format before ZIP: protocol 2, a whole number of 10 bytes. */
const LEGACY_START = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const LEGACY_PROTOCOL = 1001;

/**
 * Reads a PyTorch file. A tensor inside of dictionaries and lists has their keys and positions before its own name, with
 * points between: `model.query_tokens` of a checkpoint whose state dictionary lies under `model`.
 *
 * @param file name for messages
 * @throws TorchFileError when the file is damaged, a limit is exceeded, or it holds anything that is not plain data or a tensor
 */
export function readTorchFile(bytes: WeightBytes, file: string): TensorFile {
  const fail: Fail = (reason) => {
    throw new TorchFileError(`${file} is not a PyTorch file of tensors: ${reason}`);
  };
  const start = bytes.read(0, Math.min(bytes.size, LEGACY_START.length));
  const startsWith = (magic: readonly number[]): boolean => magic.every((byte, i) => start[i] === byte);
  const { value, locate } = startsWith(ZIP_START) ? readArchive(bytes, fail)
    : startsWith(LEGACY_START) ? readLegacy(bytes, fail)
    : fail('it starts neither as a ZIP archive nor as the format before PyTorch 1.6');
  const tensors = new Map<string, TorchTensor>();
  collect(value, tensors, fail);
  if (tensors.size === 0) fail('it holds no tensors');

  const find = (name: string, dims?: readonly number[]): { tensor: TorchTensor; stored: StoredType } => {
    const tensor = findTensor(file, tensors, name, dims, (message) => new TorchFileError(message));
    const stored = STORAGE_TYPES[tensor.storage.type];
    if (stored === undefined || stored === null) throw new TorchFileError(`${file}: tensor "${name}" lies in a ${tensor.storage.type}, a type that is not read`);
    return { tensor, stored };
  };
  return {
    file,
    names: () => [...tensors.keys()],
    has: (name) => tensors.has(name),
    info(name) {
      const { tensor, stored } = find(name);
      return { dims: tensor.dims, stored, bytes: sizeOf(tensor.dims) * STORED_BYTES[stored] };
    },
    get(name, dims) {
      const { tensor, stored } = find(name, dims);
      const width = STORED_BYTES[stored];
      const elements = sizeOf(tensor.dims);
      const from = locate(tensor, width) + tensor.offset * width;
      const data = isContiguous(tensor) ? bytes.read(from, from + elements * width) : gather(bytes, from, tensor, elements, width);
      return tensorOver(data, stored, tensor.dims);
    },
  };
}

interface Contents {
  readonly value: PickleValue;
  readonly locate: Locate;
}

function readArchive(bytes: WeightBytes, fail: Fail): Contents {
  const entries = readZipDirectory(bytes, fail);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name)) ?? fail('its archive has no data.pkl');
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  if (pickle.size > MAX_PICKLE_BYTES) fail(`its pickle has ${pickle.size} bytes, more than the ${MAX_PICKLE_BYTES} allowed`);
  const read = (entry: typeof pickle): Uint8Array => {
    const at = dataStart(bytes, entry, fail);
    return bytes.read(at, at + entry.size);
  };
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && order.size < 16 && new TextDecoder().decode(read(order)) !== 'little') fail('its numbers have the byte order of another machine');
  const { value } = unpickle(read(pickle), 0, fail);
  return {
    value,
    locate({ storage }, width) {
      const entry = entries.get(`${folder}data/${storage.key}`) ?? fail(`its archive has no storage ${JSON.stringify(storage.key)}`);
      checkStorage(storage, entry.size, width, fail);
      return dataStart(bytes, entry, fail);
    },
  };
}

function checkStorage({ key, elements }: Storage, bytes: number, width: number, fail: Fail): void {
  if (bytes !== elements * width) fail(`storage ${JSON.stringify(key)} has ${bytes} bytes where ${elements * width} are due`);
}

/** Magic number, protocol, facts of the machine, the value, the storages' keys; then for each key its number of elements and its data. */
function readLegacy(bytes: WeightBytes, fail: Fail): Contents {
  const head = bytes.read(0, Math.min(bytes.size, MAX_PICKLE_BYTES));
  let at = LEGACY_START.length + 1; // and the stop of the first pickle
  const next = (): PickleValue => {
    const { value, end } = unpickle(head, at, fail);
    at = end;
    return value;
  };
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL) fail(`its protocol is ${JSON.stringify(protocol)}, ${LEGACY_PROTOCOL} is known`);
  const machine = next();
  if (!(machine instanceof Dict) || machine.entries.get('little_endian') !== true) fail('its numbers have the byte order of another machine');
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) return fail('the list of its storages is damaged');
  const widths = storageWidths(value, fail);
  const starts = new Map<PickleValue, { start: number; bytes: number }>();
  for (const key of keys) {
    const width = widths.get(key) ?? fail(`its storage ${JSON.stringify(key)} belongs to no tensor`);
    if (at + 8 > bytes.size) fail('it ends before its last storage: was it cut short?');
    const count = bytes.read(at, at + 8);
    const elements = Number(new DataView(count.buffer, count.byteOffset, 8).getBigInt64(0, true));
    const end = at + 8 + elements * width;
    if (elements < 0 || end > bytes.size) fail('it ends before its last storage: was it cut short?');
    starts.set(key, { start: at + 8, bytes: elements * width });
    at = end;
  }
  return {
    value,
    locate({ storage }, width) {
      const found = starts.get(storage.key) ?? fail(`it has no storage ${JSON.stringify(storage.key)}`);
      checkStorage(storage, found.bytes, width, fail);
      return found.start;
    },
  };
}

/** Bytes of an element of types that are not read: their storages are passed over. */
const OTHER_WIDTHS: Readonly<Record<string, number>> = { DoubleStorage: 8, ShortStorage: 2 };

/** Bytes of an element of each storage. */
function storageWidths(value: PickleValue, fail: Fail): Map<PickleValue, number> {
  const tensors = new Map<string, TorchTensor>();
  collect(value, tensors, fail);
  return new Map([...tensors.values()].map(({ storage: { key, type } }) => {
    const stored = STORAGE_TYPES[type];
    return [key, stored === undefined || stored === null ? (OTHER_WIDTHS[type] as number) : STORED_BYTES[stored]];
  }));
}

/** The tensors in dictionaries and lists, by their path. */
function collect(root: PickleValue, tensors: Map<string, TorchTensor>, fail: Fail): void {
  let met = 0;
  const visit = (value: PickleValue, path: string, depth: number): void => {
    if (++met > MAX_VALUES) fail(`it holds more than ${MAX_VALUES} values`);
    if (depth > MAX_DEPTH) fail(`its values nest more than ${MAX_DEPTH} deep`);
    if (isTensor(value)) {
      if (path.length > MAX_NAME_LENGTH) fail(`a tensor's name is longer than ${MAX_NAME_LENGTH} characters`);
      if (tensors.has(path)) fail(`it holds two tensors "${path}"`);
      tensors.set(path, value);
      return;
    }
    const below = (key: PickleValue, item: PickleValue): void => {
      // A text or a number; nothing else can name a tensor.
      if (typeof key !== 'string' && typeof key !== 'number') return;
      // Long before a path is too long for a name it costs more than all there is to find below.
      if (path.length + String(key).length > 2 * MAX_NAME_LENGTH) fail(`a tensor's name is longer than ${MAX_NAME_LENGTH} characters`);
      visit(item, path === '' ? String(key) : `${path}.${key}`, depth + 1);
    };
    if (value instanceof Dict) for (const [key, item] of value.entries) below(key, item);
    else if (Array.isArray(value)) value.forEach((item, index) => below(index, item));
  };
  visit(root, '', 0);
}

function isContiguous({ dims, strides }: TorchTensor): boolean {
  let expected = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    if (dims[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= dims[axis] as number;
  }
  return true;
}

/** The elements of a view with other strides (a transposed weight, say) in row-major order. */
function gather(bytes: WeightBytes, from: number, { dims, strides }: TorchTensor, elements: number, width: number): Uint8Array {
  if (elements === 0) return new Uint8Array(0);
  const span = dims.reduce((last, size, axis) => last + (size - 1) * (strides[axis] as number), 0) + 1;
  const source = bytes.read(from, from + span * width);
  const result = new Uint8Array(elements * width);
  const index = dims.map(() => 0);
  for (let i = 0, at = 0; i < elements; i++) {
    for (let byte = 0; byte < width; byte++) result[i * width + byte] = source[at * width + byte] as number;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (dims[axis] as number)) break;
      at -= (strides[axis] as number) * (dims[axis] as number);
      index[axis] = 0;
    }
  }
  return result;
}
