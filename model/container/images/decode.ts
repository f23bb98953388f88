import { ByteReader, checkLimit } from '../bytes.js';
import { malformed } from '../errors.js';
import { decodeIntegers } from '../integers.js';
import { MAX_SYMBOLS_PER_BYTE } from '../limits.js';
import { LOWEST, PRECISION, SLOTS, startsOf, WORD } from '../rans.js';
import {
  CHANNELS, CLASSES, CLASS_OF, CONTEXTS, ESCAPE, GROUP, GROUP_SIZE, groupsWithin, LARGEST_SUM, leastStreamBytes, MAX_COUNTED, MAX_LEVEL, Surroundings, TOKENS, type ImageShape, type LevelImages,
} from './layout.js';

/**
 * The inverse of `encodeImages` for a stack of this shape, which was checked (checkShape). Takes time and memory in proportion to the stream: no more
 * groups are looked at than MAX_SYMBOLS_PER_BYTE allows, and each number that is not zero has a sign in the stream.
 */
export function decodeImages(stream: Uint8Array, shape: ImageShape, what: string): LevelImages {
  const least = leastStreamBytes(shape);
  if (stream.length < least) throw malformed(`${what} have a stream of ${stream.length} bytes; ones of their size have ${least} at least.`);
  const input = new ByteReader(stream, 'NETW');
  const extents = readExtents(input.bytes(input.u32()), shape, what);
  checkLimit(groupsWithin(extents, shape), stream.length * MAX_SYMBOLS_PER_BYTE, `The number of groups of ${what} in a stream of ${stream.length} bytes`);
  const chances = readChances(input.bytes(input.u32()), what);
  const plain = new PlainBits(input.bytes(input.u32()), what);
  const tokens = new TokenReader(chances, input, what);
  const levels = new Levels(plain.count);
  const starts = new Uint32Array(shape.count + 1);
  const around = new Surroundings(shape);
  for (let k = 0; k < shape.count; k++) {
    decodeImage(extents[k] as Int32Array, around, tokens, plain, levels);
    starts[k + 1] = levels.count;
    around.nextImage();
  }
  return { ...shape, starts, ...levels.finish() };
}

function decodeImage(extents: Int32Array, around: Surroundings, tokens: TokenReader, plain: PlainBits, levels: Levels): void {
  const { shape, rowStride, side, groupSums, sums } = around;
  const { rows, columns, patch } = shape;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const corner = row * patch * rowStride + column * patch * CHANNELS;
      const firstGroup = (row * columns + column) * CHANNELS * side * side;
      for (let channel = 0; channel < CHANNELS; channel++) {
        const [tall, wide] = [extents[2 * channel] as number, extents[2 * channel + 1] as number];
        for (let gy = 0; gy < tall; gy++) {
          for (let gx = 0; gx < wide; gx++) {
            const index = firstGroup + (channel * side + gy) * side + gx;
            const sum = groupSums[index] as number;
            if (tokens.read(CLASS_OF[sum < LARGEST_SUM ? sum : LARGEST_SUM] as number) === 0) continue;
            const place = corner + gy * GROUP * rowStride + gx * GROUP * CHANNELS + channel;
            let counted = 0;
            for (let i = 0; i < GROUP_SIZE; i++) {
              const at = place + (i >> 2) * rowStride + (i & 3) * CHANNELS;
              const size = sums[at] as number;
              const token = tokens.read(CLASSES + (CLASS_OF[size < LARGEST_SUM ? size : LARGEST_SUM] as number));
              if (token === 0) continue;
              const magnitude = levels.push(at, token, plain);
              counted += magnitude < MAX_COUNTED ? magnitude : MAX_COUNTED;
              around.add(at, magnitude, row, column, gy * GROUP + (i >> 2), gx * GROUP + (i & 3));
            }
            around.addGroup(index, counted, row, column, gy, gx);
          }
        }
      }
    }
  }
}

function readExtents(stream: Uint8Array, { count, patch }: ImageShape, what: string): Int32Array[] {
  const wanted = count * 2 * CHANNELS;
  checkLimit(wanted, stream.length * MAX_SYMBOLS_PER_BYTE, `The number of extents of ${what} in ${stream.length} bytes`);
  const extents = decodeIntegers(stream, wanted, 2 * CHANNELS);
  if (extents.some((extent) => extent < 0 || extent > patch / GROUP)) throw malformed(`${what} has an image that reaches beyond its cells.`);
  return Array.from({ length: count }, (_, k) => extents.subarray(k * 2 * CHANNELS, (k + 1) * 2 * CHANNELS));
}

