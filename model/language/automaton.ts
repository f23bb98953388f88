/**
 * The automaton that says which bytes may come next under a grammar. Its states are made as they are met and equal ones are one object, so
 * that what is asked often (which tokens fit inside a string?) is worked out once. A state is a set of stacks: what may still be to come. A
 * repetition on a stack is a counter and not so many copies, and stacks that differ in such a counter alone are one with a range.
 */
import { MachineNode, repeat, sequence, type Grammar, type MachineText, type Member, type Members, type Repeat } from './grammar.js';
import { COLON, COMMA, END_OF_OBJECT } from './object-text.js';
import { SchemaError } from './schema-error.js';
import { shortest } from './shortest.js';

/** Ways to go on that a state keeps apart. A union of a hundred objects that begin alike is a large one; each way costs time at every byte. */
const MAX_STACKS = 512;
/** States, stacks and places of machines after which an answer goes on in a fresh automaton: some 20 MB. */
const MAX_KEPT = 20_000;
/** The same within one token, where nothing can be given back. Real schemas need some hundreds. */
const MAX_KEPT_IN_STEP = 60_000;

/** What is still to come, first the top. */
export interface Stack {
  readonly id: number;
  readonly top: Grammar;
  readonly rest: Stack | null;
  /** The least bytes to its end. */
  readonly size: number;
}

/** A state of the automaton. Equal states are one object, so results may be kept by state. */
export interface GrammarState {
  /** Whether what was read is whole. */
  readonly whole: boolean;
  /** Whether nothing more may follow. */
  readonly over: boolean;
  /** The least bytes that make it whole. */
  readonly size: number;
  /** The state after one more byte; null where it may not come. */
  next(byte: number): GrammarState | null;
}

/** @returns the state before the first byte. @throws RangeError for a grammar that can never be whole */
export function startOf(grammar: Grammar): GrammarState {
  return new Automaton().start(grammar);
}

/** A byte of the shortest way to the end, and what is to come after it. */
export interface ShortestStep {
  readonly byte: number;
  readonly next: Stack | null;
}

export class Automaton {
  /** Stacks that were looked at so far: what the automaton has cost. */
  work = 0;
  /** By what they rest on and their top. */
  readonly #stacks = new Map<Stack | null, Map<Grammar, Stack>>();
  #made = 0;
  readonly #states = new Map<string, State>();
  readonly #repeats = new Map<string, Repeat>();
  /** The names that may come next in an object, as one machine. */
  readonly #names = new Map<Member, { readonly names: MachineNode; readonly mayEnd: boolean }>();
  /** Names in all of `#names`. */
  #entries = 0;

  start(grammar: Grammar): State {
    const state = this.stateOf([this.push(grammar, null)]);
    if (state === null) throw new RangeError('the grammar has no text that ends');
    return state;
  }

  /** Whether it has grown so much that its states should be left behind; see `take`. */
  get crowded(): boolean {
    return this.#kept > MAX_KEPT;
  }

  /** The state of another automaton in this one. */
  take(state: State): State {
    return this.#rebuilt(state, (top) => top);
  }

  /**
   * A state that allows the same next `bytes` bytes, the same for many: counters that no such text can bring to their bounds are not told apart.
   */
  blurred(state: State, bytes: number): State {
    const blur = ({ of, min, max }: Repeat): Repeat => repeat(of, Math.min(min, bytes + 1), max > bytes ? Infinity : max);
    return this.#rebuilt(state, (top) => (top.kind === 'repeat' && (top.min > bytes || (top.max > bytes && top.max < Infinity)) ? blur(top) : top));
  }

