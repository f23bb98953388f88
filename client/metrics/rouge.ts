import type { TokenisedItem } from './ngrams.js';

/** How much recall weighs against precision. */
const BETA = 1.2;

/** ROUGE-L (Lin 2004) of one candidate: F of the best precision and the best recall of longest common subsequences over its references. */
export function rougeL({ candidate, references }: TokenisedItem): number {
  const words = wordsOrBlank(candidate);
  let precision = 0;
  let recall = 0;
  for (const reference of references.map(wordsOrBlank)) {
    const common = longestCommonSubsequence(words, reference);
    precision = Math.max(precision, common / words.length);
    recall = Math.max(recall, common / reference.length);
  }
  if (precision === 0 || recall === 0) return 0;
  return ((1 + BETA ** 2) * precision * recall) / (recall + BETA ** 2 * precision);
}

/** An empty caption counts as one empty word, as in pycocoevalcap. */
function wordsOrBlank(tokens: readonly string[]): readonly string[] {
  return tokens.length === 0 ? [''] : tokens;
}

function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    b.forEach((other, j) => {
      next.push(word === other ? (row[j] ?? 0) + 1 : Math.max(row[j + 1] ?? 0, next[j] ?? 0));
    });
    row = next;
  }
  return row.at(-1) ?? 0;
}
