/** A language model as packs hold it: decoder, tokenizer and chat template. */
import type { LanguageConfig } from '../pack/manifest.js';
import type { ModelPack } from '../pack/pack.js';
import type { Runtime } from '../runtime/types.js';
import { ChatTemplate } from './chat-template.js';
import { Decoder } from './decoder.js';
import { KvCache } from './kv-cache.js';
import type { WeightKind } from './linear.js';
import { TextTokenizer } from './tokenizer.js';
import { LINEARS, linearShape, readDecoderWeights } from './weights.js';

export interface LanguageModelOptions {
  /** How weights enter the graph. Default: `q8` up to MOST_MERGED weights, the stored blocks beyond. */
  readonly kind?: WeightKind;
  /** Apply the pack's adapter. Default true; false gives the unchanged language model. */
  readonly adapter?: boolean;
  /** Longest conversation in tokens, answer included. At most the model's own context. Default: see `defaultContext`. */
  readonly context?: number;
}

/**
 * Weights of the layers up to which all are merged into 8 bits: the form that answers fastest at no loss that was measurable, while the
 * nodes it saves count. Beyond, time goes into reading weights from memory, and 4-bit blocks are half of that.
 */
const MOST_MERGED = 500_000_000;
/** Memory that the keys and values of one conversation may take where nobody says otherwise: 4,096 tokens of the default pack's. */
const CONVERSATION_BYTES = 192 * 1024 * 1024;
/** Tokens that a conversation may have however large the model: a video, the turns about it, and an answer. */
const LEAST_CONTEXT = 2048;
const CONTEXT_STEP = 1024;

export class LanguageModel {
  /** Names of the files that hold the layers. */
  static readonly shards = /^language-\d+\.safetensors$/;
  static readonly mostMerged = MOST_MERGED;

  private constructor(
    readonly decoder: Decoder,
    readonly tokenizer: TextTokenizer,
    readonly template: ChatTemplate,
  ) {}

  /**
   * Loads the pack's language model.
   * @throws PackError or SafetensorsError naming the file that is missing, altered or of the wrong shape
   */
  static async load(pack: ModelPack, runtime: Runtime, options: LanguageModelOptions = {}): Promise<LanguageModel> {
    const config = pack.manifest.language;
    const { kind = defaultKind(config), adapter = true, context = defaultContext(config) } = options;
    if (!(Number.isInteger(context) && context > 0 && context <= config.context)) {
      throw new RangeError(`context is ${context}; this model's is 1 to ${config.context} tokens`);
    }
    const tokenizer = new TextTokenizer(await pack.text('tokenizer.json'));
    const template = new ChatTemplate(await pack.text('chat_template.jinja'), {
      bos: tokenizer.tokenOf(config.bos) ?? '',
      eos: tokenizer.tokenOf(config.eos) ?? '',
    });
    const shards = Object.keys(pack.manifest.files).filter((file) => LanguageModel.shards.test(file));
    const weights = readDecoderWeights(
      config,
      await Promise.all(shards.map((file) => pack.tensors(file))),
      await pack.tensors('embedding.safetensors'),
      adapter && pack.manifest.adapter !== undefined ? await pack.tensors('adapter.safetensors') : null,
    );
    return new LanguageModel(await Decoder.create(weights, runtime, { kind, context }), tokenizer, template);
  }

  async release(): Promise<void> {
    await this.decoder.release();
  }
}

/** Weights of the layers' matrices. */
export function layerWeights(config: LanguageConfig): number {
  return config.layers * LINEARS.map((name) => linearShape(config, name)).reduce((sum, { out, in: columns }) => sum + out * columns, 0);
}

/** Tokens of the longest conversation, such that one takes a bounded part of the memory: most of its time, a model's longest context is not needed. */
export function defaultContext(config: LanguageConfig): number {
  const fitting = Math.floor(CONVERSATION_BYTES / (KvCache.bytesPerToken(config) * CONTEXT_STEP)) * CONTEXT_STEP;
  return Math.min(config.context, Math.max(LEAST_CONTEXT, fitting));
}

function defaultKind(config: LanguageConfig): WeightKind {
  return layerWeights(config) <= MOST_MERGED ? 'q8' : 'q4';
}