  #rebuilt(state: State, change: (top: Grammar) => Grammar): State {
    const stacks = state.stacks.map((stack) => {
      const tops: Grammar[] = [];
      for (let at: Stack | null = stack; at !== null; at = at.rest) tops.push(change(at.top));
      return tops.reduceRight<Stack | null>((rest, top) => this.push(top, rest), null);
    });
    return this.stateOf(state.whole ? [...stacks, null] : stacks) as State;
  }

  get #kept(): number {
    return this.#made + this.#states.size + this.#entries;
  }

  push(given: Grammar, rest: Stack | null): Stack | null {
    if (given.kind === 'sequence') return given.parts.reduceRight<Stack | null>((stack, part) => this.push(part, stack), rest);
    if (given.kind === 'repeat' && given.max === 0) return rest;
    const top = given.kind === 'repeat' ? this.#repeat(given) : given;
    let above = this.#stacks.get(rest);
    if (above === undefined) this.#stacks.set(rest, (above = new Map<Grammar, Stack>()));
    let stack = above.get(top);
    if (stack === undefined) {
      if (this.#kept > MAX_KEPT_IN_STEP) throw new SchemaError('#', `needs more than ${MAX_KEPT_IN_STEP} states of a grammar for one token: simplify its alternatives`);
      above.set(top, (stack = { id: ++this.#made, top, rest, size: shortest(top) + (rest?.size ?? 0) }));
    }
    return stack;
  }

  /** The state in which each of `stacks` may be what is still to come; null stands for nothing. null where none can come to its end. */
  stateOf(stacks: readonly (Stack | null)[]): State | null {
    const open: Stack[] = [];
    const seen = new Set<Stack>();
    let whole = false;
    // Until every stack begins with a byte.
    for (const waiting = [...stacks]; waiting.length > 0; ) {
      this.work += 1;
      const stack = waiting.pop() ?? null;
      if (stack === null) whole = true;
      else if (stack.size < Infinity && !seen.has(stack)) {
        seen.add(stack);
        if (stack.top.kind === 'machine' && stack.top.next.size > 0) open.push(stack);
        for (const opened of this.#opened(stack)) waiting.push(opened);
      }
    }
    if (open.length === 0 && !whole) return null;
    const merged = open.length > 1 ? this.#merged(open) : open;
    if (merged.length > MAX_STACKS) throw new SchemaError('#', `has more than ${MAX_STACKS} alternatives that go on alike: let them differ in their first property`);
    const key = `${whole ? '.' : ''}${merged.map(({ id }) => id).sort((a, b) => a - b).join(' ')}`;
    let state = this.#states.get(key);
    if (state === undefined) this.#states.set(key, (state = new State(this, merged, whole)));
    return state;
  }

  /** The first byte of the shortest way to the end of a stack that has one; null where nothing is to come. */
  shortestStep(stack: Stack | null): ShortestStep | null {
    for (let at = stack; at !== null; ) {
      this.work += 1;
      const { top, rest, size } = at;
      if (top.kind === 'machine') {
        const left = shortest(top);
        if (top.then === null || shortest(top.then) !== left) {
          for (const [byte, node] of top.next) if (1 + shortest(node) === left) return { byte, next: this.push(node, rest) };
        }
      }
      const opened = this.#opened(at).find((other) => (other?.size ?? 0) === size);
      if (opened === undefined) throw new Error('a stack without a shortest way');
      at = opened;
    }
    return null;
  }

  #opened({ top, rest }: Stack): (Stack | null)[] {
    switch (top.kind) {
      case 'machine':
        return top.then === null ? [] : [this.push(top.then, rest)];
      case 'sequence':
        return [this.push(top, rest)];
      case 'choice':
        return top.options.map((option) => this.push(option, rest));
      case 'later':
        return [this.push(top.get(), rest)];
      case 'repeat': {
        const again = this.push(top.of, this.push(repeat(top.of, Math.max(0, top.min - 1), top.max - 1), rest));
        return top.min === 0 ? [rest, again] : [again];
      }
      case 'members':
        return this.#openedMembers(top, rest);
    }
  }

  #openedMembers({ member, begun }: Members, rest: Stack | null): (Stack | null)[] {
    let known = this.#names.get(member);
    if (known === undefined) {
      const texts: MachineText[] = [];
      let at: Member | null = member;
      for (let stop = false; at !== null && !stop; at = at.next) {
        stop = at.needed;
        this.#entries += 1;
        // A value that cannot be written is not begun.
        if (shortest(at.value) < Infinity) texts.push({ bytes: at.name, then: sequence(COLON, at.value, at.next?.more ?? END_OF_OBJECT) });
        if (stop) break;
      }
      this.#names.set(member, (known = { names: new MachineNode(texts), mayEnd: at === null }));
    }
    const names = this.push(known.names, rest);
    return [...(known.mayEnd ? [this.push(END_OF_OBJECT, rest)] : []), begun ? this.push(COMMA, names) : names];
  }

  /** Equal counters are one grammar. */
  #repeat(given: Repeat): Repeat {
    const key = `${given.of.id} ${given.min} ${given.max}`;
    let made = this.#repeats.get(key);
    if (made === undefined) this.#repeats.set(key, (made = given));
    return made;
  }

  /** Stacks that are in the same place and differ only in how often what they are in may still be repeated become one, where the counts meet. */
  #merged(open: readonly Stack[]): Stack[] {
    const merged: Stack[] = [];
    const counted = new Map<string, Stack[]>();
    for (const stack of open) {
      if (stack.rest?.top.kind !== 'repeat') {
        merged.push(stack);
        continue;
      }
      const key = `${stack.top.id} ${stack.rest.top.of.id} ${stack.rest.rest?.id ?? 0}`;
      const alike = counted.get(key);
      if (alike === undefined) counted.set(key, [stack]);
      else alike.push(stack);
    }
    for (const alike of counted.values()) {
      if (alike.length === 1) merged.push(alike[0] as Stack);
      else merged.push(...this.#mergedCounts(alike));
    }
    return merged;
  }

  #mergedCounts(alike: readonly Stack[]): Stack[] {
    const ranges = alike.map(({ rest }) => rest?.top as Repeat).sort((a, b) => a.min - b.min);
    const [{ top, rest }, { of }] = [alike[0] as Stack, ranges[0] as Repeat];
    const joined: { min: number; max: number }[] = [];
    for (const { min, max } of ranges) {
      const last = joined.at(-1);
      if (last !== undefined && min <= last.max + 1) last.max = Math.max(last.max, max);
      else joined.push({ min, max });
    }
    return joined.map(({ min, max }) => this.push(top, this.push(repeat(of, min, max), rest?.rest ?? null)) as Stack);
  }
}

