/**
 * Grammars over bytes, and the automaton that says which bytes may come next. Grammars may be recursive; the automaton's states are made as
 * they are met, so that what is asked often (which tokens fit inside a string?) is worked out once.
 */

export type Grammar =
  | { readonly kind: 'byte'; readonly set: ReadonlySet<number> }
  | { readonly kind: 'sequence'; readonly parts: readonly Grammar[] }
  | { readonly kind: 'choice'; readonly options: readonly Grammar[] }
  | { readonly kind: 'repeat'; readonly of: Grammar; readonly min: number; readonly max: number }
  | { readonly kind: 'later'; readonly get: () => Grammar };

const utf8 = new TextEncoder();

export const sequence = (...parts: Grammar[]): Grammar => ({ kind: 'sequence', parts });
export const choice = (...options: Grammar[]): Grammar => ({ kind: 'choice', options });
/** `max` may be Infinity. */
export const repeat = (of: Grammar, min: number, max: number): Grammar => ({ kind: 'repeat', of, min, max });
export const optional = (of: Grammar): Grammar => repeat(of, 0, 1);
/** A grammar that is only made when it is reached: how grammars name themselves. */
export const later = (make: () => Grammar): Grammar => {
  let made: Grammar | undefined;
  return { kind: 'later', get: () => (made ??= make()) };
};
export const bytes = (...ranges: readonly (readonly [first: number, last: number])[]): Grammar => ({
  kind: 'byte',
  set: new Set(ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))),
});
const SINGLE = Array.from({ length: 256 }, (_, byte) => bytes([byte, byte]));
export const literal = (text: string): Grammar => sequence(...Array.from(utf8.encode(text), (byte) => SINGLE[byte] as Grammar));
/** Exactly one of the texts. */
export const oneOf = (texts: readonly string[]): Grammar => choice(...texts.map(literal));

/** What is still to come, first the top: nodes are shared and equal ones are one. */
interface Stack {
  readonly id: number;
  readonly top: Grammar;
  /** Of a repeat: how often it has been taken, no further than its min where max is infinite. */
  readonly count: number;
  readonly rest: Stack | null;
}

/** A state of the automaton. Equal states are one object, so results may be kept by state. */
export interface GrammarState {
  /** Whether what was read is whole. */
  readonly whole: boolean;
  /** Whether nothing more may follow. */
  readonly over: boolean;
  /** The state after one more byte; null where it may not come. */
  next(byte: number): GrammarState | null;
}

/** @returns the state before the first byte */
export function startOf(grammar: Grammar): GrammarState {
  return new Automaton().start(grammar);
}

class Automaton {
  readonly #stacks = new Map<string, Stack>();
  readonly #states = new Map<string, State>();
  readonly #ids = new Map<Grammar, number>();

  start(grammar: Grammar): State {
    return this.stateOf([this.push(grammar, 0, null)]);
  }

  push(top: Grammar, count: number, rest: Stack | null): Stack {
    let id = this.#ids.get(top);
    if (id === undefined) this.#ids.set(top, (id = this.#ids.size));
    const key = `${id} ${count} ${rest?.id ?? ''}`;
    let stack = this.#stacks.get(key);
    if (stack === undefined) this.#stacks.set(key, (stack = { id: this.#stacks.size, top, count, rest }));
    return stack;
  }

  /** The state in which each of `stacks` may be what is still to come; null stands for nothing. */
  stateOf(stacks: readonly (Stack | null)[]): State {
    const open = new Map<number, Stack>();
    const seen = new Set<number>();
    let whole = false;
    // Until every stack begins with a byte.
    for (const waiting = [...stacks]; waiting.length > 0; ) {
      const stack = waiting.pop() ?? null;
      if (stack === null) whole = true;
      else if (!seen.has(stack.id)) {
        seen.add(stack.id);
        if (stack.top.kind === 'byte') open.set(stack.id, stack);
        else waiting.push(...this.#opened(stack));
      }
    }
    const ids = [...open.keys()].sort((a, b) => a - b);
    const key = `${whole ? '.' : ''}${ids.join(' ')}`;
    let state = this.#states.get(key);
    if (state === undefined) this.#states.set(key, (state = new State(this, [...open.values()], whole)));
    return state;
  }

  #opened({ top, count, rest }: Stack): (Stack | null)[] {
    switch (top.kind) {
      case 'byte':
        return [];
      case 'sequence':
        return [top.parts.reduceRight<Stack | null>((stack, part) => this.push(part, 0, stack), rest)];
      case 'choice':
        return top.options.map((option) => this.push(option, 0, rest));
      case 'later':
        return [this.push(top.get(), 0, rest)];
      case 'repeat': {
        const after = top.max === Infinity ? Math.min(count + 1, top.min) : count + 1;
        return [...(count < top.max ? [this.push(top.of, 0, this.push(top, after, rest))] : []), ...(count >= top.min ? [rest] : [])];
      }
    }
  }
}

class State implements GrammarState {
  readonly #next = new Map<number, State | null>();

  constructor(
    private readonly automaton: Automaton,
    private readonly stacks: readonly Stack[],
    readonly whole: boolean,
  ) {}

  get over(): boolean {
    return this.stacks.length === 0;
  }

  next(byte: number): State | null {
    let next = this.#next.get(byte);
    if (next === undefined) {
      const fitting = this.stacks.filter(({ top }) => top.kind === 'byte' && top.set.has(byte));
      next = fitting.length === 0 ? null : this.automaton.stateOf(fitting.map(({ rest }) => rest));
      this.#next.set(byte, next);
    }
    return next;
  }
}
