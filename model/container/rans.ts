import { malformed } from './errors.js';
import { decodeIntegers, encodeIntegers } from './integers.js';

/**
 * Signed integers through rANS (Duda 2013) with chances that are counted beforehand: decoded in less than half the adaptive range coder's
 * time, and as small where most numbers are not zero. A number is a token, drawn with the chances of its context, and, below a large number's two leading
 * bits, plain bits. The context is the size and the sign of the numbers around it that are known already.
 *
 * Stream: u8 tokens told apart (A), u32 length of the tables' stream, tables, u32 first state, u16 words. The tables are CONTEXTS rows of A
 * integers (integers.ts): the chance of each token of 4,096; a row's sum is 4,096, or 0 where its context never occurs.
 */

/** Bits of a chance. */
export const PRECISION = 12;
export const SLOTS = 1 << PRECISION;
export const WORD = 16;
/** States stay in [LOWEST, LOWEST * 2^WORD), inside a signed 32-bit integer. */
export const LOWEST = 1 << 15;
/** Magnitudes below it are classes of their own; above, a class is a bit length and the bit below the leading one. */
const DIRECT = 16;
const DIRECT_LENGTH = 5;
/** Bits of the largest magnitude: residuals of 16-bit levels have no more. */
const LONGEST = 17;
const CLASSES = DIRECT + 2 * (LONGEST - DIRECT_LENGTH + 1);
/** Tokens: 0, and each other class with either sign. */
const MAX_TOKENS = 2 * CLASSES - 1;
/** The sums of neighbours at which a larger size begins: one by one, then two an octave. */
const SIZE_STARTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240];
const CONTEXTS = 3 * SIZE_STARTS.length;
/** SIZES[sum]: three times its size. Larger sums are of the last one. */
const SIZES = Uint8Array.from({ length: 241 }, (_, sum) => 3 * SIZE_STARTS.findLastIndex((start) => sum >= start));
const LARGEST_SUM = SIZES.length - 1;
const TABLES_AT = 5;
const HEADER = TABLES_AT + 4;

/** `count` zeros behind as many as stand for neighbours outside, `first` of them. */
function withNeighbours(count: number, columns: number): { values: Int32Array; first: number; aboveRight: number } {
  const first = 2 * columns + 1;
  // How far back the number lies that is one row up and one to the right: with one column, where that is the number itself, the one before.
  return { values: new Int32Array(first + count), first, aboveRight: Math.max(columns - 1, 1) };
}

/** |value|, in a way that stays an integer. */
function size(value: number): number {
  const sign = value >> 31;
  return (value ^ sign) - sign;
}

/** Plain bits after a token of magnitude class `m`. */
function plainBits(m: number): number {
  return m < DIRECT ? 0 : ((m - DIRECT) >> 1) + DIRECT_LENGTH - 2;
}

/** The smallest magnitude of class `m`. */
function smallest(m: number): number {
  return m < DIRECT ? m : (2 + ((m - DIRECT) & 1)) << plainBits(m);
}

/** The token of a number: 0, then 1, -1, 2, -2 ... by magnitude class. */
function tokenOf(value: number): number {
  const magnitude = size(value);
  const length = 32 - Math.clz32(magnitude);
  const m = magnitude < DIRECT ? magnitude : DIRECT + 2 * (length - DIRECT_LENGTH) + ((magnitude >> (length - 2)) & 1);
  return m === 0 ? 0 : 2 * m - (value > 0 ? 1 : 0);
}

/** Counts as chances of SLOTS, at least 1 where there is a count; all 0 where there is none. */
export function chances(counts: Uint32Array): Int32Array {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return new Int32Array(counts.length);
  const out = Int32Array.from(counts, (count) => (count === 0 ? 0 : Math.max(1, Math.round((count * SLOTS) / total))));
  // What rounding left over or took too much is less than one a token: the commonest token can spare it, and feels it least.
  const largest = counts.indexOf(Math.max(...counts));
  out[largest] = (out[largest] as number) + SLOTS - out.reduce((sum, chance) => sum + chance, 0);
  return out;
}

/** (CONTEXTS, A): the sum of the chances before each token's in its row. */
export function startsOf(table: Int32Array, alphabet: number): Int32Array {
  const starts = new Int32Array(table.length);
  for (let i = 0; i < table.length; i++) starts[i] = i % alphabet === 0 ? 0 : (starts[i - 1] as number) + (table[i - 1] as number);
  return starts;
}

/** Codes `values`, of at most LONGEST bits, in rows of `columns`. */
export function encodeRans(values: Int32Array, columns: number): Uint8Array {
  const tokens = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) tokens[i] = tokenOf(values[i] as number);
  const contexts = contextsOf(values, columns);
  const alphabet = tokens.reduce((most, token) => Math.max(most, token + 1), 1);
  const counts = new Uint32Array(CONTEXTS * alphabet);
  for (const [i, token] of tokens.entries()) {
    const entry = (contexts[i] as number) * alphabet + token;
    counts[entry] = (counts[entry] as number) + 1;
  }
  const table = new Int32Array(counts.length);
  for (let row = 0; row < table.length; row += alphabet) table.set(chances(counts.subarray(row, row + alphabet)), row);
  const starts = startsOf(table, alphabet);

  const words: number[] = [];
  let state = LOWEST;
  const keepBelow = (limit: number): void => {
    if (state < limit) return;
    words.push(state & (2 ** WORD - 1));
    state >>>= WORD;
  };
  // What is decoded first is encoded last.
  for (let i = values.length - 1; i >= 0; i--) {
    const token = tokens[i] as number;
    const bits = plainBits((token + 1) >> 1);
    keepBelow(LOWEST * 2 ** (WORD - bits));
    state = (state << bits) | (size(values[i] as number) & ((1 << bits) - 1));
    const entry = (contexts[i] as number) * alphabet + token;
    const chance = table[entry] as number;
    keepBelow(LOWEST * 2 ** (WORD - PRECISION) * chance);
    state = (Math.floor(state / chance) << PRECISION) + (state % chance) + (starts[entry] as number);
  }

  const tables = encodeIntegers(table, alphabet);
  const out = new Uint8Array(HEADER + tables.length + 2 * words.length);
  const view = new DataView(out.buffer);
  view.setUint8(0, alphabet);
  view.setUint32(1, tables.length, true);
  out.set(tables, TABLES_AT);
  view.setUint32(TABLES_AT + tables.length, state, true);
  words.reverse().forEach((word, i) => view.setUint16(HEADER + tables.length + 2 * i, word, true));
  return out;
}

