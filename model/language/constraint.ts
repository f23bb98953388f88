/** Token masks: a text under a grammar, written token by token, that comes to its end within the tokens there are. */
import { Automaton, type Stack, type State } from './automaton.js';
import type { Grammar } from './grammar.js';
import { SchemaError } from './schema-error.js';
import type { TextTokenizer } from './tokenizer.js';
import { vocabularyOf, type Vocabulary } from './vocabulary.js';

/** Masks that are kept: most steps of an answer are in few states, and each mask has a byte or three for each token. */
const MAX_MASKS = 64;
/** Nodes of the vocabulary and stacks of the automaton that a slice of the work on a mask looks at: some milliseconds. */
const SLICE = 8_000;
/** The same for a whole answer: minutes of work for one text would starve others of the processor. The largest real schemas need some millions. */
const MAX_WORK = 100_000_000;
/** Bytes of a shortest end that is still divided into tokens: longer ones are not written within a context anyway. */
const MAX_DIVIDED = 16_384;
/** More tokens than any answer has. */
const MOST_NEEDED = 0xffff;

interface Fitting {
  /** By token: 1 where it may come. */
  readonly allowed: Uint8Array;
  /** The most bytes that are needed to end after one of these tokens. */
  readonly worst: number;
}

export class TokenConstraint {
  readonly #vocabulary: Vocabulary;
  /** By state, with its counters blurred. */
  readonly #fitting = new Map<State, Fitting>();
  /** By state and token: the tokens needed to end after it, worked out where that begins to matter. */
  readonly #ends = new Map<State, Uint16Array>();
  #automaton: Automaton;
  #state: State;
  /** The present state with its counters blurred, once it was needed. */
  #blurred: State | null = null;
  /** The tokens that a stack needs to its end along its shortest way, 0 for none. */
  #needs = new Map<Stack, number>();
  #work = 0;
  /** Work on the mask of the present state that is not done. */
  #walk: Walk | null = null;

  /** @param config of the model: its vocabulary's size, and the tokens that end an answer */
  constructor(
    grammar: Grammar,
    tokenizer: Pick<TextTokenizer, 'bytes'>,
    private readonly config: { readonly vocab: number; readonly eos: number; readonly ends?: readonly number[] },
  ) {
    this.#vocabulary = vocabularyOf(tokenizer, config.vocab);
    this.#automaton = new Automaton();
    this.#state = this.#automaton.start(grammar);
  }

  /** Whether the text is whole. */
  get whole(): boolean {
    return this.#state.whole;
  }

  /** Whether the text is whole and nothing may follow. */
  get over(): boolean {
    return this.#state.over;
  }

