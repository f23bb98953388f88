import { ngramCounts, type TokenisedItem } from './ngrams.js';

const LONGEST = 4;
/** Deviation, in words, of the Gaussian that penalises another length than the reference's. */
const SIGMA = 6;

/**
 * CIDEr-D (Vedantam et al. 2015) of every item: ten times the mean over n = 1 to 4 of the clipped cosine between TF-IDF vectors of
 * n-grams, with document frequencies counted over the references of all items. On this scale, pycocoevalcap's, a corpus mean of 0.40 is
 * what papers print as 40.0.
 */
export function ciderD(items: readonly TokenisedItem[]): number[] {
  const frequency = documentFrequency(items);
  const logCount = Math.log(items.length);
  const vector = (tokens: readonly string[]): Vector => tfIdf(tokens, frequency, logCount);
  return items.map(({ candidate, references }) => {
    const hypothesis = vector(candidate);
    const total = references.reduce((sum, reference) => sum + similarity(hypothesis, vector(reference)), 0);
    return (10 * total) / references.length;
  });
}

/** In how many items' references an n-gram occurs. */
function documentFrequency(items: readonly TokenisedItem[]): ReadonlyMap<string, number> {
  const frequency = new Map<string, number>();
  for (const { references } of items) {
    const seen = new Set<string>();
    for (const reference of references) for (const counts of ngramCounts(reference, LONGEST)) for (const ngram of counts.keys()) seen.add(ngram);
    for (const ngram of seen) frequency.set(ngram, (frequency.get(ngram) ?? 0) + 1);
  }
  return frequency;
}

interface Vector {
  readonly weights: readonly ReadonlyMap<string, number>[];
  readonly norms: readonly number[];
  /** Number of word pairs: the length that the penalty compares. */
  readonly pairs: number;
}

function tfIdf(tokens: readonly string[], frequency: ReadonlyMap<string, number>, logCount: number): Vector {
  const weights = ngramCounts(tokens, LONGEST).map(
    (counts) => new Map([...counts].map(([ngram, count]) => [ngram, count * (logCount - Math.log(Math.max(1, frequency.get(ngram) ?? 0)))])),
  );
  const norms = weights.map((entries) => Math.sqrt([...entries.values()].reduce((sum, weight) => sum + weight ** 2, 0)));
  return { weights, norms, pairs: Math.max(0, tokens.length - 1) };
}

function similarity(hypothesis: Vector, reference: Vector): number {
  const penalty = Math.exp(-((hypothesis.pairs - reference.pairs) ** 2) / (2 * SIGMA ** 2));
  let sum = 0;
  hypothesis.weights.forEach((entries, k) => {
    let product = 0;
    for (const [ngram, weight] of entries) {
      const other = reference.weights[k]?.get(ngram) ?? 0;
      product += Math.min(weight, other) * other;
    }
    const norm = (hypothesis.norms[k] ?? 0) * (reference.norms[k] ?? 0);
    sum += norm === 0 ? product : product / norm;
  });
  return (sum / LONGEST) * penalty;
}
