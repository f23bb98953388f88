/** Token masks: a text under a grammar, written token by token. */
import { startOf, type Grammar, type GrammarState } from './grammar.js';
import type { TextTokenizer } from './tokenizer.js';

/** The bytes of every token of a vocabulary, worked out once for each tokenizer. */
const vocabularies = new WeakMap<Pick<TextTokenizer, 'bytes'>, readonly Uint8Array[]>();

function vocabularyOf(tokenizer: Pick<TextTokenizer, 'bytes'>, size: number): readonly Uint8Array[] {
  let known = vocabularies.get(tokenizer);
  if (known === undefined) vocabularies.set(tokenizer, (known = Array.from({ length: size }, (_, id) => tokenizer.bytes(id))));
  return known;
}

export class TokenConstraint {
  readonly #vocabulary: readonly Uint8Array[];
  /** By state: 1 where a token may come. Most steps of an answer are in few states. */
  readonly #masks = new Map<GrammarState, Uint8Array>();
  #state: GrammarState;

  /** @param config of the model: its vocabulary's size, and the tokens that end an answer */
  constructor(
    grammar: Grammar,
    tokenizer: Pick<TextTokenizer, 'bytes'>,
    private readonly config: { readonly vocab: number; readonly eos: number; readonly ends?: readonly number[] },
  ) {
    this.#vocabulary = vocabularyOf(tokenizer, config.vocab);
    this.#state = startOf(grammar);
  }

  /** Whether the text is whole and nothing may follow. */
  get over(): boolean {
    return this.#state.over;
  }

  /** Sets the logits (V) of all tokens that may not come next to -Infinity. The end may come when the text is whole. */
  mask(logits: Float32Array): void {
    const allowed = this.#allowed();
    for (let id = 0; id < logits.length; id++) if (allowed[id] !== 1) logits[id] = -Infinity;
  }

  /** @throws RangeError for a token that the mask does not allow */
  accept(token: number): void {
    let state: GrammarState | null = this.#state;
    for (const byte of this.#vocabulary[token] ?? []) state = state?.next(byte) ?? null;
    if (state === null || this.#vocabulary[token]?.length === 0) throw new RangeError(`token ${token} does not fit the grammar`);
    this.#state = state;
  }

  #allowed(): Uint8Array {
    let mask = this.#masks.get(this.#state);
    if (mask === undefined) {
      mask = new Uint8Array(this.config.vocab);
      for (const [id, bytes] of this.#vocabulary.entries()) {
        let state: GrammarState | null = this.#state;
        for (let i = 0; i < bytes.length && state !== null; i++) state = state.next(bytes[i] as number);
        if (bytes.length > 0 && state !== null) mask[id] = 1;
      }
      for (const end of [this.config.eos, ...(this.config.ends ?? [])]) mask[end] = this.#state.whole ? 1 : 0;
      this.#masks.set(this.#state, mask);
    }
    return mask;
  }
}
