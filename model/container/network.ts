import { checkShape, imageSize, type ImageShape, type LevelImages } from './images/layout.js';
import { decodeImages } from './images/decode.js';
import { readBlock, writeBlock, type BlockCoding } from './block.js';
import { ByteReader, ByteWriter, checkLimit } from './bytes.js';
import { ContainerError, malformed } from './errors.js';
import { jsonBytes, parseJsonObject } from './json.js';
import { MAX_BITS, MAX_CONFIG_BYTES, MAX_NAME_BYTES, MAX_NETWORK_ELEMENTS, MAX_RANK, MAX_TENSORS, MIN_BITS } from './limits.js';
import { dequantise, quantise, quantiseBySteps, type QuantisedTensor } from './quantise.js';
import type { CodedImages, Coder, ContainerNetwork, ContainerTensor } from './types.js';

/** Bits of a weight where the writer is not told otherwise: the paper's (its section 4.1). */
export const DEFAULT_TENSOR_BITS = 8;

/** The levels of a tensor: 2^bits between its smallest and its largest value, or multiples of a step. */
export type TensorLevels = { readonly bits: number } | { readonly step: number };

export interface NetworkOptions {
  /** Of the tensor of this name; 1 to 16 bits. Default: 8 bits. */
  readonly levels?: (name: string) => TensorLevels;
  /** Of every tensor. Default (null): rANS where it costs next to nothing, else the range coder. */
  readonly coder?: Coder | null;
}

/**
 * One segment's network as a NETW section: u32 length and UTF-8 JSON of the configuration, u16 tensor count, and a tensor each: u8
 * length and UTF-8 name, u8 rank, u32 dims, block. Where it has basis images: u8 1, u16 count, u16 rows, u16 columns, u8 patch, u32 length, stream. Throws ContainerError for what the reader would refuse.
 */
export function encodeNetwork(network: ContainerNetwork, options: NetworkOptions = {}): Uint8Array {
  const out = new ByteWriter();
  const config = jsonBytes(network.config, MAX_CONFIG_BYTES, "network's configuration");
  out.u32(config.length);
  out.bytes(config);
  checkLimit(network.tensors.size, MAX_TENSORS, 'The number of tensors');
  out.u16(network.tensors.size);
  let elements = 0;
  for (const { data } of network.tensors.values()) elements += data.length;
  checkLimit(elements, MAX_NETWORK_ELEMENTS, 'The number of values of the network');
  for (const [name, tensor] of network.tensors) writeTensor(out, name, tensor, options);
  if (network.images !== undefined) writeImages(out, network.images);
  return out.finish();
}

const IMAGES = 'The basis images';
/** What follows the tensors: basis images in the only form there is. */
const IMAGES_FORM = 1;

function writeImages(out: ByteWriter, { shape, stream }: CodedImages): void {
  checkShape(shape, IMAGES);
  out.u8(IMAGES_FORM);
  out.u16(shape.count);
  out.u16(shape.rows);
  out.u16(shape.columns);
  out.u8(shape.patch);
  out.u32(stream.length);
  out.bytes(stream);
}

/** null where nothing follows the tensors. */
function readImages(input: ByteReader): CodedImages | null {
  if (input.remaining === 0) return null;
  const form = input.u8();
  if (form !== IMAGES_FORM) throw malformed(`The NETW section has basis images of a form ${form} that this format does not have.`);
  const shape: ImageShape = { count: input.u16(), rows: input.u16(), columns: input.u16(), patch: input.u8() };
  checkShape(shape, IMAGES);
  return { shape, stream: input.bytes(input.u32()) };
}

function writeTensor(out: ByteWriter, name: string, tensor: ContainerTensor, options: NetworkOptions): void {
  const nameBytes = new TextEncoder().encode(name);
  checkLimit(nameBytes.length, MAX_NAME_BYTES, `The length of the tensor name "${name}"`);
  checkLimit(tensor.dims.length, MAX_RANK, `The rank of tensor "${name}"`);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  if (count !== tensor.data.length || count < 1) {
    throw malformed(`Tensor "${name}" has dimensions ${tensor.dims.join(' x ')} and ${tensor.data.length} values.`);
  }
  out.u8(nameBytes.length);
  out.bytes(nameBytes);
  out.u8(tensor.dims.length);
  for (const dim of tensor.dims) out.u32(dim);
  writeBlock(out, onLevels(tensor.data, options.levels?.(name) ?? { bits: DEFAULT_TENSOR_BITS }, `Tensor "${name}"`), tensor.dims, options.coder ?? null);
}

function onLevels(data: Float32Array, levels: TensorLevels, what: string): QuantisedTensor {
  if ('step' in levels) return quantiseBySteps(data, levels.step, what);
  const { bits } = levels;
  if (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS) {
    throw malformed(`${what} cannot have ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  }
  return quantise(data, bits, what);
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

/** The inverse of `encodeNetwork`, up to quantisation. Throws ContainerError, and nothing else, for bytes it refuses. */
export function decodeNetwork(section: Uint8Array): ContainerNetwork {
  return readNetwork(section, MAX_NETWORK_ELEMENTS).network;
}

/** As `decodeNetwork`, with how every tensor is stored. Decodes at most `maxElements` numbers. */
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
    if (elements > elementsLeft) throw tooManyElements(maxElements);
    elementsLeft -= elements;
    const { tensor, coding } = readBlock(input, dims, `Tensor "${name}"`);
    tensors.set(name, { dims, data: dequantise(tensor) });
    codings.push({ name, dims, ...coding });
  }
  const images = readImages(input);
  input.end();
  return { network: { config, tensors, ...(images === null ? {} : { images }) }, codings };
}

/** The basis images of a network as levels. @throws ContainerError for a stream that is none */
export function basisImages({ shape, stream }: CodedImages): LevelImages {
  return decodeImages(stream, shape, IMAGES);
}

/** Numbers that the basis images of a network stand for; 0 where it has none. */
export function imageElements({ images }: ContainerNetwork): number {
  return images === undefined ? 0 : images.shape.count * imageSize(images.shape);
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
    if (elements > MAX_NETWORK_ELEMENTS) throw tooManyElements(MAX_NETWORK_ELEMENTS);
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

function tooManyElements(limit: number): ContainerError {
  return new ContainerError('limit_exceeded', `The network holds more than ${limit} numbers, the most this reader accepts of it.`);
}
