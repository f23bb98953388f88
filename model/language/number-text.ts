/** Numbers as JSON writes them, without exponents, inside a range: exact automata over their digits. */
import { EMPTY, MachineNode, type Grammar } from './grammar.js';

/** Digits before and after the point together: what a double holds exactly, so that no rounding moves a number over a bound. */
export const MAX_DIGITS = 15;

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

export interface NumberRange {
  readonly integer: boolean;
  readonly low: Bound | null;
  readonly high: Bound | null;
}

/** All numbers in a range; where there are none, a grammar without texts. */
export function numberIn({ integer, low, high }: NumberRange): Grammar {
  const root = new MachineNode();
  const below = (bound: Bound | null, value: number): boolean => bound !== null && bound.value < value;
  if (!below(high, 0)) add(root, magnitudes(low !== null && low.value >= 0 ? low : null, high, integer));
  // Zero has no sign.
  if (low === null || low.value < 0) add(root.after(0x2d), magnitudes(below(high, 0) ? negated(high) : { value: 0, exclusive: true }, negated(low), integer));
  return root;
}

function add(root: MachineNode, node: MachineNode): void {
  for (const [byte, to] of node.next) root.next.set(byte, to);
}

const negated = (bound: Bound | null): Bound | null => (bound === null ? null : { value: -bound.value, exclusive: bound.exclusive });

/** A bound by its digits, without leading zeros before and trailing ones after the point. */
interface Digits {
  readonly whole: string;
  readonly fraction: string;
  readonly exclusive: boolean;
}

function digitsOf({ value, exclusive }: Bound): Digits {
  const [mantissa = '', exponent = '0'] = value.toString().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const point = whole.length + Number(exponent);
  const digits = `${'0'.repeat(Math.max(0, -point))}${whole}${fraction}`.padEnd(point, '0');
  const at = Math.max(0, point);
  return { whole: digits.slice(0, at).replace(/^0+(?=.)/, '') || '0', fraction: digits.slice(at).replace(/0+$/, ''), exclusive };
}

/**
 * How the digits so far compare with as many of a bound's: less, the same, more. Open: the bound is kept whatever follows; null: it is broken.
 */
type Side = -1 | 0 | 1 | 'open' | null;

/** The numbers from `low` to `high`, both at least 0. */
function magnitudes(low: Bound | null, high: Bound | null, integer: boolean): MachineNode {
  return new Magnitudes(low === null ? null : digitsOf(low), high === null ? null : digitsOf(high), integer).start();
}

/** A place from which nothing leads on yet. Places that lead on are made after those they lead to, so each knows its shortest way at once. */
function place(): MachineNode {
  const node = new MachineNode();
  node.least = Infinity;
  return node;
}

function end(node: MachineNode): void {
  node.then = EMPTY;
  node.least = 0;
}

/** Where no number of the range can come after a digit, it may not come either. */
function lead(node: MachineNode, byte: number, to: MachineNode): void {
  const least = 1 + (to.least ?? Infinity);
  if (least === Infinity) return;
  node.next.set(byte, to);
  node.least = Math.min(node.least ?? Infinity, least);
}

/** Ends and fractions that no bound limits any more, by the digits that are left. */
const fractions: MachineNode[] = [place()];
end(fractions[0] as MachineNode);
function anyFraction(left: number): MachineNode {
  for (let digits = fractions.length; digits <= left; digits++) {
    const node = place();
    end(node);
    for (let digit = 0; digit < 10; digit++) lead(node, 0x30 + digit, fractions[digits - 1] as MachineNode);
    fractions.push(node);
  }
  return fractions[left] as MachineNode;
}

class Magnitudes {
  readonly #made = new Map<string, MachineNode>();

  constructor(
    private readonly low: Digits | null,
    private readonly high: Digits | null,
    private readonly integer: boolean,
  ) {}

  start(): MachineNode {
    const root = place();
    for (let digit = 0; digit < 10; digit++) {
      const low = this.low === null ? 'open' : compared(digit, this.low.whole[0]);
      const high = this.high === null ? 'open' : compared(digit, this.high.whole[0]);
      lead(root, 0x30 + digit, this.#whole(1, digit === 0, low, high));
    }
    return root;
  }

  /** After `count` digits before the point. */
  #whole(count: number, zero: boolean, low: Side, high: Side): MachineNode {
    const key = `${count} ${zero} ${low} ${high}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const node = place();
    this.#made.set(key, node);
    const [least, most] = [atPoint(low, count, this.low), atPoint(high, count, this.high)];
    const [lowEnd, highEnd]: [Side, Side] = [least === 1 ? 'open' : least === -1 ? null : least, most === -1 ? 'open' : most === 1 ? null : most];
    if (lowEnd !== null && highEnd !== null) {
      if (this.#mayEnd(0, lowEnd, highEnd)) end(node);
      if (!this.integer && count < MAX_DIGITS) {
        const point = place();
        for (const [byte, to] of this.#fraction(count, 0, lowEnd, highEnd).next) lead(point, byte, to);
        lead(node, 0x2e, point);
      }
    }
    if (zero || count === MAX_DIGITS) return node;
    for (let digit = 0; digit < 10; digit++) {
      const [a, b] = [further(low, digit, count, this.low), further(high, digit, count, this.high)];
      // More digits than a bound has are more than it.
      if (b !== null) lead(node, 0x30 + digit, this.#whole(count + 1, false, a ?? 'open', b));
    }
    return node;
  }

  /** After `count` digits before the point and `after` behind it. A side is open, or the same so far. */
  #fraction(count: number, after: number, low: Side, high: Side): MachineNode {
    if (low === 'open' && high === 'open') return anyFraction(MAX_DIGITS - count - after);
    const key = `${count}.${after} ${low} ${high}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const node = place();
    this.#made.set(key, node);
    if (after > 0 && this.#mayEnd(after, low, high)) end(node);
    if (count + after === MAX_DIGITS) return node;
    for (let digit = 0; digit < 10; digit++) {
      const least = low === 'open' ? 1 : compared(digit, this.low?.fraction[after] ?? '0');
      const most = high === 'open' ? -1 : compared(digit, this.high?.fraction[after] ?? '0');
      if (least === -1 || most === 1) continue;
      lead(node, 0x30 + digit, this.#fraction(count, after + 1, least === 1 ? 'open' : 0, most === -1 ? 'open' : 0));
    }
    return node;
  }

  #mayEnd(after: number, low: Side, high: Side): boolean {
    const longer = (bound: Digits | null): boolean => (bound?.fraction.length ?? 0) > after;
    const lowKept = low === 'open' || (!longer(this.low) && this.low?.exclusive === false);
    return lowKept && (high === 'open' || longer(this.high) || this.high?.exclusive === false);
  }
}

function compared(digit: number, other = '0'): -1 | 0 | 1 {
  return Math.sign(digit - Number(other)) as -1 | 0 | 1;
}

/** How a number of `count` digits before the point compares with a bound there. */
function atPoint(side: Side, count: number, bound: Digits | null): Side {
  if (side === 'open' || bound === null) return 'open';
  return count < bound.whole.length ? -1 : side;
}

/** After one digit more than `count`; null where the bound has none there. */
function further(side: Side, digit: number, count: number, bound: Digits | null): Side {
  if (side === 'open' || bound === null) return 'open';
  if (count >= bound.whole.length) return null;
  return side === 0 ? compared(digit, bound.whole[count]) : side;
}
