import { malformed } from './errors.js';

/**
 * Canonical Huffman coding of signed integers: the entropy coder of Latent-INR (its section 3.4), kept beside the range coder so that the
 * two can be compared on the same levels.
 *
 * Stream (bits from the most significant down): i32 smallest value, u32 alphabet size n, both little-endian; the code length of each value
 * from the smallest up: `0` as the one before (at first 0), `10` one more, `110` one less, `111` and five bits the length itself (0: unused);
 * then the codes. With n = 1 there are neither lengths nor codes.
 */

/** Codes are at most this long, so that five bits hold a length and 32-bit arithmetic every code. */
const MAX_CODE_LENGTH = 24;
/** Bits resolved by one table look-up; longer codes go on bit by bit. */
const TABLE_BITS = 11;

export function encodeHuffman(values: Int32Array): Uint8Array {
  let low = values[0] ?? 0;
  let high = low;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const size = high - low + 1;
  const out = new BitWriter();
  out.bytes32(low);
  out.bytes32(size);
  if (size === 1) return out.finish();
  const counts = new Float64Array(size);
  for (const v of values) counts[v - low] = (counts[v - low] as number) + 1;
  const lengths = codeLengths(counts);
  writeLengths(out, lengths);
  const codes = canonicalCodes(lengths);
  for (const v of values) out.bits(codes[v - low] as number, lengths[v - low] as number);
  return out.finish();
}

/** The inverse of `encodeHuffman` for `count` values; `maxSize` bounds the alphabet before its tables are allocated. */
export function decodeHuffman(bytes: Uint8Array, count: number, maxSize: number): Int32Array {
  if (bytes.length < 8) throw malformed('A Huffman stream is shorter than its header.');
  const header = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const low = header.getInt32(0, true);
  const size = header.getUint32(4, true);
  if (size < 1 || size > maxSize || low + size - 1 > 0x7fffffff) throw malformed(`A Huffman stream has an alphabet of ${size} values; at most ${maxSize} fit here.`);
  if (size === 1) return new Int32Array(count).fill(low);
  // Each length takes a bit at least.
  if (size > bytes.length * 8) throw malformed('A Huffman stream is shorter than its table of code lengths.');
  const input = new BitReader(bytes.subarray(8));
  const decoder = new CanonicalDecoder(readLengths(input, size));
  const values = new Int32Array(count);
  for (let i = 0; i < count; i++) values[i] = low + decoder.read(input);
  return values;
}

/** Huffman code lengths of symbols with these counts (0: unused); counts are flattened until no code is longer than allowed. */
export function codeLengths(counts: Float64Array): Uint8Array {
  let flattened = counts;
  for (;;) {
    const lengths = unlimitedLengths(flattened);
    let longest = 0;
    for (const length of lengths) longest = Math.max(longest, length);
    if (longest <= MAX_CODE_LENGTH) return Uint8Array.from(lengths);
    flattened = flattened.map((c) => (c === 0 ? 0 : Math.ceil(c / 4)));
  }
}

function unlimitedLengths(counts: Float64Array): Uint16Array {
  const used = [...counts.keys()].filter((symbol) => (counts[symbol] as number) > 0);
  used.sort((a, b) => (counts[a] as number) - (counts[b] as number) || a - b);
  const lengths = new Uint16Array(counts.length);
  const n = used.length;
  if (n === 1) lengths[used[0] as number] = 1;
  if (n < 2) return lengths;
  // Leaves in rising order and merged nodes, which arise in rising order too: two queues replace a heap.
  const weight = new Float64Array(2 * n - 1);
  const parent = new Int32Array(2 * n - 1);
  used.forEach((symbol, i) => (weight[i] = counts[symbol] as number));
  let leaf = 0;
  let merged = n;
  for (let node = n; node < 2 * n - 1; node++) {
    for (let child = 0; child < 2; child++) {
      const takeLeaf = leaf < n && (merged >= node || (weight[leaf] as number) <= (weight[merged] as number));
      const chosen = takeLeaf ? leaf++ : merged++;
      weight[node] = (weight[node] as number) + (weight[chosen] as number);
      parent[chosen] = node;
    }
  }
  const depth = new Uint16Array(2 * n - 1);
  for (let node = 2 * n - 3; node >= 0; node--) depth[node] = (depth[parent[node] as number] as number) + 1;
  used.forEach((symbol, i) => (lengths[symbol] = depth[i] as number));
  return lengths;
}

/** Codes counted up from 0 within a length, and on from shorter to longer lengths. */
function canonicalCodes(lengths: Uint8Array): Uint32Array {
  const next = firstCodes(countLengths(lengths));
  return Uint32Array.from(lengths, (length) => {
    if (length === 0) return 0;
    const code = next[length] as number;
    next[length] = code + 1;
    return code;
  });
}

