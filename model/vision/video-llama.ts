/**
 * Video-LLaMA's eye (Zhang et al., 2023, section 2.1): EVA-CLIP's ViT, a norm, and BLIP-2's Q-Former, which makes 32 tokens of
 * 768 numbers of each frame. These are the features the paper's latents are aligned to (Maiya et al., section 3.4). What
 * follows, the video Q-Former and the map to the language model, is the first half of a projector: projector/video-llama.ts.
 */
import type { TensorFile } from '../pack/index.js';
import { norm, under } from './layers.js';
import { qFormer, type QFormerConfig } from './q-former.js';
import type { Step } from './stages.js';
import { EVA_LAYOUT, vitSteps, type VitConfig } from './vit.js';

/** Sizes of the visual branch. */
export interface VideoLlamaConfig {
  readonly vit: VitConfig;
  readonly frame: QFormerConfig;
  readonly video: QFormerConfig;
  /** Frames that have a position. */
  readonly positions: number;
  /** Width of the language model. */
  readonly language: number;
}

const VISION = 'visual_encoder.';
/** PyTorch's default for a LayerNorm, which `ln_vision` is. */
const LN_VISION_EPS = 1e-5;

/** Planes (N, 3, size, size) to the frames' query tokens (N, Q, H). */
export function videoLlamaSteps({ vit, frame }: Pick<VideoLlamaConfig, 'vit' | 'frame'>): Step[] {
  return [...vitSteps(vit, EVA_LAYOUT, VISION), visionNorm, {
    elements: frame.layers * frame.hidden * (6 * frame.hidden + 2 * frame.inner),
    apply: (x, weights) => qFormer(frame, x, weights('query_tokens', [1, frame.queries, frame.hidden]), under(weights, 'Qformer.bert.')),
  }];
}

const visionNorm: Step = { elements: 0, apply: (x, weights) => norm(x, weights, 'ln_vision', LN_VISION_EPS) };

/** The ViT alone with its norm: planes (N, 3, size, size) to (N, tokens, W). */
export function videoLlamaVitSteps({ vit }: VideoLlamaConfig): Step[] {
  return [...vitSteps(vit, EVA_LAYOUT, VISION), visionNorm];
}

/** The sizes of the published checkpoints, which carry none. A config.json of `model_type` video_llama may give others. */
const PUBLISHED = {
  image: 224, patch: 14, vit_width: 1408, vit_depth: 39, vit_heads: 16, mlp_ratio: 4.3637, hidden: 768, heads: 12, inter: 3072, layers: 12,
  cross_freq: 2, queries: 32, video_layers: 2, video_queries: 32, max_frame_pos: 32, llm: 4096,
} as const;

/**
 * @param given sizes that differ from the published ones, by the names in PUBLISHED
 */
export function videoLlamaConfig(given: Readonly<Partial<Record<keyof typeof PUBLISHED, number>>> = {}): VideoLlamaConfig {
  const size = { ...PUBLISHED, ...given } as Record<keyof typeof PUBLISHED, number>;
  const former = { hidden: size.hidden, heads: size.heads, inner: size.inter };
  return {
    vit: {
      image: size.image, patch: size.patch, width: size.vit_width, depth: size.vit_depth, heads: size.vit_heads,
      inner: Math.floor(size.vit_width * size.mlp_ratio), activation: 'gelu', eps: 1e-6,
      classToken: true, patchBias: true, normBefore: false, normAfter: false,
    },
    frame: { ...former, layers: size.layers, crossEvery: size.cross_freq, queries: size.queries },
    video: { ...former, layers: size.video_layers, crossEvery: 1, queries: size.video_queries },
    positions: size.max_frame_pos,
    language: size.llm,
  };
}

/** Tensors that tell what a file of Video-LLaMA's checkpoints holds, and what stands before its names in this module. */
const MARKS: readonly { readonly tensor: string; readonly prefix: string }[] = [
  { tensor: 'blocks.0.attn.q_bias', prefix: VISION },
  { tensor: 'query_tokens', prefix: '' },
  { tensor: 'video_query_tokens', prefix: '' },
  { tensor: `${VISION}cls_token`, prefix: '' },
];

/**
 * One of the published files under this module's names (eva_vit_g.pth has the ViT's without a prefix, the others have
 * everything under `model`), or null where it holds nothing of the visual branch.
 */
export function videoLlamaPart(file: TensorFile): TensorFile | null {
  for (const outer of ['', 'model.']) {
    const mark = MARKS.find(({ tensor }) => file.has(outer + tensor));
    if (mark === undefined) continue;
    const renamed = (name: string): string => outer + (name.startsWith(mark.prefix) ? name.slice(mark.prefix.length) : name);
    return {
      file: file.file,
      names: () => file.names().flatMap((name) => (name.startsWith(outer) ? [mark.prefix + name.slice(outer.length)] : [])),
      has: (name) => name.startsWith(mark.prefix) && file.has(renamed(name)),
      info: (name) => file.info(renamed(name)),
      get: (name, dims) => file.get(renamed(name), dims),
    };
  }
  return null;
}
