/** The runtime of the networks that see and draw, on the device that was chosen. */
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import { resolveDevice } from '../../model/runtime/device.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import type { Runtime } from '../../model/runtime/types.js';
import { oneLine, UserError } from './failure.js';
import { errorStream } from './surroundings.js';

/** @throws UserError where WebGPU is asked for and does not work */
export async function pictureRuntime(choice: DeviceChoice, threads: number): Promise<Runtime> {
  const device = await resolveDevice(choice).catch((error: unknown) => {
    throw new UserError(error instanceof Error ? error.message : String(error));
  });
  const onFallback = (reason: string): void => {
    errorStream().write(`${oneLine(`WebGPU refuses a network, which the processor runs instead: ${reason}`)}\n`);
  };
  return nodeRuntime({ threads, device, onFallback });
}
