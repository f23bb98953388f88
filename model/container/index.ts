export type { BlockCoding } from './block.js';
export { ContainerError, type ContainerErrorCode } from './errors.js';
export { LinrFile } from './file.js';
export type { SectionEntry } from './header.js';
export type { JsonObject, JsonValue } from './json.js';
export { DEFAULT_LATENT_BITS } from './latents.js';
export { encodeImages } from './images/encode.js';
export { CHANNELS, imageSize, type ImageShape, type LevelImages } from './images/layout.js';
export { countedBits, countedCosts, firstCosts, roundImages, type RoundedImages } from './images/round.js';
export { basisImages, decodeNetwork, DEFAULT_TENSOR_BITS, encodeNetwork, type NetworkOptions, type TensorCoding, type TensorLevels } from './network.js';
export {
  inspectContainer,
  readContainer,
  readHead,
  type ContainerHead,
  type ContainerReport,
  type SegmentEntry,
  type SegmentReport,
} from './read.js';
export { MAX_WARNINGS } from './limits.js';
export { blobSource, bytesSource, HEAD_GUESS_BYTES, openUrl, type ByteSource, type UrlSourceOptions } from './source.js';
export type { CodedImages, Coder, Container, ContainerMeta, ContainerNetwork, ContainerTensor, Mixing } from './types.js';
export { writeContainer, type WriteOptions } from './write.js';
