/**
 * The decoder as a graph: token embeddings in, logits out, keys and values appended to caches in place.
 * Llama's layer: x += attention(RMSNorm(x)); x += SwiGLU(RMSNorm(x)), with rotary positions and grouped-query attention.
 */
import { Graph, ops, type Value } from '../graph/index.js';
import type { HostTensor } from '../runtime/tensor.js';
import type { LanguageConfig } from '../pack/manifest.js';
import { fp32Linear, product, q4Linear, q8Product, transposed, type WeightKind } from './linear.js';
import { dequantize, type Matrix, type Q8Matrix } from './matrix.js';
import { rotaryFrequencies } from './rotary.js';
import { type DecoderWeights, type LinearName } from './weights.js';

const MICROSOFT = 'com.microsoft';

/** Names of a layer's cache tensors among the graph's inputs and outputs. */
export const cacheNames = (layer: number): { pastKey: string; pastValue: string; key: string; value: string } => ({
  pastKey: `past_key_${layer}`,
  pastValue: `past_value_${layer}`,
  key: `key_${layer}`,
  value: `value_${layer}`,
});

/** Base and adapter merged and rounded to 8 bits, a matrix for each layer and name; needed for kind `q8` only. */
export type MergedLayers = readonly Readonly<Record<LinearName, Q8Matrix>>[];

/** A linear layer as it enters the graph. */
type LinearOf = (x: Value, layer: number, name: LinearName) => Value;

/**
 * Inputs: `embeddings` (B, S, H); `last_position` int32 (B), the index of each row's last new token in its cache;
 * `total_length` int32 (1), the greatest of those plus one; `first_logit` int64 (1), the first of the S positions
 * whose logits are wanted; `past_key_i`, `past_value_i` (B, kv_heads, M, head_dim), room for M positions.
 * Outputs: `logits` (B, L, V) for positions first_logit .. S-1; `key_i`, `value_i`, to be fetched into the past's memory.
 *
 * @param positions rows of the rotary tables: the longest sequence the graph can be run on
 */
export function buildDecoder(weights: DecoderWeights, kind: WeightKind, merged: MergedLayers | null, positions: number): Graph {
  const { config } = weights;
  const graph = new Graph('llama-decoder');
  const { embeddings, shared } = sequenceInputs(graph, config, positions);
  const firstLogit = graph.input('first_logit', 'int64', [1]);
  const linear: LinearOf = (x, layer, name) => {
    const label = `layers.${layer}.${name}`;
    if (kind === 'q8') return q8Product(x, (merged as MergedLayers)[layer]?.[name] as Q8Matrix, label);
    const source = (weights.layers[layer] as DecoderWeights['layers'][number]).linears[name];
    return kind === 'q4' ? q4Linear(x, source, label) : fp32Linear(x, source, label);
  };
  const residuals = layerStack(weights, embeddings, linear, (qkv, layer) => cachedAttention(config, qkv, layer, shared));
  const wanted = fromPosition(residuals.at(-1) as Value, firstLogit);
  const last = rmsNorm(wanted, norm(graph, 'norm', weights.norm), config.rms_eps);
  graph.output('logits', head(last, weights.head ?? weights.embedding, kind));
  return graph;
}

/** Which hidden states of a text are wanted: layers counted from 1, 0 being the embeddings. */
export interface PooledLayers {
  /** Layers whose states are averaged over all tokens but the first, which takes most attention and says least. */
  readonly mean: readonly number[];
  /** Layers of which the last token's state is taken. */
  readonly last: readonly number[];
}

/**
 * The first layers of a decoder over one whole text at once, without a cache.
 * Inputs: `embeddings` (1, S, H), S at least 2; `last_position` int32 (1), S - 1; `total_length` int32 (1), S.
 * Output: `states` (1, (means + lasts) * H), the means in their order, then the lasts.
 *
 * @param weights of as many layers as are wanted; deeper ones are left out of the graph
 */
