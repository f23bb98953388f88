/**
 * Coefficients to levels, the way the coder will write them: each level is the one whose squared error and bits together cost least, and a group whose
 * levels are not worth their bits is left empty. Gives the tokens to write, and what they cost.
 */
import {
  CHANNELS, CLASSES, CLASS_OF, CONTEXTS, ESCAPE, GROUP, GROUP_SIZE, LARGEST_SUM, MAX_COUNTED, MAX_LEVEL, Surroundings, TOKENS, WEIGHTS,
  type Extents, type ImageShape,
} from './layout.js';

export interface Rounding {
  /** Distance between levels. */
  readonly step: number;
  /** Squared error, in squared steps, that one bit is worth. */
  readonly price: number;
}

/** Bits of every token in every context: (CONTEXTS, TOKENS). */
export type Costs = Float32Array;

/** Tokens and plain bits in the order in which they are decoded, and what they stand for. */
export interface RoundedImages {
  readonly shape: ImageShape;
  /** (n) context * TOKENS + token. */
  readonly tokens: Uint16Array;
  /** (m) bits that are not coded: signs, and what is above ESCAPE. */
  readonly plain: Uint8Array;
  /** Extents that the groups were looked at within, and those that would have been enough. */
  readonly extents: readonly Extents[];
  readonly used: readonly Extents[];
  /** (CONTEXTS * TOKENS) how often each token comes in each context. */
  readonly counts: Uint32Array;
  /** Of each image: sum of squared levels; squared error that is left, and that its levels save, in squared steps; and bits by the costs given. */
  readonly images: readonly { readonly squares: number; readonly error: number; readonly saved: number; readonly bits: number }[];
}

/** Coefficients smaller than this, in steps, never pay for a level. */
const LEAST = 0.55;

/** Costs before anything is counted: magnitudes that fall geometrically, with the mean that their class names. */
export function firstCosts(): Costs {
  const costs = new Float32Array(CONTEXTS * TOKENS);
  for (let size = 0; size < CLASSES; size++) {
    const expected = 2 ** ((size - 19.5) / 2.5);
    const empty = Math.exp(-Math.min(expected, 20));
    costs[size * TOKENS] = -Math.log2(empty);
    costs[size * TOKENS + 1] = -Math.log2(Math.max(1 - empty, 1e-4));
    const ratio = expected / (1 + expected);
    for (let token = 0; token < TOKENS; token++) {
      const chance = token === ESCAPE ? ratio ** token : (1 - ratio) * ratio ** token;
      costs[(CLASSES + size) * TOKENS + token] = Math.min(24, -Math.log2(Math.max(chance, 1e-9)));
    }
  }
  return costs;
}

/** Costs of tokens that come as often as counted; what never came costs as much as what came half a time. */
export function countedCosts(counts: Uint32Array): Costs {
  const costs = new Float32Array(counts.length);
  for (let row = 0; row < counts.length; row += TOKENS) {
    let total = 0.5;
    for (let token = 0; token < TOKENS; token++) total += counts[row + token] as number;
    for (let token = 0; token < TOKENS; token++) costs[row + token] = Math.min(14, Math.log2(total / Math.max(0.5, counts[row + token] as number)));
  }
  return costs;
}

/** Bits that are not coded behind the token of a magnitude above 0. */
function plainBits(magnitude: number): number {
  return magnitude < ESCAPE ? 1 : 2 + 2 * (31 - Math.clz32(magnitude - ESCAPE + 1));
}

/** Groups of an image with any coefficient that may get a level. */
function reach(image: Float32Array, shape: ImageShape, least: number): Extents {
  const extents = new Uint8Array(2 * CHANNELS);
  const { patch } = shape;
  const rowLength = shape.columns * patch * CHANNELS;
  for (let place = 0; place < image.length; place++) {
    const value = image[place] as number;
    if (value < least && value > -least) continue;
    const channel = place % CHANNELS;
    const y = Math.floor(place / rowLength) % patch;
    const x = Math.floor((place % rowLength) / CHANNELS) % patch;
    extents[2 * channel] = Math.max(extents[2 * channel] as number, (y >> 2) + 1);
    extents[2 * channel + 1] = Math.max(extents[2 * channel + 1] as number, (x >> 2) + 1);
  }
  return extents;
}

