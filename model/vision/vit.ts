/**
 * Vision transformers (Dosovitskiy et al., 2021) with pre-norm residual blocks: one definition for EVA-CLIP, CLIP, SigLIP and
 * SmolVLM's tower. They differ in a few layers, told by VitConfig, and in the names of their tensors, told by a VitLayout.
 */
import { ops, type Value } from '../graph/index.js';
import { float32 } from '../runtime/tensor.js';
import { linear, norm, under, type WeightSource } from './layers.js';
import type { Step } from './stages.js';

export const ACTIVATIONS = { gelu: ops.gelu, gelu_tanh: ops.geluTanh, quick_gelu: ops.quickGelu } as const;
export type Activation = keyof typeof ACTIVATIONS;

export interface VitConfig {
  /** Side of the square input in pixels. */
  readonly image: number;
  /** Side of a patch in pixels. */
  readonly patch: number;
  readonly width: number;
  /** Number of blocks that are computed. */
  readonly depth: number;
  readonly heads: number;
  /** Width of the feed-forward's hidden layer. */
  readonly inner: number;
  readonly activation: Activation;
  /** Of the layer norms. */
  readonly eps: number;
  /** A learned token in front of the patches' tokens. */
  readonly classToken: boolean;
  readonly patchBias: boolean;
  /** A norm between the embeddings and the first block. */
  readonly normBefore: boolean;
  /** A norm after the last block, over all tokens. */
  readonly normAfter: boolean;
}

/** The names of a published layout. Shapes differ by leading axes of 1 only, so what is asked for is told with them. */
export interface VitLayout {
  readonly patches: string;
  readonly classToken: { readonly name: string; readonly lead: readonly number[] };
  readonly positions: { readonly name: string; readonly lead: readonly number[] };
  readonly normBefore: string;
  readonly normAfter: string;
  /** Everything of a block has this in front of its name. */
  block(index: number): string;
  readonly norm1: string;
  readonly norm2: string;
  /** Queries, keys and values (N, tokens, W each) of normalised tokens (N, tokens, W). */
  projections(x: Value, weights: WeightSource, block: string): [Value, Value, Value];
  readonly out: string;
  readonly mlp: readonly [string, string];
}

/** Names of timm's ViT with EVA's biases: queries and values have one, keys none. */
export const EVA_LAYOUT: VitLayout = {
  patches: 'patch_embed.proj',
  classToken: { name: 'cls_token', lead: [1, 1] },
  positions: { name: 'pos_embed', lead: [1] },
  normBefore: '',
  normAfter: 'norm',
  block: (index) => `blocks.${index}.`,
  norm1: 'norm1',
  norm2: 'norm2',
  projections(x, weights, block) {
    const width = x.dims.at(-1) as number;
    const [q, k, v] = ops.split(linear(x, weights, `${block}attn.qkv`, 3 * width, false), -1, [width, width, width]) as [Value, Value, Value];
    return [ops.add(q, weights(`${block}attn.q_bias`, [width])), k, ops.add(v, weights(`${block}attn.v_bias`, [width]))];
  },
  out: 'attn.proj',
  mlp: ['mlp.fc1', 'mlp.fc2'],
};

/** Names of Hugging Face's CLIP, SigLIP, Idefics3 and SmolVLM vision models. `pre_layrnorm` is spelt so. */
export const HUGGING_FACE_LAYOUT: VitLayout = {
  patches: 'embeddings.patch_embedding',
  classToken: { name: 'embeddings.class_embedding', lead: [] },
  positions: { name: 'embeddings.position_embedding.weight', lead: [] },
  normBefore: 'pre_layrnorm',
  normAfter: 'post_layernorm',
  block: (index) => `encoder.layers.${index}.`,
  norm1: 'layer_norm1',
  norm2: 'layer_norm2',
  projections(x, weights, block) {
    const width = x.dims.at(-1) as number;
    return ['q_proj', 'k_proj', 'v_proj'].map((name) => linear(x, weights, `${block}self_attn.${name}`, width)) as [Value, Value, Value];
  },
  out: 'self_attn.out_proj',
  mlp: ['mlp.fc1', 'mlp.fc2'],
};

