/** Characters of the texts whose counts are kept: those of some twenty conversations that are as long as they may be. */
const KEPT_CHARACTERS = 2_000_000;

/** How many tokens texts have. A conversation's turns are counted once, not again with each of its questions. */
export class TokenCounts {
  /** Least recently used first. */
  readonly #counts = new Map<string, number>();
  #characters = 0;

  constructor(private readonly tokenizer: { encode(text: string): readonly number[] }) {}

  of(text: string): number {
    const known = this.#counts.get(text);
    const count = known ?? this.tokenizer.encode(text).length;
    this.#counts.delete(text);
    this.#counts.set(text, count);
    if (known === undefined) this.#characters += text.length;
    for (const [oldest] of this.#counts) {
      if (this.#characters <= KEPT_CHARACTERS) break;
      this.#counts.delete(oldest);
      this.#characters -= oldest.length;
    }
    return count;
  }
}