function readChances(stream: Uint8Array, what: string): Int32Array {
  const table = decodeIntegers(stream, CONTEXTS * TOKENS, TOKENS);
  for (let row = 0; row < table.length; row += TOKENS) {
    let sum = 0;
    for (let token = 0; token < TOKENS; token++) {
      const chance = table[row + token] as number;
      if (chance < 0 || chance > SLOTS - sum) throw malformed(`${what} has a table whose chances do not sum to ${SLOTS}.`);
      sum += chance;
    }
    // A context that never occurs holds the token 0 alone, which leaves the state as it is.
    if (sum === 0) table[row] = SLOTS;
    else if (sum < SLOTS) throw malformed(`${what} has a table whose chances do not sum to ${SLOTS}.`);
    // A flag is 0 or 1.
    if (row < CLASSES * TOKENS && (table[row] as number) + (table[row + 1] as number) !== SLOTS) throw malformed(`${what} has a flag that is neither 0 nor 1.`);
  }
  return table;
}

/** Draws tokens from the rANS stream; past its end all words are 0. */
class TokenReader {
  readonly #chances: Int32Array;
  readonly #starts: Int32Array;
  /** (CONTEXTS * SLOTS) the token of each slot. */
  readonly #slots = new Uint8Array(CONTEXTS * SLOTS);
  readonly #words: Uint16Array;
  #next = 0;
  #state: number;

  constructor(chances: Int32Array, input: ByteReader, what: string) {
    this.#chances = chances;
    this.#starts = startsOf(chances, TOKENS);
    for (let entry = 0; entry < chances.length; entry++) {
      const from = Math.floor(entry / TOKENS) * SLOTS + (this.#starts[entry] as number);
      this.#slots.fill(entry % TOKENS, from, from + (chances[entry] as number));
    }
    this.#state = input.u32();
    if (this.#state < LOWEST || this.#state >= LOWEST * 2 ** WORD) throw malformed(`${what} starts with a state that is none.`);
    const bytes = input.bytes(input.remaining);
    this.#words = new Uint16Array(bytes.length >> 1);
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8);
  }

  read(context: number): number {
    let state = this.#state;
    const slot = state & (SLOTS - 1);
    const token = this.#slots[(context << PRECISION) | slot] as number;
    const entry = context * TOKENS + token;
    state = Math.imul(this.#chances[entry] as number, state >>> PRECISION) + slot - (this.#starts[entry] as number);
    if (state < LOWEST) state = (state << WORD) | (this.#next < this.#words.length ? (this.#words[this.#next++] as number) : 0);
    this.#state = state;
    return token;
  }
}

/** Bits that were not coded. Asking for more than there are is refused, which bounds the numbers of a stream. */
class PlainBits {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
    this.count = bytes.length * 8;
  }

  bit(): number {
    const at = this.#at++;
    if (at >= this.count) throw malformed(`${this.#what} has more numbers than signs.`);
    return ((this.#bytes[at >> 3] as number) >> (at & 7)) & 1;
  }

  /** Exp-Golomb: the number of further bits in unary, then those below the leading 1. */
  more(): number {
    let length = 0;
    while (this.bit() === 1) length++;
    if (length > 15) throw malformed(`${this.#what} has a number above ${MAX_LEVEL}.`);
    let value = 1;
    for (let i = 0; i < length; i++) value = 2 * value + this.bit();
    return value - 1;
  }
}

/** Numbers that are not zero, as they come. */
class Levels {
  count = 0;
  #places: Uint32Array;
  #levels: Int16Array;

  /** `most` bounds their count. */
  constructor(most: number) {
    this.#places = new Uint32Array(most);
    this.#levels = new Int16Array(most);
  }

  /** Takes a number that is not zero from its token and its plain bits. @returns its magnitude */
  push(place: number, token: number, plain: PlainBits): number {
    const negative = plain.bit();
    const magnitude = token < ESCAPE ? token : Math.min(MAX_LEVEL, ESCAPE + plain.more());
    this.#places[this.count] = place;
    this.#levels[this.count++] = negative === 1 ? -magnitude : magnitude;
    return magnitude;
  }

  finish(): { places: Uint32Array; levels: Int16Array } {
    return { places: this.#places.slice(0, this.count), levels: this.#levels.slice(0, this.count) };
  }
}
