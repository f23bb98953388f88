/**
 * An adaptive binary range coder (the carry handling is Schindler's and LZMA's). A probability is a 16-bit chance of the bit being 0
 * with a count of how often it was used: it moves by 1/(n + 1.5) of the error at its n-th use, so that a new one learns in a few bits,
 * and by 1/SLOWEST later.
 */

const TOP = 2 ** 24;
const SLOWEST = 126;
/** RATES[n]: the step after n uses, as a fraction of 2^14. */
const RATES: Uint16Array = Uint16Array.from({ length: SLOWEST + 1 }, (_, n) => Math.round(2 ** 14 / (n + 1.5)));

/** A bank of adaptive bit probabilities, addressed by context. */
export class BitModels {
  /** (contexts) chance of a 0, of 65,536, kept inside [32, 65504] by `learn`, in the upper bits, and the count of uses in the lower 8. */
  readonly #states: Int32Array;

  constructor(contexts: number) {
    this.#states = new Int32Array(contexts).fill(0x8000 << 8);
  }

  zero(context: number): number {
    return (this.#states[context] as number) >> 8;
  }

  learn(context: number, bit: number): void {
    const state = this.#states[context] as number;
    const uses = state & 0xff;
    const zero = state >> 8;
    const goal = bit === 0 ? 65_504 : 32;
    const learned = zero + (((goal - zero) * (RATES[uses] as number)) >> 14);
    this.#states[context] = (learned << 8) | (uses < SLOWEST ? uses + 1 : uses);
  }
}

export class RangeEncoder {
  #low = 0;
  #range = 0xffffffff;
  #held = 0;
  #heldCount = 0;
  #bytes = new Uint8Array(256);
  #length = 0;

  bit(models: BitModels, context: number, bit: number): void {
    const bound = ((this.#range >>> 12) * (models.zero(context) >>> 4)) >>> 0;
    if (bit === 0) {
      this.#range = bound;
    } else {
      this.#low += bound;
      this.#range = (this.#range - bound) >>> 0;
    }
    models.learn(context, bit);
    while (this.#range < TOP) {
      this.#range = (this.#range * 256) >>> 0;
      this.#shift();
    }
  }

  /** Ends the stream with the shortest bytes that still decode; the decoder reads zeros past the end. */
  finish(): Uint8Array {
    for (let bits = 32; bits >= 0; bits--) {
      const unit = 2 ** bits;
      const value = Math.ceil(this.#low / unit) * unit;
      if (value < this.#low + this.#range) {
        this.#low = value;
        break;
      }
    }
    for (let i = 0; i < 5; i++) this.#shift();
    let end = this.#length;
    while (end > 1 && this.#bytes[end - 1] === 0) end--;
    // The first byte is always the initial held 0.
    return this.#bytes.slice(1, end);
  }

  #shift(): void {
    if (this.#low < 0xff000000 || this.#low >= 2 ** 32) {
      const carry = this.#low >= 2 ** 32 ? 1 : 0;
      this.#emit(this.#held + carry);
      for (; this.#heldCount > 0; this.#heldCount--) this.#emit(0xff + carry);
      this.#held = (this.#low / TOP) & 0xff;
    } else {
      this.#heldCount++;
    }
    this.#low = (this.#low % TOP) * 256;
  }

  #emit(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = byte;
  }
}

export class RangeDecoder {
  readonly #bytes: Uint8Array;
  #at = 0;
  // Kept signed, as small integers: unsigned 32-bit fields would be boxed.
  #range = -1;
  #code = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#code = (this.#code << 8) | this.#next();
  }

  bit(models: BitModels, context: number): number {
    let range = this.#range >>> 0;
    let code = this.#code >>> 0;
    const bound = Math.imul(range >>> 12, models.zero(context) >>> 4) >>> 0;
    let bit = 0;
    if (code < bound) {
      range = bound;
    } else {
      code -= bound;
      range -= bound;
      bit = 1;
    }
    models.learn(context, bit);
    while (range < TOP) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | this.#next()) >>> 0;
    }
    this.#range = range | 0;
    this.#code = code | 0;
    return bit;
  }

  #next(): number {
    return this.#at < this.#bytes.length ? (this.#bytes[this.#at++] as number) : 0;
  }
}
