/** The weights of a Llama-family decoder as a pack stores them, and their plain float32 form. */
import type { LanguageConfig } from '../pack/manifest.js';
import type { TensorFile } from '../pack/tensor-file.js';
import { decodeFloat16 } from '../runtime/float16.js';

/** Weights that share one scale: what GGUF and ONNX Runtime's kernels call a block. */
export const BLOCK = 32;

/** A matrix of 4-bit blocks (N, K): w = scale * q + min, with q in 0..15. */
export interface Q4Matrix {
  /** Rows N: numbers that come out. */
  readonly out: number;
  /** Columns K: numbers that go in. */
  readonly in: number;
  /** (N, K/32, 16): element 2j of a block in the low half of byte j, 2j + 1 in the high half. */
  readonly q4: Uint8Array;
  /** (N, K/32) */
  readonly scale: Float32Array;
  /** (N, K/32) */
  readonly min: Float32Array;
}

/** A low-rank change of a matrix: y += (x a) b. */
export interface Adapter {
  readonly rank: number;
  /** (K, rank) */
  readonly a: Float32Array;
  /** (rank, N) */
  readonly b: Float32Array;
}

export interface Linear {
  readonly base: Q4Matrix;
  readonly adapter: Adapter | null;
}

export const LINEARS = ['qkv', 'o', 'gate_up', 'down'] as const;
export type LinearName = (typeof LINEARS)[number];

export interface LayerWeights {
  /** (hidden) */
  readonly attentionNorm: Float32Array;
  /** (hidden) */
  readonly mlpNorm: Float32Array;
  readonly linears: Readonly<Record<LinearName, Linear>>;
}

/** The embedding matrix (V, H), which is the output head too: w = scale * q per block of 32. */
export interface EmbeddingWeights {
  /** (V, H) */
  readonly q8: Int8Array;
  /** (V, H/32) */
  readonly scale: Float32Array;
}

export interface DecoderWeights {
  readonly config: LanguageConfig;
  readonly embedding: EmbeddingWeights;
  /** Scale of the last RMSNorm (hidden). */
  readonly norm: Float32Array;
  readonly layers: readonly LayerWeights[];
}

/** Rows and columns of a layer's four matrices; matrices that read the same input are stored as one. */
export function linearShape(config: LanguageConfig, name: LinearName): { out: number; in: number } {
  const { hidden, heads, kv_heads, head_dim, intermediate } = config;
  switch (name) {
    case 'qkv':
      return { out: (heads + 2 * kv_heads) * head_dim, in: hidden };
    case 'o':
      return { out: hidden, in: heads * head_dim };
    case 'gate_up':
      return { out: 2 * intermediate, in: hidden };
    case 'down':
      return { out: hidden, in: intermediate };
  }
}

/**
 * Reads a decoder's weights.
 * @param shards files that hold the layers' tensors between them
 * @param adapter file of the low-rank change, or null for the unchanged model
 * @throws SafetensorsError naming the tensor that is missing or has another shape
 */
export function readDecoderWeights(
  config: LanguageConfig,
  shards: readonly TensorFile[],
  embedding: TensorFile,
  adapter: TensorFile | null,
): DecoderWeights {
  const holder = (name: string): TensorFile => shards.find((shard) => shard.has(name)) ?? (shards[0] as TensorFile);
  const vector = (name: string): Float32Array => holder(name).get(name, [config.hidden]).data as Float32Array;
  const { vocab, hidden } = config;
  return {
    config,
    embedding: {
      q8: embedding.get('embed.q8', [vocab, hidden]).data as Int8Array,
      scale: half(embedding, 'embed.scale', [vocab, hidden / BLOCK]),
    },
    norm: vector('norm'),
    layers: Array.from({ length: config.layers }, (_, layer) => ({
      attentionNorm: vector(`layers.${layer}.attention_norm`),
      mlpNorm: vector(`layers.${layer}.mlp_norm`),
      linears: Object.fromEntries(
        LINEARS.map((name) => [name, readLinear(config, `layers.${layer}.${name}`, name, holder, adapter)]),
      ) as Record<LinearName, Linear>,
    })),
  };
}

function readLinear(
  config: LanguageConfig,
  key: string,
  name: LinearName,
  holder: (name: string) => TensorFile,
  adapter: TensorFile | null,
): Linear {
  const { out, in: columns } = linearShape(config, name);
  const blocks = columns / BLOCK;
  const file = holder(`${key}.q4`);
  const base: Q4Matrix = {
    out,
    in: columns,
    q4: file.get(`${key}.q4`, [out, blocks, BLOCK / 2]).data as Uint8Array,
    scale: half(file, `${key}.scale`, [out, blocks]),
    min: half(file, `${key}.min`, [out, blocks]),
  };
  if (adapter === null) return { base, adapter: null };
  const rank = adapter.get(`${key}.a`).dims[1] as number;
  return { base, adapter: { rank, a: half(adapter, `${key}.a`, [columns, rank]), b: half(adapter, `${key}.b`, [rank, out]) } };
}

function half(file: TensorFile, name: string, dims: readonly number[]): Float32Array {
  return decodeFloat16(file.get(name, dims).data as Uint16Array);
}

/** The matrix as float32 (N, K). */
export function dequantize(matrix: Q4Matrix): Float32Array {
  const values = new Float32Array(matrix.out * matrix.in);
  dequantizeInto(matrix, 0, values);
  return values;
}

/** Rows of the matrix from `row` on as float32, as many as `values` has room for. */
export function dequantizeInto(matrix: Q4Matrix, row: number, values: Float32Array): void {
  const { q4, scale, min } = matrix;
  let block = (row * matrix.in) / BLOCK;
  let byte = (row * matrix.in) / 2;
  for (let at = 0; at < values.length; block++) {
    const d = scale[block] as number;
    const m = min[block] as number;
    for (const end = at + BLOCK; at < end; at += 2) {
      const pair = q4[byte++] as number;
      values[at] = d * (pair & 15) + m;
      values[at + 1] = d * (pair >> 4) + m;
    }
  }
}

/** The embeddings of `ids` as float32 (ids.length, H), written at `offset` of `into`. */
export function embed(config: LanguageConfig, embedding: EmbeddingWeights, ids: readonly number[], into: Float32Array, offset = 0): void {
  const { hidden, vocab } = config;
  const blocks = hidden / BLOCK;
  for (const [row, id] of ids.entries()) {
    if (!Number.isInteger(id) || id < 0 || id >= vocab) throw new RangeError(`token ${id} is outside the vocabulary of ${vocab}`);
    for (let i = 0; i < hidden; i++) {
      const scale = embedding.scale[id * blocks + Math.floor(i / BLOCK)] as number;
      into[offset + row * hidden + i] = scale * (embedding.q8[id * hidden + i] as number);
    }
  }
}
