/** The models of a program: those of one pack are loaded once, whoever asks for them. */
import path from 'node:path';
import { defaultPackFolder, ModelPack, openPack } from '../../model/pack/open.node.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import { deviceRuntime } from '../../model/runtime/device.node.js';
import { DEFAULT_THREADS, nodeRuntime } from '../../model/runtime/node.node.js';
import type { ChatModelOptions } from '../chat-model.js';
import { Models } from './models.js';

/** Which models a call uses. */
export interface ModelsOptions {
  /** A model pack, or its folder. Default: the pack of the package `latentchat-weights`. */
  readonly pack?: string | ModelPack;
  /** Processor threads of the networks. Default: 2, or 1 on a single core. */
  readonly threads?: number;
  /** What runs the networks that see and draw: `cpu`, `webgpu`, or `auto` for the faster of them on this machine. Default: cpu. */
  readonly device?: DeviceChoice;
}

interface Shared {
  readonly pack: string | ModelPack;
  readonly threads: number;
  readonly device: DeviceChoice;
  readonly models: Promise<Models>;
}

let shared: readonly Shared[] = [];

export interface LoadOptions extends ModelsOptions {
  /** Told of each network that the device refuses, with ONNX Runtime's reason. */
  readonly onFallback?: (reason: string) => void;
  readonly chat?: ChatModelOptions;
  /** Told the pack's id when a language model is asked for whose projector has learned nothing yet. */
  readonly onUntrained?: (pack: string) => void;
}

/** Models of their own, that nobody shares. @throws PackError; DeviceError where WebGPU is asked for and does not work */
export async function loadModels({ pack, threads = DEFAULT_THREADS, device = 'cpu', onFallback, chat, onUntrained }: LoadOptions): Promise<Models> {
  const opened = pack instanceof ModelPack ? pack : await openPack(pack);
  const fallback = onFallback === undefined ? {} : { onFallback };
  return new Models(opened, nodeRuntime({ threads }), {
    ...(device === 'cpu' ? {} : { pictureRuntime: await deviceRuntime(device, { threads, ...fallback }) }),
    ...(chat === undefined ? {} : { chat }),
    ...(onUntrained === undefined ? {} : { onUntrained }),
  });
}

/**
 * The models that every call with the same options shares.
 * @throws PackError; DeviceError where WebGPU is asked for and does not work
 */
export function sharedModels({ pack, threads = DEFAULT_THREADS, device = 'cpu' }: ModelsOptions = {}): Promise<Models> {
  const wanted = pack instanceof ModelPack ? pack : path.resolve(pack ?? defaultPackFolder());
  const known = shared.find((one) => one.pack === wanted && one.threads === threads && one.device === device);
  if (known !== undefined) return known.models;
  const models = loadModels({ pack: wanted, threads, device });
  const entry: Shared = { pack: wanted, threads, device, models };
  shared = [...shared, entry];
  // A pack that could not be opened may be mended and asked for again.
  models.catch(() => {
    shared = shared.filter((one) => one !== entry);
  });
  return models;
}

/**
 * Gives back the memory of all models that calls of this package have loaded. The next call loads what it needs again. A program that
 * ends need not call this: models do not keep a process alive.
 */
export async function releaseModels(): Promise<void> {
  const released = shared;
  shared = [];
  for (const { models } of released) await (await models.catch(() => null))?.release();
}
