/** Token by token from a prefilled cache to a finished text. */
import type { Sequence } from './batch.js';
import { TokenConstraint } from './constraint.js';
import type { Decoder } from './decoder.js';
import type { Grammar } from './grammar.js';
import type { KvCache } from './kv-cache.js';
import { Sampler, type SamplingOptions } from './sampler.js';
import { StopStrings } from './stop-strings.js';
import { TextStream, type TextTokenizer } from './tokenizer.js';
import { turn } from './turn.js';

/** Tokens a run: small enough that a cancel or another conversation waits a fraction of a second at most. */
export const PREFILL_CHUNK = 128;

/**
 * ONNX Runtime multiplies a single row by quantised weights in another order than several rows, and rounds differently.
 * Prompts run in pieces of at least this many tokens give the same logits however they are cut, cached or not.
 */
export const SHORTEST_PREFILL = 2;

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to write. Default 256. */
  readonly maxTokens?: number;
  /**
   * What the answer must be, as one of several texts or JSON under a schema. Default: anything. It is brought to its end within the tokens
   * there are, unless its shortest text has more.
   */
  readonly grammar?: Grammar;
  /** Strings that end the answer; they are not part of it. */
  readonly stop?: readonly string[];
  /** Aborting ends the answer after the token under way; what was written stays. */
  readonly signal?: AbortSignal;
}

export type FinishReason = 'stop' | 'length' | 'cancelled';

/** As `prefill`; it stops after each chunk but the last, so that others can have their turn. */
export async function* prefillInChunks(decoder: Decoder, embeddings: Float32Array, cache: KvCache, signal?: AbortSignal): AsyncGenerator<void, Float32Array | null> {
  const { hidden } = decoder.config;
  const tokens = embeddings.length / hidden;
  for (let start = 0; ; ) {
    if (signal?.aborted === true) return null;
    // A single token left over would go through another kernel (see SHORTEST_PREFILL): the chunk before it gives one up.
    const size = tokens - start === PREFILL_CHUNK + 1 ? PREFILL_CHUNK - 1 : PREFILL_CHUNK;
    const logits = await decoder.forward(embeddings.subarray(start * hidden, (start + size) * hidden), cache);
    start += size;
    if (start >= tokens) return logits;
    yield;
  }
}

/**
 * Runs the prompt's embeddings in chunks.
 * @param embeddings (S, H), S at least 1
 * @returns logits (V) after the last of them, or null when `signal` was aborted first
 */
export async function prefill(decoder: Decoder, embeddings: Float32Array, cache: KvCache, signal?: AbortSignal): Promise<Float32Array | null> {
  const chunks = prefillInChunks(decoder, embeddings, cache, signal);
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return next.value;
  }
}

/**
 * Writes an answer after what `sequence` holds, which grows by the tokens of the answer.
 * @param logits of the first token (V); overwritten
 * @yields text as it becomes whole characters, never an empty string
 */
export async function* generate(
  decoder: Decoder,
  tokenizer: TextTokenizer,
  sequence: Sequence,
  logits: Float32Array,
  options: GenerateOptions = {},
): AsyncGenerator<string, { finish: FinishReason; completionTokens: number }> {
  const { maxTokens = 256, signal } = options;
  const sampler = new Sampler(options);
  const stream = new TextStream(tokenizer);
  const stops = new StopStrings(options.stop ?? []);
  const constraint = options.grammar === undefined ? null : new TokenConstraint(options.grammar, tokenizer, decoder.config);
  const room = Math.min(maxTokens, decoder.context - sequence.length);
  for (let written = 0; ; ) {
    if (signal?.aborted === true) {
      const rest = stops.end();
      if (rest !== '') yield rest;
      return { finish: 'cancelled', completionTokens: written };
    }
    if (constraint !== null && written < room) {
      if (!(await prepared(constraint, room - written, signal))) continue;
      constraint.mask(logits, room - written);
    }
    const token = written < room ? sampler.next(logits) : null;
    if (token === null || decoder.ends(token)) {
      const rest = stops.end();
      if (rest !== '') yield rest;
      return { finish: token === null && constraint?.whole !== true ? 'length' : 'stop', completionTokens: written };
    }
    const { text, stopped } = stops.push(stream.push(token));
    if (text !== '') yield text;
    if (stopped) return { finish: 'stop', completionTokens: written + 1 };
    constraint?.accept(token);
    if (constraint?.over === true) {
      const rest = stops.end();
      if (rest !== '') yield rest;
      return { finish: 'stop', completionTokens: written + 1 };
    }
    written++;
    // The last token allowed needs no run: nothing follows it.
    if (written < room) await sequence.step(token, logits);
  }
}

/** Others write their tokens between two slices of the work on a mask. @returns false when `signal` was aborted first */
async function prepared(constraint: TokenConstraint, left: number, signal?: AbortSignal): Promise<boolean> {
  while (!constraint.prepare(left)) {
    await turn();
    if (signal?.aborted === true) return false;
  }
  return true;
}
