/** What a language model costs in memory. */
import { layerWeights } from '../../../model/language/language-model.js';
import type { LanguageConfig } from '../../../model/pack/index.js';

export interface MemoryCost {
  /** Bytes that stay while it is loaded. */
  readonly loaded: number;
  /** Most bytes while it is being loaded. */
  readonly loading: number;
  /** Bytes for every 1,000 tokens of a conversation. */
  readonly conversation: number;
}

/** Bytes a weight takes in blocks of 32 with a float32 scale. */
const blockBytes = (bits: 4 | 8): number => bits / 8 + 4 / 32;

/** @param bits of the layers' blocks as they run */
export function memoryCost(config: LanguageConfig, bits: 4 | 8): MemoryCost {
  const { vocab, hidden, layers, kv_heads, head_dim, tied } = config;
  const graph = layerWeights(config) * blockBytes(bits) + vocab * hidden * blockBytes(8);
  // The embedding matrix is looked up outside the graph as well, where it is the head too a second time.
  const table = vocab * hidden * blockBytes(8);
  return {
    loaded: graph + table * (tied ? 1 : 2),
    // The files' tensors and the rounded ones; up to 1 GiB the serialised graph, which grows by doubling, and its copy with an output in
    // front; what ONNX Runtime keeps. SmolLM2-135M in 8 bits: 0.86 GB measured.
    loading: (graph > 2 ** 30 ? 3 : 5.5) * graph + table,
    conversation: 1000 * layers * 2 * kv_heads * head_dim * 4,
  };
}
