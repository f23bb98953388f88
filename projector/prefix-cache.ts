/** Keys and values of past prompts, found again by their beginnings. */
import { SHORTEST_PREFILL, type KvCache } from '../model/language/index.js';
import type { TokenIdentity } from './prompt.js';

interface Entry {
  readonly tokens: readonly TokenIdentity[];
  readonly cache: KvCache;
}

/** Least recently used entries go first when the bytes run out. */
export class PrefixCache {
  /** Oldest use first. */
  private entries: Entry[] = [];

  /** @param limitBytes most memory held; 0 keeps nothing */
  constructor(private readonly limitBytes: number) {}

  get bytes(): number {
    return this.entries.reduce((sum, { cache }) => sum + cache.bytes, 0);
  }

  /**
   * A copy of the longest known beginning of `tokens`, always leaving the last few to run.
   * @param capacity positions the copy makes room for
   */
  take(tokens: readonly TokenIdentity[], capacity: number): KvCache | null {
    const { entry, length } = this.longest(tokens);
    if (entry === null) return null;
    this.touch(entry);
    return entry.cache.fork(length, capacity);
  }

  /** How many of `tokens` `take` would give. */
  known(tokens: readonly TokenIdentity[]): number {
    return this.longest(tokens).length;
  }

  private longest(tokens: readonly TokenIdentity[]): { readonly entry: Entry | null; readonly length: number } {
    let longest: { entry: Entry | null; length: number } = { entry: null, length: 0 };
    for (const entry of this.entries) {
      const length = Math.min(commonLength(entry.tokens, tokens), tokens.length - SHORTEST_PREFILL);
      if (length > longest.length) longest = { entry, length };
    }
    return longest;
  }

  /** Keeps a copy of the beginning of `cache`, which holds `tokens`. Entries it contains are dropped for it. */
  put(tokens: readonly TokenIdentity[], cache: KvCache): void {
    if (tokens.length === 0) return;
    const longer = this.entries.find((entry) => commonLength(entry.tokens, tokens) === tokens.length);
    if (longer !== undefined) return this.touch(longer);
    const kept = cache.fork(tokens.length);
    if (kept.bytes > this.limitBytes) return;
    this.entries = this.entries.filter((entry) => commonLength(entry.tokens, tokens) < entry.tokens.length);
    this.entries.push({ tokens: [...tokens], cache: kept });
    while (this.bytes > this.limitBytes) this.entries.shift();
  }

  clear(): void {
    this.entries = [];
  }

  private touch(entry: Entry): void {
    this.entries = [...this.entries.filter((other) => other !== entry), entry];
  }
}

function commonLength(a: readonly TokenIdentity[], b: readonly TokenIdentity[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
