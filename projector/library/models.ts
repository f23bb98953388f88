/** The model pack's parts, each loaded when it is first needed. */
import type { WeightKind } from '../../model/language/index.js';
import type { ModelPack } from '../../model/pack/index.js';
import type { MomentSearch } from '../../model/retrieval/index.js';
import type { Runtime } from '../../model/runtime/types.js';
import type { VisionTower } from '../../model/vision/index.js';
import type { ChatModel, ChatModelOptions } from '../chat-model.js';

export interface ModelsParts {
  /** Of the vision tower, the encoder and the decoder; the language model stays with `runtime`. Default: `runtime`. */
  readonly pictureRuntime?: Runtime;
  readonly chat?: ChatModelOptions;
  /** Told the pack's id when the language model is first asked for and its projector has learned nothing yet. */
  readonly onUntrained?: (pack: string) => void;
}

export class Models {
  #tower: Promise<VisionTower> | null = null;
  #chat: Promise<ChatModel> | null = null;
  #search: Promise<MomentSearch> | null = null;
  /** Of the networks that see and draw. */
  readonly pictureRuntime: Runtime;
  readonly #parts: ModelsParts;

  constructor(
    readonly pack: ModelPack,
    readonly runtime: Runtime,
    parts: ModelsParts = {},
  ) {
    this.#parts = parts;
    this.pictureRuntime = parts.pictureRuntime ?? runtime;
  }

  /** Models of the same pack that share nothing with these, whose language model holds its weights in another form. */
  withWeights(kind: WeightKind): Models {
    return new Models(this.pack, this.runtime, { ...this.#parts, chat: { ...this.#parts.chat, kind } });
  }

  tower(): Promise<VisionTower> {
    this.#tower ??= import('../../model/vision/index.js').then(({ VisionTower }) => VisionTower.load(this.pack, this.pictureRuntime));
    return this.#tower;
  }

  chat(): Promise<ChatModel> {
    if (this.#chat === null && this.pack.manifest.projector.trained === false) this.#parts.onUntrained?.(this.pack.manifest.id);
    this.#chat ??= import('../chat-model.js').then(({ ChatModel }) => ChatModel.load(this.pack, this.runtime, this.#parts.chat));
    return this.#chat;
  }

  /** @throws PackError for a pack without retrieval towers */
  search(): Promise<MomentSearch> {
    this.#search ??= import('../../model/retrieval/index.js').then(({ MomentSearch }) => MomentSearch.load(this.pack, this.runtime));
    return this.#search;
  }

  /** Frees what was loaded; what could not be loaded has told so already. What is asked for afterwards is loaded again. */
  async release(): Promise<void> {
    const loading = [this.#tower, this.#chat, this.#search];
    this.#tower = null;
    this.#chat = null;
    this.#search = null;
    for (const part of loading) {
      const loaded = await part?.catch(() => undefined);
      await loaded?.release();
    }
  }
}
