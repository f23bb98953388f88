import { PREFILL_CHUNK, prefillInChunks, type Decoder, type KvCache } from '../model/language/index.js';
import type { PrefixCache } from './prefix-cache.js';
import { identityOf, type PromptToken, type TokenIdentity } from './prompt.js';
import type { Pieces } from './shortest-first.js';

export interface ReadingOptions {
  readonly decoder: Decoder;
  readonly prefixes: PrefixCache;
  readonly embed: (tokens: readonly PromptToken[]) => Promise<Float32Array>;
  readonly signal?: AbortSignal | undefined;
}

interface Held {
  readonly cache: KvCache;
  /** Tokens that were there already. */
  readonly cached: number;
}

interface Begun extends Held {
  readonly chunks: AsyncGenerator<void, Float32Array | null>;
}

/** A prompt that is run through the model in chunks, as far as none before it had the same beginning. */
export class PromptReading implements Pieces {
  readonly #prompt: readonly PromptToken[];
  readonly #identity: readonly TokenIdentity[];
  readonly #options: ReadingOptions;
  #begun: Begun | null = null;
  #logits: Float32Array | null = null;

  constructor(prompt: readonly PromptToken[], options: ReadingOptions) {
    this.#prompt = prompt;
    this.#identity = prompt.map(identityOf);
    this.#options = options;
  }

  /** Tokens of the prompt. */
  get length(): number {
    return this.#prompt.length;
  }

  /** Logits (V) after the last token; null where the signal was aborted first. */
  get logits(): Float32Array | null {
    return this.#logits;
  }

  /** The keys and values of the prompt; null before the first chunk. */
  get held(): Held | null {
    return this.#begun;
  }

  /** Chunks. What is aborted goes first: it costs nothing. */
  left(): number {
    const { prefixes, signal } = this.#options;
    if (signal?.aborted === true) return 0;
    const held = this.#begun?.cache.length ?? prefixes.known(this.#identity);
    return Math.ceil((this.#prompt.length - held) / PREFILL_CHUNK);
  }

  async next(): Promise<boolean> {
    this.#begun ??= await this.#begin();
    let done = true;
    try {
      const step = await this.#begun.chunks.next();
      done = step.done === true;
      if (step.done === true) this.#logits = step.value;
      return done;
    } finally {
      if (done) this.#keep();
    }
  }

  /** Does all that is left. */
  async finish(): Promise<void> {
    while (!(await this.next()));
  }

  /**
   * Keeps what was run, of a reading that was given up as well: it is worth it at once, for others who ask about the same video. The answer's own tokens
   * are run one at a time and so differ in the last digits from a prompt's; left out, a follow-up's answer never depends on what happens to be
   * cached, at the price of running the last answer once more.
   */
  #keep(): void {
    if (this.#begun === null) return;
    const { cache } = this.#begun;
    this.#options.prefixes.put(this.#identity.slice(0, cache.length), cache);
  }

  async #begin(): Promise<Begun> {
    const { decoder, prefixes, embed, signal } = this.#options;
    const cache = prefixes.take(this.#identity, this.#prompt.length) ?? decoder.newCache(this.#prompt.length);
    const cached = cache.length;
    return { cache, cached, chunks: prefillInChunks(decoder, await embed(this.#prompt.slice(cached)), cache, signal) };
  }
}
