/** Names of what can run a network. */
export type Device = 'cpu' | 'webgpu';
/** `auto`: the faster one, as far as it was tried. */
export type DeviceChoice = Device | 'auto';
export const DEVICE_CHOICES: readonly DeviceChoice[] = ['auto', 'cpu', 'webgpu'];
