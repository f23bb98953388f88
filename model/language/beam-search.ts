/** Beam search: several continuations side by side, the likeliest whole text wins. */
import type { DecoderBatch } from './batch.js';
import type { FinishReason } from './generate.js';
import type { KvCache } from './kv-cache.js';
import { logSumExp, repeating } from './sampler.js';

export interface BeamOptions {
  /** Continuations kept at each step. */
  readonly beams: number;
  /** Most tokens to write. Default 256. */
  readonly maxTokens?: number;
  /** Texts compare by log probability / length^this. 0 favours short texts, 1 long ones; default 0.6, the length people write captions in. */
  readonly lengthPenalty?: number;
  /** As in SamplingOptions. Default 0. */
  readonly noRepeatNgram?: number;
  readonly signal?: AbortSignal;
}

interface Beam {
  readonly tokens: readonly number[];
  /** Sum of the tokens' log probabilities. */
  readonly score: number;
}

/** A text that a search has found. */
export interface FoundText {
  /** Ids, without the end token. */
  readonly tokens: readonly number[];
  /** Log probability / length^lengthPenalty. */
  readonly score: number;
}

interface Candidate {
  readonly parent: number;
  readonly token: number;
  readonly score: number;
}

/**
 * The beams are sequences of `batch`: several searches, and other texts that are written meanwhile, share its runs.
 * @param cache the prompt; left as it is
 * @param logits (V) after the prompt
 * @returns at most `beams` texts, the best first, or those so far on abort and where none ended within `maxTokens`
 */
export async function beamSearch(
  batch: DecoderBatch,
  cache: KvCache,
  logits: Float32Array,
  options: BeamOptions,
): Promise<{ texts: readonly FoundText[]; finish: FinishReason }> {
  const { beams: width, lengthPenalty = 0.6, noRepeatNgram = 0, signal } = options;
  const { decoder } = batch;
  const { vocab } = decoder.config;
  const room = Math.min(options.maxTokens ?? 256, decoder.context - cache.length);
  const rated = (beam: Beam): number => beam.score / Math.max(1, beam.tokens.length) ** lengthPenalty;
  const rows = Array.from({ length: width }, () => ({ sequence: batch.join(cache), logits: new Float32Array(vocab) }));

  let beams: Beam[] = [{ tokens: [], score: 0 }];
  let finished: Beam[] = [];
  let after: readonly Float32Array[] = [logits];
  try {
    for (let step = 0; step < room; step++) {
      if (signal?.aborted === true) return { texts: found([...finished, ...beams], width, rated), finish: 'cancelled' };
      const candidates = beams
        .flatMap((beam, parent) => {
          const next = after[parent] as Float32Array;
          for (const token of repeating(beam.tokens, noRepeatNgram)) next[token] = -Infinity;
          return likeliest(next, 2 * width, parent, beam.score);
        })
        .sort((a, b) => b.score - a.score || a.parent - b.parent || a.token - b.token)
        .slice(0, 2 * width);
      const going: Candidate[] = [];
      for (const [place, candidate] of candidates.entries()) {
        const { tokens } = beams[candidate.parent] as Beam;
        // An end that is not among the best `width` would only crowd out better texts.
        if (decoder.ends(candidate.token)) {
          if (place < width) finished.push({ tokens, score: candidate.score });
        } else if (going.length < width) going.push(candidate);
      }
      finished = finished.sort((a, b) => rated(b) - rated(a)).slice(0, width);
      const next = going.map(({ parent, token, score }) => ({ tokens: [...(beams[parent] as Beam).tokens, token], score }));
      // Done when no beam, should it end now, would come before the worst of enough finished texts.
      if (finished.length === width && rated(next[0] as Beam) <= rated(finished[width - 1] as Beam)) break;
      beams = next;
      if (step + 1 === room) break;
      if (step > 0) batch.reorder(rows.map(({ sequence }) => sequence), going.map(({ parent }) => parent), cache.length);
      await Promise.all(rows.map(({ sequence, logits: into }, index) => sequence.step((going[index] as Candidate).token, into)));
      after = rows.map((row) => row.logits);
    }
  } finally {
    for (const { sequence } of rows) sequence.leave();
  }
  return finished.length > 0 ? { texts: found(finished, width, rated), finish: 'stop' } : { texts: found(beams, width, rated), finish: 'length' };
}

function found(beams: readonly Beam[], most: number, rated: (beam: Beam) => number): FoundText[] {
  const texts = beams.map((beam) => ({ tokens: beam.tokens, score: rated(beam) }));
  return texts.sort((a, b) => b.score - a.score).slice(0, most);
}

/** The `count` likeliest next tokens of one beam, their log probabilities added to `score`. */
function likeliest(logits: Float32Array, count: number, parent: number, score: number): Candidate[] {
  const top: { token: number; logit: number }[] = [];
  let floor = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit <= floor && top.length === count) continue;
    const at = top.findIndex((other) => other.logit < logit);
    top.splice(at < 0 ? top.length : at, 0, { token, logit });
    if (top.length > count) top.pop();
    floor = (top.at(-1) as { logit: number }).logit;
  }
  const normalizer = logSumExp(logits);
  return top.map(({ token, logit }) => ({ parent, token, score: score + logit - normalizer }));
}
