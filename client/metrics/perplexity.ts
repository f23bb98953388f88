/** How surprised a model is by given texts. */

export interface TextLikelihood {
  /** Sum of natural log probabilities. */
  readonly logProbability: number;
  readonly tokens: number;
}

/** exp of the mean negative log probability a token over all texts. @throws RangeError for no tokens */
export function perplexity(texts: readonly TextLikelihood[]): number {
  const tokens = texts.reduce((sum, text) => sum + text.tokens, 0);
  if (tokens === 0) throw new RangeError('there are no tokens to be surprised by');
  return Math.exp(-texts.reduce((sum, text) => sum + text.logProbability, 0) / tokens);
}