/**
 * @param images (K) coefficients of an image each, in the order of LevelImages' places
 * @param within extents that no level may lie beyond; default: where any coefficient may get a level
 */
export function roundImages(
  shape: ImageShape, images: readonly Float32Array[], { step, price }: Rounding, costs: Costs, within?: readonly Extents[],
): RoundedImages {
  const around = new Surroundings(shape);
  const writer = new Tokens();
  const extents: Extents[] = [];
  const reachedBy: Extents[] = [];
  const stats = images.map((image, k) => {
    const reached = within?.[k] ?? reach(image, shape, LEAST * step);
    const used = new Uint8Array(2 * CHANNELS);
    const result = roundImage(image, reached, used, around, { step, price }, costs, writer);
    extents.push(reached);
    reachedBy.push(used);
    around.nextImage();
    return result;
  });
  return { shape: { ...shape, count: images.length }, tokens: writer.tokens(), plain: writer.plain(), extents, used: reachedBy, counts: writer.counts, images: stats };
}

function roundImage(
  image: Float32Array, reached: Extents, used: Extents, around: Surroundings, { step, price }: Rounding, costs: Costs, writer: Tokens,
): RoundedImages['images'][number] {
  const { shape, rowStride, side } = around;
  const { rows, columns, patch } = shape;
  const group = new GroupRounder(around, costs, price);
  const scale = 1 / step;
  let [squares, saved, bits] = [0, 0, 0];
  let energy = 0;
  for (let i = 0; i < image.length; i++) energy += (image[i] as number) ** 2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const corner = (row * patch * rowStride) + column * patch * CHANNELS;
      const firstGroup = (row * columns + column) * CHANNELS * side * side;
      for (let channel = 0; channel < CHANNELS; channel++) {
        const [tall, wide] = [reached[2 * channel] as number, reached[2 * channel + 1] as number];
        for (let gy = 0; gy < tall; gy++) {
          for (let gx = 0; gx < wide; gx++) {
            const place = corner + gy * GROUP * rowStride + gx * GROUP * CHANNELS + channel;
            const index = firstGroup + (channel * side + gy) * side + gx;
            const flag = CLASS_OF[Math.min(around.groupSums[index] as number, LARGEST_SUM)] as number;
            if (!group.round(image, place, scale, flag)) {
              bits += costs[flag * TOKENS] as number;
              writer.token(flag * TOKENS);
              continue;
            }
            used[2 * channel] = Math.max(used[2 * channel] as number, gy + 1);
            used[2 * channel + 1] = Math.max(used[2 * channel + 1] as number, gx + 1);
            writer.token(flag * TOKENS + 1);
            bits += group.bits;
            saved += group.gain;
            let counted = 0;
            for (let i = 0; i < GROUP_SIZE; i++) {
              const magnitude = group.magnitudes[i] as number;
              const at = place + (i >> 2) * rowStride + (i & 3) * CHANNELS;
              const value = (image[at] as number) * scale;
              writer.magnitude(group.rows[i] as number, magnitude, value < 0);
              if (magnitude === 0) continue;
              squares += magnitude * magnitude;
              counted += Math.min(magnitude, MAX_COUNTED);
              around.add(at, magnitude, row, column, gy * GROUP + (i >> 2), gx * GROUP + (i & 3));
            }
            around.addGroup(index, counted, row, column, gy, gx);
          }
        }
      }
    }
  }
  return { squares, error: energy * scale * scale - saved, saved, bits };
}

/** Finds the levels of one group. */
class GroupRounder {
  /** Of the group rounded last: its magnitudes, the contexts they are coded in, its bits with flag and signs, and the squared error it saves. */
  readonly magnitudes = new Int32Array(GROUP_SIZE);
  readonly rows = new Int32Array(GROUP_SIZE);
  bits = 0;
  gain = 0;

  constructor(
    private readonly around: Surroundings,
    private readonly costs: Costs,
    private readonly price: number,
  ) {}

