/** The models a command uses: its own, or those it is handed where several commands run in one process. */
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import type { Models } from '../../projector/library/models.js';
import { oneLine } from './failure.js';
import { errorStream, modelOpener } from './surroundings.js';

export interface ModelOptions {
  /** Folder of the model pack; default: the one that comes with latentchat. */
  readonly pack?: string;
  readonly threads: number;
  /** What runs the networks that see and draw. Default: the processor. */
  readonly device?: DeviceChoice;
  /** See ChatModelOptions. */
  readonly independent?: boolean;
}

/** Opens the pack; its parts are loaded when they are needed. @throws PackError */
export function openModels(options: ModelOptions): Promise<Models> {
  return (modelOpener() ?? ownModels)(options);
}

/** Models of its own, wherever the command runs. */
export async function ownModels({ pack, threads, device = 'cpu', independent = false }: ModelOptions): Promise<Models> {
  const { loadModels } = await import('../../projector/library/shared-models.node.js');
  return loadModels({
    threads,
    device,
    onFallback: tellFallback,
    chat: { independent },
    onUntrained: tellUntrained,
    ...(pack === undefined ? {} : { pack }),
  });
}

/** Says that the processor runs a network which WebGPU refuses. */
export function tellFallback(reason: string): void {
  errorStream().write(`${oneLine(`WebGPU refuses a network, which the processor runs instead: ${reason}`)}\n`);
}

function tellUntrained(pack: string): void {
  errorStream().write(`The projector of pack ${pack} has learned nothing yet: answers about videos mean nothing until "latentchat train projector" has run.\n`);
}
