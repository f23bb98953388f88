/** Model packs: the folder format that carries a vision tower, a language model and what joins them. */
export { ModelPack, type PackSource } from './pack.js';
export { PackError, parseManifest, type LanguageConfig, type PackManifest, type PromptConfig, type RetrievalConfig, type VisionConfig } from './manifest.js';
export { readSafetensors, SafetensorsError, writeSafetensors, type TensorFile } from './safetensors.js';