  /** Whether the group at `place` is worth its bits. */
  round(image: Float32Array, place: number, scale: number, flag: number): boolean {
    const { rowStride } = this.around;
    let largest = 0;
    for (let y = 0; y < GROUP; y++) {
      const at = place + y * rowStride;
      for (let x = 0; x < GROUP * CHANNELS; x += CHANNELS) {
        const value = image[at + x] as number;
        const size = value < 0 ? -value : value;
        if (size > largest) largest = size;
      }
    }
    if (largest * scale < LEAST) return false;
    const { costs, price, magnitudes } = this;
    this.bits = costs[flag * TOKENS + 1] as number;
    this.gain = 0;
    let any = 0;
    for (let i = 0; i < GROUP_SIZE; i++) {
      const at = place + (i >> 2) * rowStride + (i & 3) * CHANNELS;
      any |= magnitudes[i] = this.choose(i, at, Math.abs(image[at] as number) * scale);
    }
    if (any === 0) return false;
    return this.gain > price * (this.bits - (costs[flag * TOKENS] as number));
  }

  /** The magnitude of number i of the group, of the size `wanted` in steps. */
  private choose(i: number, at: number, wanted: number): number {
    const { costs, price, magnitudes, around } = this;
    let sum = around.sums[at] as number;
    // Those of the same group are not among the sums yet.
    if ((i & 3) > 0) sum += WEIGHTS.higherColumn * Math.min(magnitudes[i - 1] as number, MAX_COUNTED);
    if (i >= GROUP) sum += WEIGHTS.higherRow * Math.min(magnitudes[i - GROUP] as number, MAX_COUNTED);
    const row = (CLASSES + (CLASS_OF[Math.min(sum, LARGEST_SUM)] as number)) * TOKENS;
    this.rows[i] = row;
    let best = 0;
    let bestBits = costs[row] as number;
    let bestCost = wanted * wanted + price * bestBits;
    const highest = Math.min(MAX_LEVEL, Math.floor(wanted + 0.5));
    for (let candidate = highest; candidate > 0 && candidate >= highest - 1; candidate--) {
      const bits = (costs[row + Math.min(candidate, ESCAPE)] as number) + plainBits(candidate);
      const cost = (wanted - candidate) ** 2 + price * bits;
      if (cost < bestCost) [best, bestBits, bestCost] = [candidate, bits, cost];
    }
    this.bits += bestBits;
    this.gain += wanted * wanted - (wanted - best) ** 2;
    return best;
  }
}

/** Gathers what will be written. */
class Tokens {
  readonly counts = new Uint32Array(CONTEXTS * TOKENS);
  #tokens = new Uint16Array(1 << 16);
  #count = 0;
  #plain = new Uint8Array(1 << 16);
  #plainCount = 0;

  token(entry: number): void {
    if (this.#count === this.#tokens.length) this.#tokens = grown(this.#tokens, new Uint16Array(2 * this.#count));
    this.#tokens[this.#count++] = entry;
    this.counts[entry]!++;
  }

  magnitude(row: number, magnitude: number, negative: boolean): void {
    this.token(row + (magnitude < ESCAPE ? magnitude : ESCAPE));
    if (magnitude === 0) return;
    this.#bit(negative ? 1 : 0);
    if (magnitude < ESCAPE) return;
    const more = magnitude - ESCAPE + 1;
    const length = 31 - Math.clz32(more);
    for (let i = 0; i < length; i++) this.#bit(1);
    this.#bit(0);
    for (let i = length - 1; i >= 0; i--) this.#bit((more >> i) & 1);
  }

  tokens(): Uint16Array {
    return this.#tokens.subarray(0, this.#count);
  }

  plain(): Uint8Array {
    return this.#plain.subarray(0, this.#plainCount);
  }

  #bit(bit: number): void {
    if (this.#plainCount === this.#plain.length) this.#plain = grown(this.#plain, new Uint8Array(2 * this.#plainCount));
    this.#plain[this.#plainCount++] = bit;
  }
}

function grown<Data extends Uint8Array | Uint16Array>(old: Data, larger: Data): Data {
  larger.set(old);
  return larger;
}

/** Bits of all that is written, by the chances that its own counts give: tables and header not among them. */
export function countedBits({ counts, plain }: RoundedImages): number {
  let bits = plain.length;
  for (let row = 0; row < counts.length; row += TOKENS) {
    const total = counts.subarray(row, row + TOKENS).reduce((sum, count) => sum + count, 0);
    for (const count of counts.subarray(row, row + TOKENS)) if (count > 0) bits -= count * Math.log2(count / total);
  }
  return bits;
}
