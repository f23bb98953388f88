/** The weights of a Llama-family decoder as a pack stores them, and their plain float32 form. */
import type { LanguageConfig } from '../pack/manifest.js';
import type { TensorFile } from '../pack/tensor-file.js';
import { decodeFloat16 } from '../runtime/float16.js';
import { BLOCK, dequantizeInto, type Matrix } from './matrix.js';

/** A low-rank change of a matrix: y += (x a) b. */
export interface Adapter {
  readonly rank: number;
  /** (K, rank) */
  readonly a: Float32Array;
  /** (rank, N) */
  readonly b: Float32Array;
}

export interface Linear {
  readonly base: Matrix;
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

export interface DecoderWeights {
  readonly config: LanguageConfig;
  /** (V, H) */
  readonly embedding: Matrix;
  /** (V, H): the output head, or null where the embedding matrix is the head too. */
  readonly head: Matrix | null;
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
  return {
    config,
    embedding: readTable(config, embedding, 'embed'),
    head: config.tied ? null : readTable(config, embedding, 'head'),
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

/** A matrix of the vocabulary (V, H), int8 around 0. */
function readTable(config: LanguageConfig, file: TensorFile, name: string): Matrix {
  const { vocab, hidden } = config;
  const signed = file.get(`${name}.q8`, [vocab, hidden]).data;
  const q8 = new Uint8Array(signed.length);
  for (let i = 0; i < q8.length; i++) q8[i] = (signed[i] as number) + 128;
  return { form: 'q8', out: vocab, in: hidden, q8, scale: scales(file, `${name}.scale`, [vocab, hidden / BLOCK]) };
}

function readLinear(
  config: LanguageConfig,
  key: string,
  name: LinearName,
  holder: (name: string) => TensorFile,
  adapter: TensorFile | null,
): Linear {
  const { out, in: columns } = linearShape(config, name);
  const base = readBlocks(holder, key, out, columns);
  if (adapter === null) return { base, adapter: null };
  const rank = adapter.get(`${key}.a`).dims[1] as number;
  return { base, adapter: { rank, a: scales(adapter, `${key}.a`, [columns, rank]), b: scales(adapter, `${key}.b`, [rank, out]) } };
}

/** `q4` with `scale` and, where blocks have minima of their own, `min`; or `q8` (uint8 around 128) with `scale`. */
function readBlocks(holder: (name: string) => TensorFile, key: string, out: number, columns: number): Matrix {
  const blocks = columns / BLOCK;
  const eight = holder(`${key}.q8`);
  if (eight.has(`${key}.q8`)) {
    const q8 = eight.get(`${key}.q8`, [out, blocks, BLOCK]).data as Uint8Array;
    return { form: 'q8', out, in: columns, q8, scale: scales(eight, `${key}.scale`, [out, blocks]) };
  }
  const file = holder(`${key}.q4`);
  const minima = file.has(`${key}.min`);
  return {
    form: 'q4',
    out,
    in: columns,
    q4: file.get(`${key}.q4`, [out, blocks, BLOCK / 2]).data as Uint8Array,
    scale: scales(file, `${key}.scale`, [out, blocks]),
    min: minima ? scales(file, `${key}.min`, [out, blocks]) : null,
  };
}

/** Float16 or float32 numbers as float32. */
function scales(file: TensorFile, name: string, dims: readonly number[]): Float32Array {
  const { data } = file.get(name, dims);
  return data instanceof Float32Array ? data : decodeFloat16(data as Uint16Array);
}

/** The embeddings of `ids` as float32 (ids.length, H). @throws RangeError for an id outside the vocabulary */
export function embed(embedding: Matrix, ids: readonly number[]): Float32Array {
  const { out: vocab, in: hidden } = embedding;
  const rows = new Float32Array(ids.length * hidden);
  for (const [row, id] of ids.entries()) {
    if (!Number.isInteger(id) || id < 0 || id >= vocab) throw new RangeError(`token ${id} is outside the vocabulary of ${vocab}`);
    dequantizeInto(embedding, id, rows.subarray(row * hidden, (row + 1) * hidden));
  }
  return rows;
}
