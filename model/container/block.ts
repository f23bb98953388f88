import { checkLimit, type ByteReader, type ByteWriter } from './bytes.js';
import { malformed } from './errors.js';
import { decodeHuffman, encodeHuffman } from './huffman.js';
import { decodeIntegers, encodeIntegers } from './integers.js';
import { MAX_BITS, MAX_SYMBOLS_PER_BYTE, MIN_BITS } from './limits.js';
import { choosePredictor, contextColumns, reconstruct, residuals } from './prediction.js';
import type { QuantisedTensor } from './quantise.js';
import { decodeRans, encodeRans } from './rans.js';
import type { Coder } from './types.js';

/** How a block was coded, as `inspectContainer` reports it. */
export interface BlockCoding {
  readonly bits: number;
  readonly coder: Coder;
  /** The axis along which levels were foretold and how strongly (1 is "as the one before"); null where they were not. */
  readonly prediction: { readonly axis: number; readonly weight: number } | null;
  /** Bytes of the entropy-coded stream. */
  readonly streamBytes: number;
}

export interface DecodedBlock {
  readonly tensor: QuantisedTensor;
  readonly coding: BlockCoding;
}

const CODERS: readonly Coder[] = ['range', 'huffman', 'rans'];
/**
 * What rANS may cost beside the range coder, in bytes: it is more than twice as fast to decode, which is most of the time of opening a video. Tensors
 * of mostly zeros would cost 5% more; the fewer numbers, the less there is to win.
 */
const RANS_PRICE = 1.01;
const FEWEST_FOR_RANS = 4096;
const NO_AXIS = 255;

/**
 * Writes one quantised tensor: u8 bits, u8 coder, u8 predicted axis (255: none), u8 weight in eighths, u16 centre, f32 low, f32 high,
 * u32 stream length, stream. Streams are padded with zero bytes to 1 / MAX_SYMBOLS_PER_BYTE of their number of values.
 * @param wanted null: rANS where it costs next to nothing, else the range coder
 */
export function writeBlock(out: ByteWriter, tensor: QuantisedTensor, dims: readonly number[], wanted: Coder | null): void {
  const predictor = choosePredictor(tensor.levels, dims, tensor.bits);
  const values = residuals(tensor.levels, dims, predictor);
  const { coder, coded } = encode(values, contextColumns(dims, predictor.axis), wanted);
  const stream = new Uint8Array(Math.max(coded.length, Math.ceil(values.length / MAX_SYMBOLS_PER_BYTE)));
  stream.set(coded);
  out.u8(tensor.bits);
  out.u8(CODERS.indexOf(coder));
  out.u8(predictor.axis ?? NO_AXIS);
  out.u8(predictor.weight);
  out.u16(predictor.centre);
  out.f32(tensor.low);
  out.f32(tensor.high);
  out.u32(stream.length);
  out.bytes(stream);
}

function encode(values: Int32Array, columns: number, wanted: Coder | null): { coder: Coder; coded: Uint8Array } {
  if (wanted === 'huffman') return { coder: wanted, coded: encodeHuffman(values) };
  if (wanted === 'rans') return { coder: wanted, coded: encodeRans(values, columns) };
  const range = encodeIntegers(values, columns);
  if (wanted === null && values.length >= FEWEST_FOR_RANS) {
    const rans = encodeRans(values, columns);
    if (rans.length <= range.length * RANS_PRICE) return { coder: 'rans', coded: rans };
  }
  return { coder: 'range', coded: range };
}

function decode(coder: Coder, stream: Uint8Array, count: number, columns: number, bits: number): Int32Array {
  if (coder === 'huffman') return decodeHuffman(stream, count, 2 ** (bits + 1));
  return coder === 'rans' ? decodeRans(stream, count, columns) : decodeIntegers(stream, count, columns);
}

/** Reads what `writeBlock` wrote for a tensor of `dims`. `what` names it in messages. */
export function readBlock(input: ByteReader, dims: readonly number[], what: string): DecodedBlock {
  const bits = input.u8();
  const coder = CODERS[input.u8()];
  const axisByte = input.u8();
  const weight = input.u8();
  const centre = input.u16();
  const low = input.f32();
  const high = input.f32();
  const stream = input.bytes(input.u32());
  const axis = axisByte === NO_AXIS ? null : axisByte;
  if (bits < MIN_BITS || bits > MAX_BITS) throw malformed(`${what} says it has ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  if (coder === undefined) throw malformed(`${what} names an entropy coder this format does not have.`);
  if (high < low) throw malformed(`${what} has a range whose end lies before its start.`);
  if ((axis !== null && axis >= dims.length) || weight < 1 || weight > 8 || centre >= 2 ** bits) {
    throw malformed(`${what} is predicted in a way this format does not have.`);
  }
  const count = dims.reduce((product, dim) => product * dim, 1);
  const coding: BlockCoding = { bits, coder, prediction: axis === null ? null : { axis, weight: weight / 8 }, streamBytes: stream.length };
  checkLimit(count, stream.length * MAX_SYMBOLS_PER_BYTE, `The number of values of ${what} in a stream of ${stream.length} bytes`);
  const predictor = { axis, weight, centre };
  const values = decode(coder, stream, count, contextColumns(dims, axis), bits);
  return { tensor: { bits, low, high, levels: reconstruct(values, dims, predictor, bits) }, coding };
}
