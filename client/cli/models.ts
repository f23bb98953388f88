/** The model pack's parts, loaded when they are first needed. */
import os from 'node:os';
import type { WeightKind } from '../../model/language/index.js';
import type { ModelPack } from '../../model/pack/index.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import type { Runtime } from '../../model/runtime/types.js';
import type { VisionTower } from '../../model/vision/index.js';
import type { MomentSearch } from '../../model/retrieval/index.js';
import type { ChatModel, ChatModelOptions } from '../../projector/index.js';
import { errorStream, modelOpener } from './surroundings.js';

/** More threads than these two gain little at these sizes; on a single core a second one loses much. */
export const DEFAULT_THREADS = Math.min(2, os.availableParallelism());

export interface ModelOptions {
  /** Folder of the model pack; default: the one that comes with latentchat. */
  readonly pack?: string;
  readonly threads: number;
  /** What runs the networks that see and draw. Default: the processor. */
  readonly device?: DeviceChoice;
  /** See ChatModelOptions. */
  readonly independent?: boolean;
}

export class Models {
  #tower: Promise<VisionTower> | null = null;
  #chat: Promise<ChatModel> | null = null;
  #search: Promise<MomentSearch> | null = null;

  private constructor(
    readonly pack: ModelPack,
    readonly runtime: Runtime,
    /** Of the vision tower, the encoder and the decoder; the language model stays with `runtime`. */
    readonly pictureRuntime: Runtime,
    private readonly chatOptions: ChatModelOptions,
  ) {}

  static open(options: ModelOptions): Promise<Models> {
    return modelOpener()?.(options) ?? Models.load(options);
  }

  /** Models of its own, wherever the command runs. */
  static async load({ pack, threads, device = 'cpu', independent = false }: ModelOptions): Promise<Models> {
    const [{ ModelPack }, { nodeRuntime }, { pictureRuntime }] = await Promise.all([
      import('../../model/pack/open.node.js'),
      import('../../model/runtime/node.node.js'),
      import('./picture-runtime.js'),
    ]);
    const runtime = nodeRuntime({ threads });
    return new Models(await ModelPack.open(pack), runtime, device === 'cpu' ? runtime : await pictureRuntime(device, threads), { independent });
  }

  /** Models of the same pack that share nothing with these, whose language model holds its weights in another form. */
  withWeights(kind: WeightKind): Models {
    return new Models(this.pack, this.runtime, this.pictureRuntime, { ...this.chatOptions, kind });
  }

  tower(): Promise<VisionTower> {
    this.#tower ??= import('../../model/vision/index.js').then(({ VisionTower }) => VisionTower.load(this.pack, this.pictureRuntime));
    return this.#tower;
  }

  chat(): Promise<ChatModel> {
    if (this.#chat === null && this.pack.manifest.projector.trained === false) {
      errorStream().write(`The projector of pack ${this.pack.manifest.id} has learned nothing yet: answers about videos mean nothing until "latentchat train projector" has run.\n`);
    }
    this.#chat ??= import('../../projector/index.js').then(({ ChatModel }) => ChatModel.load(this.pack, this.runtime, this.chatOptions));
    return this.#chat;
  }

  /** @throws PackError for a pack without retrieval towers */
  search(): Promise<MomentSearch> {
    this.#search ??= import('../../model/retrieval/index.js').then(({ MomentSearch }) => MomentSearch.load(this.pack, this.runtime));
    return this.#search;
  }

  /** Frees what was loaded; what could not be loaded has told so already. */
  async release(): Promise<void> {
    for (const loading of [this.#tower, this.#chat, this.#search]) {
      const loaded = await loading?.catch(() => undefined);
      await loaded?.release();
    }
  }
}