/** The context of every number, as `decodeRans` finds it. */
function contextsOf(numbers: Int32Array, columns: number): Uint8Array {
  const { values, first, aboveRight } = withNeighbours(numbers.length, columns);
  values.set(numbers, first);
  const sizeAt = (i: number): number => size(values[i] as number);
  const contexts = new Uint8Array(numbers.length);
  for (let k = 0, i = first; k < contexts.length; k++, i++) {
    const sum = 2 * (sizeAt(i - 1) + sizeAt(i - columns)) + sizeAt(i - 2) + sizeAt(i - columns - 1) + sizeAt(i - aboveRight) + sizeAt(i - 2 * columns);
    const towards = (values[i - 1] as number) + (values[i - columns] as number);
    contexts[k] = (SIZES[Math.min(sum, LARGEST_SUM)] as number) + 1 + Math.sign(towards);
  }
  return contexts;
}

/** Chances from their stream, and the token of every slot of every row. */
function readTables(stream: Uint8Array, alphabet: number): { table: Int32Array; slots: Uint8Array } {
  const table = decodeIntegers(stream, CONTEXTS * alphabet, alphabet);
  const slots = new Uint8Array(CONTEXTS * SLOTS);
  for (let context = 0; context < CONTEXTS; context++) {
    const row = table.subarray(context * alphabet, (context + 1) * alphabet);
    let at = 0;
    for (const [token, chance] of row.entries()) {
      if (chance < 0 || chance > SLOTS - at) throw malformed('A coded stream has a table whose chances do not sum to 4,096.');
      slots.fill(token, context * SLOTS + at, context * SLOTS + at + chance);
      at += chance;
    }
    // A context that never occurs holds the token 0 alone, which leaves the state as it is.
    if (at === 0) row[0] = SLOTS;
    else if (at < SLOTS) throw malformed('A coded stream has a table whose chances do not sum to 4,096.');
  }
  return { table, slots };
}

/** The inverse of `encodeRans` for `count` values. Reads zeros past the end of `bytes`, so `count` must be bounded by the caller. */
export function decodeRans(bytes: Uint8Array, count: number, columns: number): Int32Array {
  if (bytes.length < HEADER) throw malformed('A coded stream ends within its header.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const alphabet = view.getUint8(0);
  const tablesLength = view.getUint32(1, true);
  if (alphabet < 1 || alphabet > MAX_TOKENS) throw malformed('A coded stream starts with an unknown header.');
  if (tablesLength > bytes.length - HEADER) throw malformed('A coded stream ends within its tables.');
  const { table, slots } = readTables(bytes.subarray(TABLES_AT, TABLES_AT + tablesLength), alphabet);
  const starts = startsOf(table, alphabet);
  const wordsAt = HEADER + tablesLength;
  const words = new Uint16Array((bytes.length - wordsAt) >> 1);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint16(wordsAt + 2 * i, true);
  let state = view.getUint32(TABLES_AT + tablesLength, true);
  if (state < LOWEST || state >= LOWEST * 2 ** WORD) throw malformed('A coded stream starts with a state that is none.');

  const { values, first, aboveRight } = withNeighbours(count, columns);
  let next = 0;
  // The contexts of contextsOf, written out: each waits for the number before it, and this loop is most of the time of opening a video. What the
  // next number needs again stays in variables, which saves a quarter of it.
  let before = 0;
  let sizeBefore = 0;
  let sizeTwoBefore = 0;
  for (let i = first; i < values.length; i++) {
    const above = values[i - columns] as number;
    const further = sizeTwoBefore + size(values[i - columns - 1] as number) + size(values[i - aboveRight] as number) + size(values[i - 2 * columns] as number);
    const sum = 2 * (sizeBefore + size(above)) + further;
    const towards = before + above;
    const context = (SIZES[sum < LARGEST_SUM ? sum : LARGEST_SUM] as number) + 1 + (towards >> 31) - (-towards >> 31);
    const slot = state & (SLOTS - 1);
    const token = slots[(context << PRECISION) | slot] as number;
    const entry = context * alphabet + token;
    state = Math.imul(table[entry] as number, state >>> PRECISION) + slot - (starts[entry] as number);
    if (state < LOWEST) state = (state << WORD) | (next < words.length ? (words[next++] as number) : 0);
    let magnitude = (token + 1) >> 1;
    if (magnitude >= DIRECT) {
      const bits = plainBits(magnitude);
      magnitude = smallest(magnitude) | (state & ((1 << bits) - 1));
      state >>>= bits;
      if (state < LOWEST) state = (state << WORD) | (next < words.length ? (words[next++] as number) : 0);
    }
    const sign = (token & 1) - 1; // -1 for the negative ones, which are the even tokens
    before = (magnitude ^ sign) - sign;
    values[i] = before;
    sizeTwoBefore = sizeBefore;
    sizeBefore = magnitude;
  }
  return values.subarray(first);
}
