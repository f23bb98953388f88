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
    let best: Entry | null = null;
    let length = 0;
    for (const entry of this.entries) {
      const common = Math.min(commonLength(entry.tokens, tokens), tokens.length - SHORTEST_PREFILL);
      if (common > length) [best, length] = [entry, common];
    }
    if (best === null) return null;
    this.touch(best);
    return best.cache.fork(length, capacity);
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
