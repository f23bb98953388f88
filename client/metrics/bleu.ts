import { ngramCounts, type TokenisedItem } from './ngrams.js';

const LONGEST = 4;
/** Keep the ratios defined when nothing matches or a candidate is empty; pycocoevalcap's values, so that scores agree to the last digits. */
const NUMERATOR_FLOOR = 1e-15;
const DENOMINATOR_FLOOR = 1e-9;

/**
 * Corpus BLEU-1 to BLEU-4 (Papineni et al. 2002): clipped n-gram precisions over all candidates together, and the brevity penalty against
 * the reference closest in length (the shorter one on a tie).
 */
export function bleu(items: readonly TokenisedItem[]): number[] {
  const matched = new Array<number>(LONGEST).fill(0);
  const guessed = new Array<number>(LONGEST).fill(0);
  let candidateLength = 0;
  let referenceLength = 0;
  for (const { candidate, references } of items) {
    candidateLength += candidate.length;
    referenceLength += closestLength(candidate.length, references);
    const most = references.map((reference) => ngramCounts(reference, LONGEST));
    ngramCounts(candidate, LONGEST).forEach((counts, k) => {
      guessed[k] = (guessed[k] ?? 0) + Math.max(0, candidate.length - k);
      for (const [ngram, count] of counts) {
        const allowed = Math.max(...most.map((reference) => reference[k]?.get(ngram) ?? 0));
        matched[k] = (matched[k] ?? 0) + Math.min(count, allowed);
      }
    });
  }
  const ratio = (candidateLength + NUMERATOR_FLOOR) / (referenceLength + DENOMINATOR_FLOOR);
  const penalty = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  let product = 1;
  return matched.map((count, k) => {
    product *= (count + NUMERATOR_FLOOR) / ((guessed[k] ?? 0) + DENOMINATOR_FLOOR);
    return product ** (1 / (k + 1)) * penalty;
  });
}

function closestLength(length: number, references: readonly (readonly string[])[]): number {
  return references
    .map((reference) => reference.length)
    .reduce((best, other) => {
      const nearer = Math.abs(other - length) - Math.abs(best - length);
      return nearer < 0 || (nearer === 0 && other < best) ? other : best;
    });
}
