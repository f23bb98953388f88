/** Choosing the next token from logits. */
import { seededRandom } from '../runtime/random.js';

export interface SamplingOptions {
  /** 0, the default, takes the likeliest token every time (greedy); higher is more varied. */
  readonly temperature?: number;
  /** Sample only from the likeliest tokens that together have this probability (nucleus). Default 1: from all. Only relevant above temperature 0. */
  readonly topP?: number;
  /** Divides the positive logits (multiplies the negative) of tokens already written. Default 1: no penalty. */
  readonly repetitionPenalty?: number;
  /** Taken off the logits of tokens already written, once for each time they were. Default 0. */
  readonly frequencyPenalty?: number;
  /** Taken off the logits of tokens already written, once however often they were. Default 0. */
  readonly presencePenalty?: number;
  /** Runs of this many tokens are written once only, which ends loops. Default 0: they may repeat. */
  readonly noRepeatNgram?: number;
  /** Seed of the random numbers; the same seed gives the same text. Default: a fresh one. Only relevant above temperature 0. */
  readonly seed?: number;
}

/** @throws RangeError naming the option that is out of range */
export function checkSampling(options: SamplingOptions): void {
  const { temperature = 0, topP = 1, repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, noRepeatNgram = 0, seed = 0 } = options;
  if (!(temperature >= 0 && temperature <= 10)) throw new RangeError(`temperature is ${temperature}; it must be between 0 and 10`);
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`topP is ${topP}; it must be above 0 and at most 1`);
  if (!(repetitionPenalty >= 0.1 && repetitionPenalty <= 10)) {
    throw new RangeError(`repetitionPenalty is ${repetitionPenalty}; it must be between 0.1 and 10`);
  }
  for (const [name, penalty] of Object.entries({ frequencyPenalty, presencePenalty })) {
    if (!(penalty >= -10 && penalty <= 10)) throw new RangeError(`${name} is ${penalty}; it must be between -10 and 10`);
  }
  if (!(Number.isInteger(noRepeatNgram) && noRepeatNgram >= 0)) throw new RangeError(`noRepeatNgram is ${noRepeatNgram}; it must be a whole number from 0 on`);
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed is ${seed}; it must be a whole number`);
}

/** Logits this far below the best times the temperature are never sampled: e^-20 is a chance of 2 in a thousand million. */
const NEGLIGIBLE = 20;

export class Sampler {
  private readonly temperature: number;
  private readonly topP: number;
  private readonly penalty: number;
  private readonly random: () => number;
  private readonly ngram: number;
  private readonly frequencyPenalty: number;
  private readonly presencePenalty: number;
  private readonly written: number[] = [];
  /** How often each token was written. */
  private readonly counts = new Map<number, number>();

  constructor(options: SamplingOptions = {}) {
    checkSampling(options);
    this.temperature = options.temperature ?? 0;
    this.topP = options.topP ?? 1;
    this.penalty = options.repetitionPenalty ?? 1;
    this.ngram = options.noRepeatNgram ?? 0;
    this.frequencyPenalty = options.frequencyPenalty ?? 0;
    this.presencePenalty = options.presencePenalty ?? 0;
    this.random = seededRandom(options.seed ?? (Math.random() * 2 ** 32) >>> 0);
  }

  /** The next token. `logits` (V) are changed in place where a penalty asks for it. */
  next(logits: Float32Array): number {
    if (this.penalty !== 1) penalize(logits, this.counts.keys(), this.penalty);
    for (const [token, count] of this.counts) (logits[token] as number) -= count * this.frequencyPenalty + this.presencePenalty;
    for (const token of repeating(this.written, this.ngram)) logits[token] = -Infinity;
    const token = this.temperature === 0 ? argmax(logits) : this.sample(logits);
    this.written.push(token);
    this.counts.set(token, (this.counts.get(token) ?? 0) + 1);
    return token;
  }

  private sample(logits: Float32Array): number {
    const best = logits[argmax(logits)] as number;
    const floor = best - NEGLIGIBLE * this.temperature;
    const candidates: { token: number; weight: number }[] = [];
    let total = 0;
    for (let token = 0; token < logits.length; token++) {
      const logit = logits[token] as number;
      if (logit < floor) continue;
      const weight = Math.exp((logit - best) / this.temperature);
      total += weight;
      candidates.push({ token, weight });
    }
    if (this.topP < 1) {
      candidates.sort((a, b) => b.weight - a.weight || a.token - b.token);
      const needed = this.topP * total;
      let kept = 0;
      let size = 0;
      while (kept < needed && size < candidates.length) kept += (candidates[size++] as { weight: number }).weight;
      candidates.length = size;
      total = kept;
    }
    let point = this.random() * total;
    for (const { token, weight } of candidates) {
      point -= weight;
      if (point < 0) return token;
    }
    return (candidates.at(-1) as { token: number }).token;
  }
}

/** The tokens that would end a run of `length` tokens which `written` already has; none for a length of 0. */
export function repeating(written: readonly number[], length: number): Set<number> {
  const banned = new Set<number>();
  if (length === 0) return banned;
  const start = written.length - length + 1;
  for (let at = 0; at + length <= written.length; at++) {
    let same = 0;
    while (same < length - 1 && written[at + same] === written[start + same]) same++;
    if (same === length - 1) banned.add(written[at + same] as number);
  }
  return banned;
}

function penalize(logits: Float32Array, tokens: Iterable<number>, penalty: number): void {
  for (const token of tokens) {
    const logit = logits[token] as number;
    logits[token] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

/** Index of the greatest logit; the first of equals, so that greedy text is the same every time. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let value = logits[0] as number;
  for (let i = 1; i < logits.length; i++) {
    if ((logits[i] as number) > value) {
      value = logits[i] as number;
      best = i;
    }
  }
  return best;
}

/** Natural logarithm of the probability that `logits` (V) give `token`, summed in double precision. */
export function logProbability(logits: Float32Array, token: number): number {
  return (logits[token] as number) - logSumExp(logits);
}

/** Natural logarithm of the sum of the exponentials: what a logit lacks to be a log probability. */
export function logSumExp(logits: Float32Array): number {
  const best = logits[argmax(logits)] as number;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i] as number) - best);
  return best + Math.log(sum);
}
