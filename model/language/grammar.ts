/**
 * Grammars over bytes. They may be recursive: `later` names one that is still to be made. What is regular and small (a literal, one of many
 * texts, a character, a number in a range) is a machine: a deterministic automaton that stands for one place however many ways lead on.
 */

/** Every grammar has a number of its own, by which equal states of an automaton are found. */
let lastId = 0;
const newId = (): number => ++lastId;

interface Known {
  /** The least bytes it can be written in, once that was asked for; see `shortest`. */
  least?: number;
}

export interface Sequence extends Known {
  readonly kind: 'sequence';
  readonly id: number;
  readonly parts: readonly Grammar[];
}

export interface Choice extends Known {
  readonly kind: 'choice';
  readonly id: number;
  readonly options: readonly Grammar[];
}

export interface Repeat extends Known {
  readonly kind: 'repeat';
  readonly id: number;
  readonly of: Grammar;
  readonly min: number;
  /** May be Infinity. */
  readonly max: number;
}

export interface Later extends Known {
  readonly kind: 'later';
  readonly id: number;
  readonly get: () => Grammar;
}

/** One of the texts of a machine, and what belongs to it after its end. */
export interface MachineText {
  readonly bytes: Uint8Array;
  readonly then: Grammar;
}

/** A place in a machine, which stands for all that may come from there on. */
export class MachineNode implements Known {
  readonly kind = 'machine';
  readonly id = newId();
  /** What follows where the machine may end here; null: it may not. */
  then: Grammar | null = null;
  least?: number;
  #next: Map<number, MachineNode> | null = null;

  /**
   * @param texts where the machine is a choice of texts: those that have led here. Of many only those places are made that are reached
   * @param depth bytes of them that were read
   */
  constructor(
    readonly texts: readonly MachineText[] = [],
    readonly depth = 0,
  ) {
    for (const { bytes, then } of texts) if (bytes.length === depth) this.then = then;
  }

  /** By byte. */
  get next(): Map<number, MachineNode> {
    return (this.#next ??= this.#places());
  }

  /** The node after one more byte, made where there is none. */
  after(byte: number): MachineNode {
    let node = this.next.get(byte);
    if (node === undefined) this.next.set(byte, (node = new MachineNode()));
    return node;
  }

  #places(): Map<number, MachineNode> {
    const groups = new Map<number, MachineText[]>();
    for (const text of this.texts) {
      const byte = text.bytes[this.depth];
      if (byte === undefined) continue;
      const group = groups.get(byte);
      if (group === undefined) groups.set(byte, [text]);
      else group.push(text);
    }
    return new Map([...groups].map(([byte, group]) => [byte, new MachineNode(group, this.depth + 1)]));
  }
}

/** A member of an object that is written in a fixed order, and the members after it. */
export interface Member {
  readonly id: number;
  /** Its name in UTF-8, with quotes and escapes as JSON has them. */
  readonly name: Uint8Array;
  readonly needed: boolean;
  readonly value: Grammar;
  readonly next: Member | null;
  /** What is left of the object when no member, or one, was written before: this one and the next ones as far as they are needed or wanted, and the end. */
  readonly first: Members;
  readonly more: Members;
}

export interface Members extends Known {
  readonly kind: 'members';
  readonly id: number;
  readonly member: Member;
  readonly begun: boolean;
}

export type Grammar = MachineNode | Sequence | Choice | Repeat | Later | Members;

const utf8 = new TextEncoder();

export const sequence = (...parts: Grammar[]): Grammar => ({ kind: 'sequence', id: newId(), parts });
export const choice = (...options: Grammar[]): Grammar => ({ kind: 'choice', id: newId(), options });
/** `max` may be Infinity. */
export const repeat = (of: Grammar, min: number, max: number): Repeat => ({ kind: 'repeat', id: newId(), of, min, max });
export const optional = (of: Grammar): Grammar => repeat(of, 0, 1);
/** A grammar that is only made when it is reached: how grammars name themselves. */
export const later = (make: () => Grammar): Grammar => {
  let made: Grammar | undefined;
  return { kind: 'later', id: newId(), get: () => (made ??= make()) };
};

/** Nothing at all: where a machine may simply end. */
export const EMPTY = sequence();

type Ranges = readonly (readonly [first: number, last: number])[];

/** A place from which bytes lead to other places. The ranges must not overlap. */
export function branch(...ways: readonly (readonly [ranges: Ranges, to: MachineNode])[]): MachineNode {
  const node = new MachineNode();
  for (const [ranges, to] of ways) {
    for (const [first, last] of ranges) for (let byte = first; byte <= last; byte++) node.next.set(byte, to);
  }
  return node;
}

/** A place where a machine ends. */
export function ending(): MachineNode {
  const node = new MachineNode();
  node.then = EMPTY;
  return node;
}

/** Exactly one of the texts. */
export function oneOf(texts: readonly string[]): Grammar {
  return new MachineNode(texts.map((text) => ({ bytes: utf8.encode(text), then: EMPTY })));
}

export const literal = (text: string): Grammar => oneOf([text]);

export function member(name: string, needed: boolean, value: Grammar, next: Member | null): Member {
  const made = { id: newId(), name: utf8.encode(JSON.stringify(name)), needed, value, next };
  const first: { -readonly [K in keyof Members]?: Members[K] } = { kind: 'members', id: newId(), begun: false };
  const more: { -readonly [K in keyof Members]?: Members[K] } = { kind: 'members', id: newId(), begun: true };
  const whole: Member = { ...made, first: first as Members, more: more as Members };
  first.member = more.member = whole;
  return whole;
}