export class State implements GrammarState {
  readonly size: number;
  readonly #next: (State | null | undefined)[] = [];
  /** What is to come after each place of a machine: many stacks are in one place. */
  readonly #places = new Map<MachineNode, (Stack | null)[]>();
  /** By the places that a byte leads to: most bytes lead to few. */
  readonly #alike = new Map<string, State | null>();

  constructor(
    readonly automaton: Automaton,
    readonly stacks: readonly Stack[],
    readonly whole: boolean,
  ) {
    this.size = whole ? 0 : Math.min(...stacks.map(({ size }) => size));
    for (const { top, rest } of stacks) {
      const rests = this.#places.get(top as MachineNode);
      if (rests === undefined) this.#places.set(top as MachineNode, [rest]);
      else rests.push(rest);
    }
  }

  get over(): boolean {
    return this.stacks.length === 0;
  }

  next(byte: number): State | null {
    const known = this.#next[byte];
    if (known !== undefined) return known;
    let key = '';
    const ways: [MachineNode, readonly (Stack | null)[]][] = [];
    this.automaton.work += this.#places.size;
    for (const [place, rests] of this.#places) {
      const node = place.next.get(byte);
      if (node === undefined) continue;
      ways.push([node, rests]);
      key += `${place.id}:${node.id} `;
    }
    return (this.#next[byte] = ways.length === 0 ? null : this.#after(key, ways));
  }

  #after(key: string, ways: readonly (readonly [MachineNode, readonly (Stack | null)[]])[]): State | null {
    let next = this.#alike.get(key);
    if (next !== undefined) return next;
    const stacks = ways.flatMap(([node, rests]) => rests.map((rest) => this.automaton.push(node, rest)));
    this.#alike.set(key, (next = this.automaton.stateOf(stacks)));
    return next;
  }
}
