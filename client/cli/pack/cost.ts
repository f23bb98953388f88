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
    // The file's tensors, the serialised graph, its copy with an output in front, and what ONNX Runtime keeps of it.
    loading: 4 * graph + table,
    conversation: 1000 * layers * 2 * kv_heads * head_dim * 4,
  };
}