/** How pixels of 0..255 enter a network: (x * rescale - mean) / std, for red, green and blue. */
export interface Normalisation {
  readonly rescale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export function vitPatches({ image, patch }: VitConfig): number {
  return Math.floor(image / patch) ** 2;
}

export function vitTokens(config: VitConfig): number {
  return vitPatches(config) + (config.classToken ? 1 : 0);
}

/** Pixels (N, size, size, 3) uint8 to planes (N, 3, size, size) as the network was trained on them. */
export function pixelStep({ rescale, mean, std }: Normalisation): Step {
  return {
    elements: 0,
    apply(pixels) {
      const perColour = (values: readonly number[]): Value => ops.constant(pixels.graph, float32(Float32Array.from(values), [1, 3, 1, 1]));
      const planes = ops.cast(ops.transpose(pixels, [0, 3, 1, 2]), 'float32');
      return ops.mul(ops.sub(ops.mul(planes, rescale), perColour(mean)), perColour(std.map((value) => 1 / value)));
    },
  };
}

/**
 * The network as steps: planes (N, 3, size, size) to tokens (N, tokens, W).
 * @param prefix in front of every tensor's name
 */
export function vitSteps(config: VitConfig, layout: VitLayout, prefix = ''): Step[] {
  const { width, depth, heads, inner, eps, patch } = config;
  const activate = ACTIVATIONS[config.activation];
  const embed: Step = {
    elements: width * (3 * patch * patch + vitTokens(config)),
    apply: (planes, source) => embedPatches(config, layout, planes, under(source, prefix)),
  };
  const block = (index: number): Step => ({
    elements: width * (4 * width + 2 * inner),
    apply(x, source) {
      const weights = under(source, prefix);
      const name = layout.block(index);
      const [q, k, v] = layout.projections(norm(x, weights, name + layout.norm1, eps), weights, name);
      const attended = ops.add(x, linear(ops.attention(q, k, v, heads), weights, name + layout.out, width));
      const hidden = activate(linear(norm(attended, weights, name + layout.norm2, eps), weights, name + layout.mlp[0], inner));
      return ops.add(attended, linear(hidden, weights, name + layout.mlp[1], width));
    },
  });
  const after: Step = { elements: 2 * width, apply: (x, source) => norm(x, under(source, prefix), layout.normAfter, eps) };
  return [embed, ...Array.from({ length: depth }, (_, index) => block(index)), ...(config.normAfter ? [after] : [])];
}

/** (N, 3, size, size) to (N, tokens, W): patches row by row, behind the class token, with their positions. */
function embedPatches(config: VitConfig, layout: VitLayout, planes: Value, weights: WeightSource): Value {
  const { width, patch, eps } = config;
  const count = vitPatches(config);
  const kernel = weights(`${layout.patches}.weight`, [width, 3, patch, patch]);
  const bias = config.patchBias ? weights(`${layout.patches}.bias`, [width]) : null;
  const map = ops.conv2d(planes, kernel, bias, { stride: patch }); // (N, W, side, side)
  const patches = ops.transpose(ops.reshape(map, [0, width, count]), [0, 2, 1]);
  const vectors = ({ name, lead }: VitLayout['positions'], rows: number[]): Value => ops.reshape(weights(name, [...lead, ...rows, width]), [-1, width]);
  const positions = vectors(layout.positions, [vitTokens(config)]);
  if (!config.classToken) return before(ops.add(patches, positions));
  const [first, others] = ops.split(positions, 0, [1, count]) as [Value, Value];
  const token = ops.add(vectors(layout.classToken, []), first); // (1, W)
  const placed = ops.add(patches, others);
  // The token takes the batch's size from the patches: 0 times one of them.
  const repeated = ops.add(ops.mul(ops.slice(placed, 1, 0, 1), 0), token);
  return before(ops.concat([repeated, placed], 1));

  function before(tokens: Value): Value {
    return config.normBefore ? norm(tokens, weights, layout.normBefore, eps) : tokens;
  }
}