export function buildPooledStates(weights: DecoderWeights, kind: 'q4' | 'fp32', pooled: PooledLayers, positions: number): Graph {
  const { config } = weights;
  const graph = new Graph('llama-states');
  const { embeddings, shared } = sequenceInputs(graph, config, positions);
  const deepest = Math.max(0, ...pooled.mean, ...pooled.last);
  const first = { ...weights, layers: weights.layers.slice(0, deepest) };
  const linear: LinearOf = (x, layer, name) => {
    const source = (first.layers[layer] as DecoderWeights['layers'][number]).linears[name];
    return (kind === 'q4' ? q4Linear : fp32Linear)(x, source, `layers.${layer}.${name}`);
  };
  const states = [embeddings, ...layerStack(first, embeddings, linear, (qkv) => wholeAttention(config, qkv, shared))];
  const state = (layer: number): Value => states[layer] as Value;
  const means = pooled.mean.map((layer) => ops.reduceMean(ops.slice(state(layer), 1, 1, Number.MAX_SAFE_INTEGER), [1], false));
  const lasts = pooled.last.map((layer) => ops.reshape(ops.slice(state(layer), 1, -1, Number.MAX_SAFE_INTEGER), [1, config.hidden]));
  graph.output('states', ops.concat([...means, ...lasts], 1));
  return graph;
}

function sequenceInputs(graph: Graph, config: LanguageConfig, positions: number): { embeddings: Value; shared: AttentionInputs } {
  return {
    embeddings: graph.input('embeddings', 'float32', ['B', 'S', config.hidden]),
    shared: {
      lastPosition: graph.input('last_position', 'int32', ['B']),
      totalLength: graph.input('total_length', 'int32', [1]),
      ...rotaryTables(graph, config, positions),
    },
  };
}

function norm(graph: Graph, name: string, data: Float32Array): Value {
  return graph.initializer(name, { dtype: 'float32', dims: [data.length], data });
}

/** The residual stream (B, S, H) after each layer. */
function layerStack(weights: DecoderWeights, embeddings: Value, linear: LinearOf, attention: (qkv: Value, layer: number) => Value): Value[] {
  const { config } = weights;
  const { graph } = embeddings;
  const attentionNorms = weights.layers.map((layer, index) => norm(graph, `layers.${index}.attention_norm`, layer.attentionNorm));
  const residuals: Value[] = [];
  let residual = embeddings;
  let normed = rmsNorm(residual, attentionNorms[0] as Value, config.rms_eps);
  for (const [index, layer] of weights.layers.entries()) {
    const attended = attention(linear(normed, index, 'qkv'), index);
    const mlpNorm = norm(graph, `layers.${index}.mlp_norm`, layer.mlpNorm);
    const middle = addAndNorm(residual, linear(attended, index, 'o'), mlpNorm, config.rms_eps);
    const [gate, up] = ops.split(linear(middle.normed, index, 'gate_up'), -1, [config.intermediate, config.intermediate]) as [Value, Value];
    const down = linear(ops.mul(silu(gate), up), index, 'down');
    const nextNorm = attentionNorms[index + 1];
    if (nextNorm === undefined) residual = ops.add(middle.sum, down);
    // The next layer's first norm rides on this layer's last addition.
    else ({ sum: residual, normed } = addAndNorm(middle.sum, down, nextNorm, config.rms_eps));
    residuals.push(residual);
  }
  return residuals;
}

interface AttentionInputs {
  readonly lastPosition: Value;
  readonly totalLength: Value;
  readonly cos: Value;
  readonly sin: Value;
}

/** Grouped-query attention over the cache and the new tokens: packed q, k, v (B, S, (heads + 2 kv_heads) * head_dim) to (B, S, H). */
function cachedAttention(config: LanguageConfig, qkv: Value, layer: number, shared: AttentionInputs): Value {
  const graph = qkv.graph;
  const names = cacheNames(layer);
  const cacheDims = ['B', config.kv_heads, 'M', config.head_dim];
  const past: [Value, Value] = [graph.input(names.pastKey, 'float32', cacheDims), graph.input(names.pastValue, 'float32', cacheDims)];
  const [attended, key, value] = attention(config, qkv, past, shared, cacheDims);
  graph.output(names.key, key);
  graph.output(names.value, value);
  return attended;
}

