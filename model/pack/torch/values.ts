/** What a pickle of tensors may be made of, and the Python names that may make it. */
import { MAX_ELEMENTS, MAX_RANK, type StoredType } from '../tensor-file.js';

/** A dictionary, ordered as Python's are; keys may be numbers. */
export class Dict {
  readonly entries = new Map<PickleValue, PickleValue>();
}

/** The bytes tensors lie in; several tensors may share them. */
export interface Storage {
  readonly kind: 'storage';
  /** PyTorch's name of the class, `HalfStorage`. */
  readonly type: string;
  readonly key: string;
  readonly elements: number;
}

/** A view of a storage. Sizes, strides and offset are in elements, and lie within it. */
export interface TorchTensor {
  readonly kind: 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

type Callable = 'dict' | 'tensor' | 'parameter' | 'size';
/** A Python name that is known: something to call, a class of storages, or a constant. */
export type Global = { readonly call: Callable } | { readonly storage: string } | { readonly constant: string };

export type PickleValue = null | boolean | number | string | PickleValue[] | Dict | Storage | TorchTensor | Global;

/** Classes of storages and their elements; null: a type that is not read, so only a tensor that is asked for is refused. */
export const STORAGE_TYPES: Readonly<Record<string, StoredType | null>> = {
  FloatStorage: 'float32', HalfStorage: 'float16', BFloat16Storage: 'bfloat16', LongStorage: 'int64', IntStorage: 'int32',
  CharStorage: 'int8', ByteStorage: 'uint8', BoolStorage: 'bool', DoubleStorage: null, ShortStorage: null,
};

const CALLABLES: Readonly<Record<string, Callable>> = {
  'collections.OrderedDict': 'dict',
  'torch._utils._rebuild_tensor_v2': 'tensor',
  'torch._utils._rebuild_tensor': 'tensor',
  'torch._utils._rebuild_parameter': 'parameter',
  'torch.Size': 'size',
};
/** Types among settings that checkpoints carry. */
const CONSTANTS = /^torch\.(float16|float32|float64|bfloat16|half|float|u?int8|int16|int32|int64|bool)$/;

export function globalNamed(module: string, name: string): Global | null {
  const path = `${module}.${name}`;
  if (Object.hasOwn(CALLABLES, path)) return { call: CALLABLES[path] as Callable };
  if (module === 'torch' && Object.hasOwn(STORAGE_TYPES, name)) return { storage: name };
  return CONSTANTS.test(path) ? { constant: path } : null;
}

/** What calling a known name gives. */
export function reduce(callable: PickleValue, args: PickleValue, fail: (reason: string) => never): PickleValue {
  if (typeof callable !== 'object' || callable === null || !('call' in callable) || !Array.isArray(args)) {
    return fail('its pickle calls something that is not a function');
  }
  switch (callable.call) {
    case 'dict':
      return dictOf(args[0] ?? [], fail);
    case 'size':
      return args[0] ?? [];
    case 'parameter':
      return isTensor(args[0]) ? args[0] : fail('its pickle has a parameter that is not a tensor');
    case 'tensor':
      return tensorOf(args, fail);
  }
}

function dictOf(pairs: PickleValue, fail: (reason: string) => never): Dict {
  const dict = new Dict();
  if (!Array.isArray(pairs)) return fail('its pickle has a damaged dictionary');
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) return fail('its pickle has a damaged dictionary');
    dict.entries.set(pair[0] as PickleValue, pair[1] as PickleValue);
  }
  return dict;
}

/** (storage, offset, size, stride, …) */
function tensorOf([storage, offset, dims, strides]: readonly PickleValue[], fail: (reason: string) => never): TorchTensor {
  if (!isStorage(storage) || !isSize(offset) || !isSizes(dims) || !isSizes(strides) || dims.length !== strides.length) {
    return fail('its pickle has a damaged tensor');
  }
  if (dims.length > MAX_RANK) return fail(`a tensor has ${dims.length} axes, more than the ${MAX_RANK} allowed`);
  const elements = dims.reduce((product, size) => product * size, 1);
  const last = elements === 0 ? -1 : dims.reduce((at, size, axis) => at + (size - 1) * (strides[axis] as number), offset);
  if (last >= storage.elements) return fail(`a tensor of shape [${dims.join(', ')}] reaches beyond its storage of ${storage.elements} elements`);
  // One element can stand for a tensor of any size if its strides are 0; no weight is stored so.
  if (elements > storage.elements || elements > MAX_ELEMENTS) {
    return fail(`a tensor of shape [${dims.join(', ')}] has more elements than its storage of ${storage.elements}`);
  }
  return { kind: 'tensor', storage, offset, dims, strides };
}

function isStorage(value: PickleValue | undefined): value is Storage {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'storage';
}

export function isTensor(value: PickleValue | undefined): value is TorchTensor {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'tensor';
}

export function isSize(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isSizes(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}
