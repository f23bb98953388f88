import { ByteWriter, checkLimit, type ByteReader } from './bytes.js';
import { malformed } from './errors.js';
import { decodeIntegers, encodeIntegers } from './integers.js';
import { MAX_IMAGES, MAX_LATENT_ELEMENTS, MAX_SYMBOLS_PER_BYTE } from './limits.js';
import type { Container, Mixing } from './types.js';

/** How a column's numbers are foretold: not at all, as the one before, or as the line through the two before. */
const ORDERS = 3;
const LARGEST = 32_767;

/**
 * The free numbers of all segments, which follow the aligned ones in the LATN section of version 2: of each coded segment u16 K and, where K is not 0, u32
 * length and a stream (integers.ts) of rows of K: the order of each column, then the residuals of each frame.
 */
export function mixingPart(mixing: readonly (Mixing | null)[], networks: Container['networks']): Uint8Array {
  const out = new ByteWriter();
  for (const [k, segment] of mixing.entries()) {
    if (networks[k] === null) continue;
    if (segment === null) {
      out.u16(0);
      continue;
    }
    const { count, levels } = segment;
    checkLimit(count, MAX_IMAGES, 'The number of free numbers of a frame');
    const rows = levels.length / count;
    const values = new Int32Array((rows + 1) * count);
    for (let column = 0; column < count; column++) {
      const order = bestOrder(levels, count, column);
      values[column] = order;
      for (let t = 0; t < rows; t++) values[(t + 1) * count + column] = (levels[t * count + column] as number) - foretold(levels, count, column, t, order);
    }
    const coded = encodeIntegers(values, count);
    const stream = new Uint8Array(Math.max(coded.length, Math.ceil(values.length / MAX_SYMBOLS_PER_BYTE)));
    stream.set(coded);
    out.u16(count);
    out.u32(stream.length);
    out.bytes(stream);
  }
  return out.finish();
}

/** Reads what `mixingPart` wrote. Every segment that is coded has an entry, of K = 0 where it mixes nothing. */
export function readMixing(input: ByteReader, segments: readonly { readonly frames: number; readonly network: unknown }[]): (Mixing | null)[] {
  let left = MAX_LATENT_ELEMENTS;
  return segments.map(({ frames, network }) => {
    if (network === null) return null;
    const count = input.u16();
    if (count === 0) return null;
    checkLimit(count, MAX_IMAGES, 'The number of free numbers of a frame');
    const stream = input.bytes(input.u32());
    left -= frames * count;
    if (left < 0) checkLimit(MAX_LATENT_ELEMENTS - left, MAX_LATENT_ELEMENTS, 'The number of free numbers in the latents');
    checkLimit((frames + 1) * count, stream.length * MAX_SYMBOLS_PER_BYTE, `The number of free numbers in a stream of ${stream.length} bytes`);
    return { count, levels: readLevels(decodeIntegers(stream, (frames + 1) * count, count), frames, count) };
  });
}

function readLevels(values: Int32Array, frames: number, count: number): Int16Array {
  const levels = new Int16Array(frames * count);
  for (let k = 0; k < count; k++) {
    const order = values[k] as number;
    if (order < 0 || order >= ORDERS) throw malformed('The free numbers of the latents are foretold in a way this format does not have.');
    for (let t = 0; t < frames; t++) {
      const level = foretold(levels, count, k, t, order) + (values[(t + 1) * count + k] as number);
      if (level < -LARGEST || level > LARGEST) throw malformed('A free number of the latents does not fit into 16 bits.');
      levels[t * count + k] = level;
    }
  }
  return levels;
}

function foretold(levels: Int16Array, count: number, k: number, t: number, order: number): number {
  const before = t > 0 ? (levels[(t - 1) * count + k] as number) : 0;
  if (order === 0) return 0;
  if (order === 1 || t < 2) return before;
  return Math.max(-LARGEST, Math.min(LARGEST, 2 * before - (levels[(t - 2) * count + k] as number)));
}

/** The order whose residuals are shortest. */
function bestOrder(levels: Int16Array, count: number, k: number): number {
  const lengths = Array.from({ length: ORDERS }, (_, order) => {
    let sum = 0;
    for (let t = 0; t * count < levels.length; t++) sum += Math.log2(1 + Math.abs((levels[t * count + k] as number) - foretold(levels, count, k, t, order)));
    return sum;
  });
  return lengths.indexOf(Math.min(...lengths));
}
