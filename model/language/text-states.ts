/** What the unchanged language model makes of a text: hidden states of its first layers, pooled over the text's tokens. */
import type { ModelPack } from '../pack/pack.js';
import { asFloat32, float32, int32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { buildPooledStates, type PooledLayers } from './decoder-graph.js';
import { LanguageModel } from './language-model.js';
import type { WeightKind } from './linear.js';
import type { Matrix } from './matrix.js';
import { TextTokenizer } from './tokenizer.js';
import { embed, readDecoderWeights } from './weights.js';

/** Tokens of a text that are read; what follows is left out. Captions and search words have about a dozen. */
const MOST_TOKENS = 256;

export interface TextStatesOptions {
  /** How weights enter the graph. Default `q4`, the stored 4-bit blocks; `fp32` is the reference. */
  readonly kind?: Exclude<WeightKind, 'q8'>;
}

/** The adapter is left out, so training it anew never moves a text. */
export class TextStates {
  private constructor(
    private readonly pack: ModelPack,
    private readonly tokenizer: TextTokenizer,
    private readonly embedding: Matrix,
    private readonly session: Session,
  ) {}

  /**
   * Loads as many of the pack's layers as `pooled` names.
   * @throws PackError or SafetensorsError naming the file that is missing, altered or of the wrong shape
   */
  static async load(pack: ModelPack, runtime: Runtime, pooled: PooledLayers, { kind = 'q4' }: TextStatesOptions = {}): Promise<TextStates> {
    const config = { ...pack.manifest.language, layers: Math.max(1, ...pooled.mean, ...pooled.last) };
    const shards = Object.keys(pack.manifest.files).filter((file) => LanguageModel.shards.test(file));
    const tensors = await Promise.all(shards.map((file) => pack.tensors(file)));
    const weights = readDecoderWeights(config, tensors, await pack.tensors('embedding.safetensors'), null);
    const tokenizer = new TextTokenizer(await pack.text('tokenizer.json'));
    const graph = buildPooledStates(weights, kind, pooled, MOST_TOKENS);
    return new TextStates(pack, tokenizer, weights.embedding, await runtime.createSession(graph.toOnnx()));
  }

  /**
   * The pooled states ((means + lasts) * H) of a text, read after the token that begins every sequence.
   * @throws RangeError when the text has no token
   */
  async states(text: string): Promise<Float32Array> {
    const config = this.pack.manifest.language;
    const ids = this.ids(text);
    if (ids.length < 2) throw new RangeError('an empty text has no hidden states');
    const outputs = await this.session.run({
      embeddings: float32(embed(this.embedding, ids), [1, ids.length, config.hidden]),
      last_position: int32([ids.length - 1]),
      total_length: int32([ids.length]),
    });
    return asFloat32(outputs['states'] as HostTensor);
  }

  /** Number of tokens that `states` reads of a text, the one that begins every sequence among them. */
  tokens(text: string): number {
    return this.ids(text).length;
  }

  private ids(text: string): number[] {
    return [this.pack.manifest.language.bos, ...this.tokenizer.encode(this.tokenizer.neutralize(text))].slice(0, MOST_TOKENS);
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