/** The same over the new tokens alone. */
function wholeAttention(config: LanguageConfig, qkv: Value, shared: AttentionInputs): Value {
  return attention(config, qkv, [null, null], shared, ['B', config.kv_heads, 'S', config.head_dim])[0];
}

function attention(
  config: LanguageConfig,
  qkv: Value,
  past: readonly [Value | null, Value | null],
  { lastPosition, totalLength, cos, sin }: AttentionInputs,
  cacheDims: readonly (string | number)[],
): [Value, Value, Value] {
  return qkv.graph.op(
    'GroupQueryAttention',
    [qkv, null, null, ...past, lastPosition, totalLength, cos, sin],
    { num_heads: config.heads, kv_num_heads: config.kv_heads, do_rotary: 1, rotary_interleaved: 0 },
    {
      domain: MICROSOFT,
      outputs: [
        { dtype: 'float32', dims: ['B', 'S', config.heads * config.head_dim] },
        { dtype: 'float32', dims: cacheDims },
        { dtype: 'float32', dims: cacheDims },
      ],
    },
  ) as [Value, Value, Value];
}

/** cos and sin (positions, head_dim / 2) of position * frequency, computed in double precision. */
function rotaryTables(graph: Graph, config: LanguageConfig, positions: number): { cos: Value; sin: Value } {
  const frequencies = rotaryFrequencies(config, positions);
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (const [i, frequency] of frequencies.entries()) {
      cos[position * half + i] = Math.cos(position * frequency);
      sin[position * half + i] = Math.sin(position * frequency);
    }
  }
  const dims = [positions, half];
  return {
    cos: graph.initializer('rotary_cos', { dtype: 'float32', dims, data: cos }),
    sin: graph.initializer('rotary_sin', { dtype: 'float32', dims, data: sin }),
  };
}

/** x / sqrt(mean(x^2) + eps) * scale as one node. */
function rmsNorm(x: Value, scale: Value, eps: number): Value {
  const attributes = { axis: -1, epsilon: { float: eps }, stash_type: 1 };
  return x.graph.op('SimplifiedLayerNormalization', [x, scale], attributes, { outputs: [{ dtype: x.dtype, dims: x.dims }] })[0] as Value;
}

/** The sum x + y and its RMSNorm as one node. */
function addAndNorm(x: Value, y: Value, scale: Value, eps: number): { sum: Value; normed: Value } {
  const full = { dtype: x.dtype, dims: x.dims };
  // The kernel's second and third outputs (mean, inverse deviation) exist for training only.
  const [normed, , , sum] = x.graph.op('SkipSimplifiedLayerNormalization', [x, y, scale], { epsilon: { float: eps } }, {
    domain: MICROSOFT,
    outputs: [full, full, full, full],
  }) as [Value, Value, Value, Value];
  return { sum, normed };
}

/** x * sigmoid(x) as one node. */
function silu(x: Value): Value {
  return x.graph.op('QuickGelu', [x], { alpha: { float: 1 } }, { domain: MICROSOFT, outputs: [{ dtype: x.dtype, dims: x.dims }] })[0] as Value;
}

/** Positions `start` (1) and later of x (B, S, H). */
function fromPosition(x: Value, start: Value): Value {
  const graph = x.graph;
  const int64 = (name: string, value: bigint): Value => graph.initializer(name, { dtype: 'int64', dims: [1], data: BigInt64Array.of(value) });
  const inputs = [x, start, int64('slice_end', BigInt(Number.MAX_SAFE_INTEGER)), int64('slice_axis', 1n)];
  const outputs = [{ dtype: x.dtype, dims: ['B', 'L', x.dims[2] as number] }];
  return graph.op('Slice', inputs, {}, { outputs })[0] as Value;
}

/** Logits (B, L, V): products with every row of the head (V, H). */
function head(x: Value, matrix: Matrix, kind: WeightKind): Value {
  if (kind !== 'fp32') return product(x, matrix, 'head');
  const { out, in: columns } = matrix;
  const weight: HostTensor = { dtype: 'float32', dims: [columns, out], data: transposed(dequantize(matrix), out, columns) };
  return ops.matmul(x, x.graph.initializer('head.weight', weight));
}
