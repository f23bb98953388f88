/** A published decoder, read layer by layer: at no time more of it is in memory than its user keeps. */
import type { LanguageConfig } from '../../pack/manifest.js';
import type { Matrix } from '../matrix.js';
import { LINEARS, type DecoderWeights, type LayerWeights, type LinearName } from '../weights.js';

/** How tensors of one stored type enter the decoder's blocks. */
export interface WeightHandling {
  /** As the format calls it: BF16, Q4_K and so on. */
  readonly stored: string;
  readonly tensors: number;
  /** Exact, or rounded once to blocks of so many bits. */
  readonly becomes: 'kept exactly' | 'rounded to 4 bits' | 'rounded to 8 bits' | 'float32';
}

export interface DecoderSource {
  readonly config: LanguageConfig;
  /** (V, H) */
  embedding(): Matrix;
  /** (V, H), or null where the embedding matrix is the head too. */
  head(): Matrix | null;
  /** (H) */
  norm(): Float32Array;
  layer(index: number): LayerWeights;
  /** Of the matrices, most frequent type first. */
  handling(): WeightHandling[];
}

/** A layer without an adapter. */
export function layerOf(attentionNorm: Float32Array, mlpNorm: Float32Array, matrix: (name: LinearName) => Matrix): LayerWeights {
  const linears = Object.fromEntries(LINEARS.map((name) => [name, { base: matrix(name), adapter: null }])) as LayerWeights['linears'];
  return { attentionNorm, mlpNorm, linears };
}

/** The whole decoder in memory. */
export function loadDecoder(source: DecoderSource): DecoderWeights {
  return {
    config: source.config,
    embedding: source.embedding(),
    head: source.head(),
    norm: source.norm(),
    layers: Array.from({ length: source.config.layers }, (_, layer) => source.layer(layer)),
  };
}

/** Counts of stored types as handling. */
export function countHandling(types: readonly { readonly stored: string; readonly becomes: WeightHandling['becomes'] }[]): WeightHandling[] {
  const counts = new Map<string, WeightHandling>();
  for (const { stored, becomes } of types) {
    const key = `${stored} ${becomes}`;
    counts.set(key, { stored, becomes, tensors: (counts.get(key)?.tensors ?? 0) + 1 });
  }
  return [...counts.values()].sort((a, b) => b.tensors - a.tensors);
}
