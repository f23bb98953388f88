/** A decoder ready to run: sessions over its graph, one call a step. */
import { float32, int32, int64, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import type { LanguageConfig } from '../pack/manifest.js';
import { buildDecoder, cacheNames } from './decoder-graph.js';
import { prepareInPlace, runInPlace } from '../runtime/in-place.js';
import { KvCache } from './kv-cache.js';
import type { WeightKind } from './linear.js';
import type { Matrix } from './matrix.js';
import { mergeLayers } from './merge.js';
import { embed, type DecoderWeights } from './weights.js';
import { CodedError } from '../runtime/coded-error.js';

export interface DecoderOptions {
  /** How weights enter the graph; see linear.ts. */
  readonly kind: WeightKind;
  /** Longest sequence in tokens: prompt and answer together. At most the model's own context. */
  readonly context: number;
}

/** Raised when a sequence does not fit the context. */
export class ContextError extends CodedError {
  override readonly name = 'ContextError';
  readonly code = 'context_length_exceeded';

  /**
   * @param needed and
   * @param context in tokens
   * @param what needs them
   */
  constructor(
    readonly needed: number,
    readonly context: number,
    what = 'the text',
  ) {
    super(`${what} needs ${needed} tokens, but the model's context holds ${context}. Ask in fewer words or about fewer videos`);
  }
}

export class Decoder {
  private constructor(
    readonly config: LanguageConfig,
    readonly context: number,
    private readonly embedding: Matrix,
    private readonly session: Session,
  ) {}

  static async create(weights: DecoderWeights, runtime: Runtime, options: DecoderOptions): Promise<Decoder> {
    const { kind, context } = options;
    const merged = kind === 'q8' ? await mergeLayers(weights, runtime) : null;
    const { model, weights: beside } = buildDecoder(weights, kind, merged, context).toOnnxParts();
    const session = await runtime.createSession(prepareInPlace(model), { weights: beside });
    return new Decoder(weights.config, context, weights.embedding, session);
  }

  /** Whether a token ends an answer. */
  ends(token: number): boolean {
    return token === this.config.eos || this.config.ends?.includes(token) === true;
  }

  /** An empty cache. */
  newCache(capacity = 0): KvCache {
    return new KvCache(this.config, capacity);
  }

  /** Embeddings (ids.length, H) of token ids. */
  embed(ids: readonly number[]): Float32Array {
    return embed(this.embedding, ids);
  }

  /**
   * Runs new tokens after those in `cache`, to which their keys and values are appended.
   * @param embeddings (S, H)
   * @param wanted number of positions, counted from the end, whose logits are returned
   * @param into memory for the logits, (wanted, V); allocated when absent
   * @returns logits (wanted, V)
   * @throws ContextError when the sequence would grow past the context
   */
  async forward(embeddings: Float32Array, cache: KvCache, wanted = 1, into?: Float32Array): Promise<Float32Array> {
    const { hidden, vocab } = this.config;
    const tokens = embeddings.length / hidden;
    const total = cache.length + tokens;
    if (total > this.context) throw new ContextError(total, this.context);
    cache.reserve(total);
    const logits = into ?? new Float32Array(wanted * vocab);
    const feeds = {
      embeddings: float32(embeddings, [1, tokens, hidden]),
      last_position: int32([total - 1]),
      total_length: int32([total]),
      first_logit: int64([tokens - wanted]),
    };
    await this.run(feeds, float32(logits, [1, wanted, vocab]), (index) => (index % 2 === 0 ? cache.key(index / 2) : cache.value((index - 1) / 2)));
    cache.length = total;
    return logits;
  }

  /**
   * Runs one new token of each of several sequences, which may have different lengths.
   * @param embeddings (B, H)
   * @param lengths (B) tokens of each row before
   * @param cache tensor 2i holds layer i's keys, 2i + 1 its values: (B, kv_heads, M, head_dim), M above all lengths; appended to
   * @param logits (B, V), overwritten
   * @throws ContextError when a sequence would grow past the context
   */
  async forwardRows(embeddings: Float32Array, lengths: readonly number[], cache: (tensor: number) => HostTensor, logits: Float32Array): Promise<void> {
    const rows = lengths.length;
    const longest = Math.max(...lengths) + 1;
    if (longest > this.context) throw new ContextError(longest, this.context);
    const feeds = {
      embeddings: float32(embeddings, [rows, 1, this.config.hidden]),
      last_position: int32(lengths),
      total_length: int32([longest]),
      first_logit: int64([0]),
    };
    await this.run(feeds, float32(logits, [rows, 1, this.config.vocab]), cache);
  }

  private async run(inputs: Readonly<Record<string, HostTensor>>, logits: HostTensor, cache: (tensor: number) => HostTensor): Promise<void> {
    const feeds: Record<string, HostTensor> = { ...inputs };
    const results: Record<string, HostTensor> = { logits };
    for (let layer = 0; layer < this.config.layers; layer++) {
      const names = cacheNames(layer);
      feeds[names.pastKey] = results[names.key] = cache(2 * layer);
      feeds[names.pastValue] = results[names.value] = cache(2 * layer + 1);
    }
    await runInPlace(this.session, feeds, results);
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
