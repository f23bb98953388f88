/** Tensors as they cross into and out of a runtime: plain typed arrays with a type and a shape. */

/** Element types the graph and the runtimes know, by ONNX's names. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/** float16 travels as its bits in a Uint16Array, bool as bytes 0 and 1. */
export type TensorData = Float32Array | Uint16Array | BigInt64Array | Int32Array | Int8Array | Uint8Array;

export interface HostTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Row-major; its length is the product of `dims`. */
  readonly data: TensorData;
}

export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A float32 tensor over `data`, without a copy. @throws RangeError if the shape does not fit the data. */
export function float32(data: Float32Array, dims: readonly number[]): HostTensor {
  return checked({ dtype: 'float32', dims, data });
}

/** An int64 tensor from ordinary whole numbers. */
export function int64(values: readonly number[], dims: readonly number[] = [values.length]): HostTensor {
  return checked({ dtype: 'int64', dims, data: BigInt64Array.from(values, (value) => BigInt(value)) });
}

/** An int32 tensor from ordinary whole numbers. */
export function int32(values: readonly number[], dims: readonly number[] = [values.length]): HostTensor {
  return checked({ dtype: 'int32', dims, data: Int32Array.from(values) });
}

/** A float32 scalar. */
export function scalar(value: number): HostTensor {
  return float32(Float32Array.of(value), []);
}

/** The data of a float32 tensor. @throws TypeError for any other type. */
export function asFloat32(tensor: HostTensor): Float32Array {
  if (!(tensor.data instanceof Float32Array)) throw new TypeError(`expected a float32 tensor, got ${tensor.dtype}`);
  return tensor.data;
}

/** The parts one after another, in an array of their own. */
export function concatFloats(parts: readonly Float32Array[]): Float32Array {
  return concatenate(parts, new Float32Array(totalLength(parts)));
}

/** The parts one after another, in an array of their own. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  return concatenate(parts, new Uint8Array(totalLength(parts)));
}

function totalLength(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function concatenate<T extends Float32Array | Uint8Array>(parts: readonly T[], whole: T): T {
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function checked(tensor: HostTensor): HostTensor {
  const size = sizeOf(tensor.dims);
  if (tensor.data.length !== size) {
    throw new RangeError(`shape [${tensor.dims.join(', ')}] needs ${size} elements, the data has ${tensor.data.length}`);
  }
  return tensor;
}
