export type { BlockCoding } from './block.js';
export { ContainerError, type ContainerErrorCode } from './errors.js';
export type { SectionEntry } from './header.js';
export type { JsonObject, JsonValue } from './json.js';
export { DEFAULT_LATENT_BITS } from './latents.js';
export { DEFAULT_TENSOR_BITS, type TensorCoding } from './network.js';
export { inspectContainer, readContainer, readHead, type ContainerHead, type ContainerReport } from './read.js';
export type { Coder, Container, ContainerMeta, ContainerNetwork, ContainerTensor } from './types.js';
export { writeContainer, type WriteOptions } from './write.js';