function countLengths(lengths: Uint8Array): Uint32Array {
  const counts = new Uint32Array(MAX_CODE_LENGTH + 1);
  for (const length of lengths) if (length > 0) counts[length] = (counts[length] as number) + 1;
  return counts;
}

function firstCodes(counts: Uint32Array): Uint32Array {
  const first = new Uint32Array(MAX_CODE_LENGTH + 1);
  for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
    first[length] = ((first[length - 1] as number) + (counts[length - 1] as number)) * 2;
  }
  return first;
}

function writeLengths(out: BitWriter, lengths: Uint8Array): void {
  let previous = 0;
  for (const length of lengths) {
    if (length === previous) out.bits(0, 1);
    else if (length === previous + 1) out.bits(0b10, 2);
    else if (length === previous - 1) out.bits(0b110, 3);
    else out.bits((0b111 << 5) | length, 8);
    previous = length;
  }
}

function readLengths(input: BitReader, size: number): Uint8Array {
  const lengths = new Uint8Array(size);
  let previous = 0;
  for (let i = 0; i < size; i++) {
    if (input.bit() === 1) {
      if (input.bit() === 0) previous++;
      else if (input.bit() === 0) previous--;
      else previous = input.bits(5);
    }
    if (previous < 0 || previous > MAX_CODE_LENGTH) throw malformed('A Huffman stream has an impossible code length.');
    lengths[i] = previous;
  }
  return lengths;
}

class CanonicalDecoder {
  readonly #counts: Uint32Array;
  readonly #first: Uint32Array;
  /** Where the symbols of a length start in #symbols. */
  readonly #starts: Uint32Array;
  readonly #symbols: Uint32Array;
  /** (2^TABLE_BITS) symbol * 32 + length for codes that fit, 0 for longer ones. */
  readonly #table: Uint32Array;

  constructor(lengths: Uint8Array) {
    this.#counts = countLengths(lengths);
    let space = 0;
    for (let length = 1; length <= MAX_CODE_LENGTH; length++) space += (this.#counts[length] as number) * 2 ** (MAX_CODE_LENGTH - length);
    if (space !== 2 ** MAX_CODE_LENGTH) throw malformed('The code lengths of a Huffman stream are not those of a complete code.');
    this.#first = firstCodes(this.#counts);
    this.#starts = new Uint32Array(MAX_CODE_LENGTH + 2);
    for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
      this.#starts[length + 1] = (this.#starts[length] as number) + (this.#counts[length] as number);
    }
    const place = this.#starts.slice();
    this.#symbols = new Uint32Array(lengths.length);
    this.#table = new Uint32Array(2 ** TABLE_BITS);
    lengths.forEach((length, symbol) => {
      if (length === 0) return;
      const at = place[length] as number;
      place[length] = at + 1;
      this.#symbols[at] = symbol;
      if (length > TABLE_BITS) return;
      const code = (this.#first[length] as number) + at - (this.#starts[length] as number);
      const shift = TABLE_BITS - length;
      this.#table.fill(symbol * 32 + length, code << shift, (code + 1) << shift);
    });
  }

  read(input: BitReader): number {
    const entry = this.#table[input.peek(TABLE_BITS)] as number;
    if (entry !== 0) {
      input.skip(entry & 31);
      return entry >>> 5;
    }
    let code = 0;
    for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
      code = code * 2 + input.bit();
      const index = code - (this.#first[length] as number);
      if (index < (this.#counts[length] as number)) return this.#symbols[(this.#starts[length] as number) + index] as number;
    }
    throw malformed('A Huffman stream holds a code that its table does not.');
  }
}

class BitWriter {
  #bytes = new Uint8Array(1024);
  #bitLength = 0;

  bytes32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.bits((value >>> shift) & 255, 8);
  }

  bits(value: number, count: number): void {
    if (this.#bitLength + count > this.#bytes.length * 8) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    for (let i = count - 1; i >= 0; i--) {
      if (((value >>> i) & 1) !== 0) {
        const at = this.#bitLength >>> 3;
        this.#bytes[at] = (this.#bytes[at] as number) | (0x80 >>> (this.#bitLength & 7));
      }
      this.#bitLength++;
    }
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, (this.#bitLength + 7) >>> 3);
  }
}

class BitReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length * 8;
  }

  bit(): number {
    return this.bits(1);
  }

  bits(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** The next `count` (at most 16) bits without moving on; zeros past the end. */
  peek(count: number): number {
    const byte = this.#at >>> 3;
    const bytes = this.#bytes;
    const window = ((bytes[byte] ?? 0) << 16) | ((bytes[byte + 1] ?? 0) << 8) | (bytes[byte + 2] ?? 0);
    return (window >>> (24 - (this.#at & 7) - count)) & ((1 << count) - 1);
  }

  skip(count: number): void {
    this.#at += count;
    if (this.#at > this.#end) throw malformed('A Huffman stream ends in the middle of a code.');
  }
}
