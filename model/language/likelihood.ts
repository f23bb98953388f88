/** How likely given texts are as what comes next: multiple choice is answered by comparing them. */
import type { Decoder } from './decoder.js';
import type { KvCache } from './kv-cache.js';
import { logProbability } from './sampler.js';

export interface Likelihood {
  /** Sum of the natural log probabilities of the tokens, the end of the answer among them. */
  readonly logProbability: number;
  /** How many tokens those are: long texts are less likely than short ones, so compare per token. */
  readonly tokens: number;
  /** Log probability of the least likely token. */
  readonly least: number;
}

/**
 * Scores each continuation on a fork of `cache`, which stays as it is.
 *
 * @param logits (V) after what `cache` holds
 * @param continuations token ids of each, without the end token, at least one id each
 * @returns in the same order; null when `signal` was aborted before the last
 * @throws ContextError when prompt and continuation do not fit the context together
 */
export async function scoreContinuations(
  decoder: Decoder,
  cache: KvCache,
  logits: Float32Array,
  continuations: readonly (readonly number[])[],
  signal?: AbortSignal,
): Promise<Likelihood[] | null> {
  const { vocab, eos } = decoder.config;
  const scores: Likelihood[] = [];
  for (const ids of continuations) {
    if (signal?.aborted === true) return null;
    // Row i of `rows` is about what follows the continuation's token i: the next token, and the end after the last.
    const rows = await decoder.forward(decoder.embed(ids), cache.fork(cache.length, cache.length + ids.length), ids.length);
    const following = [...ids.slice(1), eos].map((token, i) => logProbability(rows.subarray(i * vocab, (i + 1) * vocab), token));
    const each = [logProbability(logits, ids[0] as number), ...following];
    scores.push({ logProbability: each.reduce((sum, one) => sum + one, 0), tokens: each.length, least: Math.min(...each) });
  }
  return scores;
}
