import { readBlock, writeBlock, type BlockCoding } from './block.js';
import { ByteReader, ByteWriter, checkLimit } from './bytes.js';
import { ContainerError, malformed } from './errors.js';
import { jsonBytes, parseJsonObject } from './json.js';
import { MAX_BITS, MAX_CONFIG_BYTES, MAX_ELEMENTS, MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS, MIN_BITS } from './limits.js';
import { dequantise, quantise } from './quantise.js';
import { recallTensor, rememberTensor } from './remembered.js';
import type { Coder, ContainerNetwork, ContainerTensor } from './types.js';

/** Bits of a weight where the writer is not told otherwise: the paper's (its section 4.1). */
export const DEFAULT_TENSOR_BITS = 8;

export interface NetworkOptions {
  /** Bits of the tensor of this name; undefined: as the file it came from has it, or the default. */
  readonly bits: ((name: string) => number) | undefined;
  readonly coder: Coder | undefined;
}

/**
 * The NETW section: u32 length and UTF-8 JSON of the configuration, u16 tensor count, and a tensor each: u8 length and UTF-8 name,
 * u8 rank, u32 dims, block.
 */
export function networkSection(network: ContainerNetwork, options: NetworkOptions): Uint8Array {
  const out = new ByteWriter();
  const config = jsonBytes(network.config, MAX_CONFIG_BYTES, "network's configuration");
  out.u32(config.length);
  out.bytes(config);
  checkLimit(network.tensors.size, MAX_TENSORS, 'The number of tensors');
  out.u16(network.tensors.size);
  for (const [name, tensor] of network.tensors) writeTensor(out, name, tensor, options);
  return out.finish();
}

function writeTensor(out: ByteWriter, name: string, tensor: ContainerTensor, options: NetworkOptions): void {
  const nameBytes = new TextEncoder().encode(name);
  checkLimit(nameBytes.length, MAX_NAME_BYTES, `The length of the tensor name "${name}"`);
  checkLimit(tensor.dims.length, MAX_RANK, `The rank of tensor "${name}"`);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  if (count !== tensor.data.length || count < 1) {
    throw malformed(`Tensor "${name}" has dimensions ${tensor.dims.join(' x ')} and ${tensor.data.length} values.`);
  }
  const bits = options.bits?.(name);
  if (bits !== undefined && (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS)) {
    throw malformed(`Tensor "${name}" cannot have ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  }
  out.u8(nameBytes.length);
  out.bytes(nameBytes);
  out.u8(tensor.dims.length);
  for (const dim of tensor.dims) out.u32(dim);
  const known = recallTensor(tensor.data);
  const keep = known !== null && (bits === undefined || bits === known.quantised.bits);
  const quantised = keep ? known.quantised : quantise(tensor.data, bits ?? DEFAULT_TENSOR_BITS, `Tensor "${name}"`);
  writeBlock(out, quantised, tensor.dims, options.coder ?? known?.coder ?? 'range');
}

/** How a tensor was stored, as `inspectContainer` reports it. */
export interface TensorCoding extends BlockCoding {
  readonly name: string;
  readonly dims: readonly number[];
}

export interface DecodedNetwork {
  readonly network: ContainerNetwork;
  readonly codings: readonly TensorCoding[];
}

/** Reads a NETW section into at most `maxElements` numbers. */
export function readNetwork(section: Uint8Array, maxElements: number): DecodedNetwork {
  const input = new ByteReader(section, 'NETW');
  const configLength = input.u32();
  checkLimit(configLength, MAX_CONFIG_BYTES, "The length of the network's configuration");
  const config = parseJsonObject(input.bytes(configLength), MAX_CONFIG_BYTES, "network's configuration");
  const count = input.u16();
  checkLimit(count, MAX_TENSORS, 'The number of tensors');
  const tensors = new Map<string, ContainerTensor>();
  const codings: TensorCoding[] = [];
  let elementsLeft = maxElements;
  for (let i = 0; i < count; i++) {
    const { name, dims, elements } = readTensorHeader(input);
    if (tensors.has(name)) throw malformed(`The NETW section has two tensors named "${name}".`);
    if (elements > elementsLeft) throw tooManyElements();
    elementsLeft -= elements;
    const { tensor, coding } = readBlock(input, dims, `Tensor "${name}"`);
    const data = dequantise(tensor);
    rememberTensor(data, { quantised: tensor, coder: coding.coder });
    tensors.set(name, { dims, data });
    codings.push({ name, dims, ...coding });
  }
  input.end();
  return { network: { config, tensors }, codings };
}

function readTensorHeader(input: ByteReader): { name: string; dims: number[]; elements: number } {
  const nameLength = input.u8();
  checkLimit(nameLength, MAX_NAME_BYTES, "The length of a tensor's name");
  const name = decodeName(input.bytes(nameLength));
  const rank = input.u8();
  checkLimit(rank, MAX_RANK, `The rank of tensor "${name}"`);
  const dims: number[] = [];
  let elements = 1;
  for (let axis = 0; axis < rank; axis++) {
    const dim = input.u32();
    if (dim < 1) throw malformed(`Tensor "${name}" has an axis of length 0.`);
    dims.push(dim);
    elements *= dim;
    if (elements > MAX_ELEMENTS) throw tooManyElements();
  }
  return { name, dims, elements };
}

function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('The NETW section has a tensor whose name is not UTF-8.');
  }
}

function tooManyElements(): ContainerError {
  return new ContainerError('limit_exceeded', `The file holds more than ${MAX_ELEMENTS} numbers, the most this reader accepts.`);
}
