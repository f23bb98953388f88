import { encodeIntegers } from '../integers.js';
import { chances, LOWEST, PRECISION, startsOf, WORD } from '../rans.js';
import { ByteWriter } from '../bytes.js';
import { MAX_SYMBOLS_PER_BYTE } from '../limits.js';
import { CHANNELS, CONTEXTS, groupsWithin, leastStreamBytes, TOKENS, type Extents, type ImageShape } from './layout.js';
import type { RoundedImages } from './round.js';

/**
 * A stack of images as a stream (docs/container.md, section 6.4): u32 length and the extents of all images, u32 length and the chances of all contexts,
 * u32 length and the plain bits, then u32 first state and u16 words of rANS. Short streams end in zero bytes, which are words that are not read.
 */
export function encodeImages({ shape, tokens, plain, extents, counts }: RoundedImages): Uint8Array {
  const table = new Int32Array(CONTEXTS * TOKENS);
  for (let row = 0; row < table.length; row += TOKENS) table.set(chances(counts.subarray(row, row + TOKENS)), row);
  const out = new ByteWriter();
  const reached = Int32Array.from(extents.flatMap((extent) => [...extent]));
  for (const part of [encodeIntegers(reached, 2 * CHANNELS), encodeIntegers(table, TOKENS), packedBits(plain)]) {
    out.u32(part.length);
    out.bytes(part);
  }
  const { state, words } = encodeTokens(tokens, table);
  out.u32(state);
  for (const word of words) out.u16(word);
  const stream = out.finish();
  const padded = new Uint8Array(Math.max(stream.length, leastBytes(shape, extents)));
  padded.set(stream);
  return padded;
}

/** Of a stream that a reader takes: as long as the images' size asks for, and as the groups within the extents do. */
function leastBytes(shape: ImageShape, extents: readonly Extents[]): number {
  return Math.max(leastStreamBytes(shape), Math.ceil(groupsWithin(extents, shape) / MAX_SYMBOLS_PER_BYTE));
}

/** rANS over tokens of any contexts: what is decoded first is encoded last. */
function encodeTokens(tokens: Uint16Array, table: Int32Array): { state: number; words: Uint16Array } {
  const starts = startsOf(table, TOKENS);
  const words = new Uint16Array(tokens.length);
  let first = words.length;
  let state = LOWEST;
  for (let i = tokens.length - 1; i >= 0; i--) {
    const entry = tokens[i] as number;
    const chance = table[entry] as number;
    if (state >= LOWEST * 2 ** (WORD - PRECISION) * chance) {
      words[--first] = state & (2 ** WORD - 1);
      state >>>= WORD;
    }
    state = (Math.floor(state / chance) << PRECISION) + (state % chance) + (starts[entry] as number);
  }
  return { state, words: words.subarray(first) };
}

/** Eight a byte, the first in the lowest place. */
function packedBits(bits: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bits.length / 8));
  for (let i = 0; i < bits.length; i++) if (bits[i] === 1) out[i >> 3]! |= 1 << (i & 7);
  return out;
}