  /**
   * Works on the mask for a few milliseconds.
   * @param left as of `mask`
   * @returns whether the mask is ready; otherwise to be called again
   * @throws SchemaError where the grammar takes too much time or memory
   */
  prepare(left = Infinity): boolean {
    const before = this.#automaton.work;
    const ready = this.#prepare(left);
    this.#work += this.#automaton.work - before;
    if (this.#work > MAX_WORK) throw new SchemaError('#', `takes more work for an answer than ${MAX_WORK} steps of a grammar: simplify its alternatives`);
    return ready;
  }

  /**
   * Sets the logits (V) of all tokens that may not come next to -Infinity. The end may come when the text is whole.
   * @param left tokens that may still be written. Only those may come after which the text can be made whole in the others; where even the
   * shortest text has more, all that fit the grammar
   * @throws SchemaError where no token fits
   */
  mask(logits: Float32Array, left = Infinity): void {
    while (!this.prepare(left));
    const { allowed } = this.#fit;
    const ends = this.#isTight(left) ? (this.#ends.get(this.#state) as Uint16Array) : null;
    let fitting = 0;
    for (let id = 0; id < logits.length; id++) {
      if (allowed[id] === 1 && (ends === null || (ends[id] as number) < left)) fitting++;
      else logits[id] = -Infinity;
    }
    if (fitting === 0) throw new SchemaError('#', 'needs a character that no token of the model writes');
  }

  /** @throws RangeError for a token that the grammar does not allow */
  accept(token: number): void {
    let state: State | null = this.#state;
    for (const byte of this.#vocabulary.tokens[token] ?? []) state = state?.next(byte) ?? null;
    if (state === null || this.#vocabulary.tokens[token]?.length === 0) throw new RangeError(`token ${token} does not fit the grammar`);
    this.#walk = this.#blurred = null;
    this.#state = state;
    if (!this.#automaton.crowded) return;
    this.#automaton = new Automaton();
    this.#state = this.#automaton.take(state);
    this.#fitting.clear();
    this.#ends.clear();
    this.#needs = new Map();
  }

  /** Of the present state, once it was prepared. */
  get #fit(): Fitting {
    return this.#fitting.get(this.#blurred as State) as Fitting;
  }

  /** Whether some tokens lead further than `left` reaches, and others do not. */
  #isTight(left: number): boolean {
    if (left >= MOST_NEEDED || this.#needOf(this.#state) > left) return false;
    const blurred = this.#blurred as State;
    // What the counters add to the way to the end.
    const added = blurred === this.#state ? 0 : Math.max(0, ...this.#state.stacks.map(({ size }) => size)) - blurred.size;
    return !this.#vocabulary.hasBytes || left - 1 < this.#fit.worst + added;
  }

  #prepare(left: number): boolean {
    this.#blurred ??= this.#automaton.blurred(this.#state, this.#vocabulary.longest);
    if (!this.#fitting.has(this.#blurred)) {
      const walk = this.#walked(this.#blurred, null);
      if (walk === null) return false;
      for (const end of [this.config.eos, ...(this.config.ends ?? [])]) walk.allowed[end] = this.#state.whole ? 1 : 0;
      remember(this.#fitting, this.#blurred, walk);
    }
    if (!this.#isTight(left) || this.#ends.has(this.#state)) return true;
    const walk = this.#walked(this.#state, (state) => this.#needOf(state));
    if (walk === null) return false;
    for (const end of [this.config.eos, ...(this.config.ends ?? [])]) walk.needs[end] = 0;
    remember(this.#ends, this.#state, walk.needs);
    return true;
  }

  /** Goes on with the walk under way, or begins it. @returns null where it is not done */
  #walked(from: State, needOf: ((state: State) => number) | null): Walk | null {
    const walk = (this.#walk ??= new Walk(this.#vocabulary, from, needOf));
    this.#work += walk.go(SLICE);
    if (!walk.done) return null;
    this.#walk = null;
    return walk;
  }

  /** Tokens that make a state whole. */
  #needOf(state: State): number {
    return state.whole ? 0 : Math.min(...state.stacks.map((stack) => this.#needOfStack(stack)));
  }

  #needOfStack(stack: Stack): number {
    const known = this.#needs.get(stack);
    if (known !== undefined) return known;
    if (stack.size > MAX_DIVIDED) return MOST_NEEDED;
    const [way, bytes]: [Stack[], number[]] = [[], []];
    // On until the tokens that begin before what is known have ended.
    let beyond = 0;
    for (let at: Stack | null = stack; at !== null && beyond < this.#vocabulary.longest; ) {
      if (this.#needs.has(at)) beyond++;
      const step = this.#automaton.shortestStep(at);
      if (step === null) break;
      way.push(at);
      bytes.push(step.byte);
      at = step.next;
    }
    const needs = new Array<number>(way.length + 1).fill(0);
    // Where the way was not followed to its end, the last place is one whose need is known.
    for (let start = way.length; start >= 0; start--) {
      const at = way[start];
      if (at === undefined) continue;
      let need = this.#needs.get(at);
      if (need === undefined) {
        need = MOST_NEEDED;
        for (const length of this.#vocabulary.lengthsAt(bytes, start)) need = Math.min(need, 1 + (needs[start + length] as number));
        this.#needs.set(at, need);
      }
      needs[start] = need;
    }
    return this.#needs.get(stack) ?? 0;
  }
}

function remember<Value>(kept: Map<State, Value>, state: State, value: Value): void {
  if (kept.size >= MAX_MASKS) kept.delete(kept.keys().next().value as State);
  kept.set(state, value);
}

/** A walk over the vocabulary from a state, which can be made in pieces. */
class Walk {
  readonly allowed: Uint8Array;
  readonly needs: Uint16Array;
  worst = 0;
  #node = 0;
  readonly #states: State[];

  /** @param needOf to know of each token what it needs; null: whether it fits */
  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly start: State,
    private readonly needOf: ((state: State) => number) | null,
  ) {
    this.#states = [start];
    this.allowed = new Uint8Array(needOf === null ? vocabulary.tokens.length : 0);
    this.needs = new Uint16Array(needOf === null ? 0 : vocabulary.tokens.length).fill(MOST_NEEDED);
  }

  get done(): boolean {
    return this.#node >= this.vocabulary.ids.length;
  }

  /** @returns the nodes it has looked at: `most`, fewer where that or the stacks of the automaton are used up */
  go(most: number): number {
    const { bytes, depths, ends, ids } = this.vocabulary;
    const { automaton } = this.start;
    const until = automaton.work + most;
    let steps = 0;
    let node = this.#node;
    while (node < ids.length && steps < most && automaton.work < until) {
      steps++;
      const depth = depths[node] as number;
      const state = (this.#states[depth - 1] as State).next(bytes[node] as number);
      if (state === null) {
        node = ends[node] as number;
        continue;
      }
      this.#states[depth] = state;
      if ((ids[node] as number) >= 0) this.#fits(ids[node] as number, state);
      node++;
    }
    this.#node = node;
    return steps;
  }

  #fits(first: number, state: State): void {
    this.worst = Math.max(this.worst, state.size);
    for (let token = first; token >= 0; token = this.vocabulary.twins[token] as number) {
      if (this.needOf === null) this.allowed[token] = 1;
      else this.needs[token] = this.needOf(state);
    }
  }
}
