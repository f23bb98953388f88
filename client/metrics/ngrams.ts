/** How often each run of n words occurs, for n from 1 to `longest`; index 0 holds the single words. */
export function ngramCounts(tokens: readonly string[], longest: number): ReadonlyMap<string, number>[] {
  return Array.from({ length: longest }, (_, k) => {
    const counts = new Map<string, number>();
    for (let i = 0; i + k < tokens.length; i++) {
      const key = tokens.slice(i, i + k + 1).join(' ');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  });
}

/** One caption to score: tokens of the candidate and of its references (at least one). */
export interface TokenisedItem {
  readonly candidate: readonly string[];
  readonly references: readonly (readonly string[])[];
}
