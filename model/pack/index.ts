/** Model packs: the folder format that carries a vision tower, a language model and what joins them. */
export { ModelPack, type PackSource } from './pack.js';
export { PackError, parseManifest, type PackErrorCode, type ConceptsConfig, type ConfidenceConfig, type LanguageConfig, type PackManifest, type PromptConfig, type RetrievalConfig, type VisionConfig } from './manifest.js';
export { Tower, towerContradiction, type TowerConfig } from './tower-config.js';
export { memoryBytes, type WeightBytes } from './bytes.js';
export { readSafetensors, SafetensorsError, writeSafetensors } from './safetensors.js';
export { readTorchFile } from './torch/read.js';
export { TorchFileError } from './torch/limits.js';
export { joined, prefixed, TensorFileError, type StoredType, type TensorFile, type TensorInfo } from './tensor-file.js';
