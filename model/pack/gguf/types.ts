/** The block formats of GGUF tensors and their numbers, as ggml defines them. */
import { fromFloat16Bits } from '../../runtime/float16.js';

export interface GgufType {
  readonly name: string;
  /** Weights of a block, which lie in one row. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

/** By ggml's number of the type. */
export const GGUF_TYPES: ReadonlyMap<number, GgufType> = new Map(
  (
    [
      [0, 'F32', 1, 4],
      [1, 'F16', 1, 2],
      [2, 'Q4_0', 32, 18],
      [3, 'Q4_1', 32, 20],
      [6, 'Q5_0', 32, 22],
      [7, 'Q5_1', 32, 24],
      [8, 'Q8_0', 32, 34],
      [12, 'Q4_K', 256, 144],
      [13, 'Q5_K', 256, 176],
      [14, 'Q6_K', 256, 210],
      [30, 'BF16', 1, 2],
    ] as const
  ).map(([id, name, block, bytes]) => [id, { name, block, bytes }]),
);

const half = (bytes: Uint8Array, at: number): number => fromFloat16Bits((bytes[at] as number) | ((bytes[at + 1] as number) << 8));
const signed = (byte: number): number => (byte << 24) >> 24;

/**
 * Scale and minimum (6 bits each) of sub-block j of 8 of a K-quant: the twelve bytes hold the low four bits of the last four of each, and
 * the first four whole, whose spare bits are the others' high ones.
 */
export function scaleAndMinimum(bytes: Uint8Array, at: number, j: number): readonly [number, number] {
  const byte = (i: number): number => bytes[at + i] as number;
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

/** Whole blocks as float32 numbers. */
type Decode = (bytes: Uint8Array, at: number, values: Float32Array, to: number) => void;

const DECODERS: Readonly<Record<string, Decode>> = {
  F32: (bytes, at, values, to) => {
    values[to] = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getFloat32(0, true);
  },
  F16: (bytes, at, values, to) => {
    values[to] = half(bytes, at);
  },
  BF16: (bytes, at, values, to) => {
    values[to] = bfloat((bytes[at] as number) | ((bytes[at + 1] as number) << 8));
  },
  Q4_0: (bytes, at, values, to) => {
    const d = half(bytes, at);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 2 + j] as number;
      values[to + j] = d * ((pair & 15) - 8);
      values[to + 16 + j] = d * ((pair >> 4) - 8);
    }
  },
  Q4_1: (bytes, at, values, to) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 4 + j] as number;
      values[to + j] = d * (pair & 15) + m;
      values[to + 16 + j] = d * (pair >> 4) + m;
    }
  },
  Q5_0: (bytes, at, values, to) => {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j++) values[to + j] = d * (fiveBits(bytes, at + 2, at + 6, j) - 16);
  },
  Q5_1: (bytes, at, values, to) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    for (let j = 0; j < 32; j++) values[to + j] = d * fiveBits(bytes, at + 4, at + 8, j) + m;
  },
  Q8_0: (bytes, at, values, to) => {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j++) values[to + j] = d * signed(bytes[at + 2 + j] as number);
  },
  Q4_K: (bytes, at, values, to) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    for (let j = 0; j < 8; j++) {
      const [scale, minimum] = scaleAndMinimum(bytes, at + 4, j);
      for (let i = 0; i < 32; i++) {
        const pair = bytes[at + 16 + (j >> 1) * 32 + i] as number;
        values[to + j * 32 + i] = d * scale * ((j & 1) === 0 ? pair & 15 : pair >> 4) - m * minimum;
      }
    }
  },
  Q5_K: (bytes, at, values, to) => {
    const [d, m] = [half(bytes, at), half(bytes, at + 2)];
    for (let j = 0; j < 8; j++) {
      const [scale, minimum] = scaleAndMinimum(bytes, at + 4, j);
      for (let i = 0; i < 32; i++) {
        const pair = bytes[at + 48 + (j >> 1) * 32 + i] as number;
        const high = ((bytes[at + 16 + i] as number) >> j) & 1;
        values[to + j * 32 + i] = d * scale * (((j & 1) === 0 ? pair & 15 : pair >> 4) | (high << 4)) - m * minimum;
      }
    }
  },
  Q6_K: (bytes, at, values, to) => {
    const d = half(bytes, at + 208);
    for (let i = 0; i < 256; i++) {
      // Two halves of 128; in each, four runs of 32 share 64 bytes of low and 32 of high bits.
      const [part, run, l] = [i >> 7, (i >> 5) & 3, i & 31];
      const low = bytes[at + part * 64 + (run & 1) * 32 + l] as number;
      const high = ((bytes[at + 128 + part * 32 + l] as number) >> (2 * run)) & 3;
      const q = (run < 2 ? low & 15 : low >> 4) | (high << 4);
      values[to + i] = d * signed(bytes[at + 192 + (i >> 4)] as number) * (q - 32);
    }
  },
};

const bfloatView = new DataView(new ArrayBuffer(4));

function bfloat(bits: number): number {
  bfloatView.setUint32(0, bits << 16);
  return bfloatView.getFloat32(0);
}

/** Element j of a block of 32: its fifth bit lies in the four bytes at `high`, the others in nibbles from `low` on. */
function fiveBits(bytes: Uint8Array, high: number, low: number, j: number): number {
  const nibble = j < 16 ? (bytes[low + j] as number) & 15 : (bytes[low + j - 16] as number) >> 4;
  return nibble | ((((bytes[high + (j >> 3)] as number) >> (j & 7)) & 1) << 4);
}

/** Whole blocks of a type as float32, exactly as ggml's own reading of them. */
export function decodeBlocks({ name, block, bytes: size }: GgufType, bytes: Uint8Array): Float32Array {
  const decode = DECODERS[name] as Decode;
  const count = bytes.byteLength / size;
  const values = new Float32Array(count * block);
  for (let i = 0; i < count; i++) decode(bytes, i * size, values, i * block);
  return values;
}
