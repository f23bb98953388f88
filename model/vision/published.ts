/**
 * Published towers told apart by their config.json (Hugging Face's layouts: CLIP, SigLIP, SmolVLM and Idefics3), or, where there
 * is none, by their tensors (Video-LLaMA's checkpoints). Files leave out what is their library's default, so those stand here.
 */
import { PackError, towerContradiction, type TensorFile, type TowerConfig } from '../pack/index.js';
import { publishedPreparation } from './published-preparation.js';
import { isObject, whole, type Json } from './settings.js';
import { videoLlamaConfig, type VideoLlamaConfig } from './video-llama.js';
import type { Activation } from './vit.js';

/** A folder's two files of settings, as parsed JSON. */
export interface PublishedSettings {
  /** config.json; null where there is none. */
  readonly config: Json | null;
  /** preprocessor_config.json; null where there is none. */
  readonly preprocessor: Json | null;
  /** For messages. */
  readonly where: string;
}

type Family = Exclude<TowerConfig['architecture'], 'video-llama'>;

/** `model_type` of a model with the tower in it, or of the tower alone. */
const FAMILIES: Readonly<Record<string, Family>> = {
  clip: 'clip', clip_vision_model: 'clip',
  siglip: 'siglip', siglip_vision_model: 'siglip',
  idefics3: 'idefics3', idefics3_vision: 'idefics3', smolvlm: 'idefics3', smolvlm_vision: 'idefics3',
};
export const VIDEO_LLAMA = 'video_llama';

/** transformers 5's defaults of its vision configurations. */
const DEFAULTS: Readonly<Record<Family, Readonly<Record<string, number | string>>>> = {
  clip: {
    hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12, image_size: 224, patch_size: 32,
    hidden_act: 'quick_gelu', layer_norm_eps: 1e-5,
  },
  siglip: {
    hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12, image_size: 224, patch_size: 16,
    hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6,
  },
  idefics3: {
    hidden_size: 1152, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 16, image_size: 224, patch_size: 32,
    hidden_act: 'gelu_pytorch_tanh', layer_norm_eps: 1e-6,
  },
};
const ACTIVATION_NAMES: Readonly<Record<string, Activation>> = { gelu: 'gelu', gelu_pytorch_tanh: 'gelu_tanh', gelu_new: 'gelu_tanh', quick_gelu: 'quick_gelu' };

/** What stands before `embeddings.` in files of whole models and of towers alone. */
const PREFIXES = ['', 'vision_model.', 'model.vision_model.'];
const FIRST_TENSOR = 'embeddings.patch_embedding.weight';

/**
 * The tower of a published folder; of a model that has more, only its tower.
 *
 * @param tensors names decide where the tower's tensors are; none is read. Video-LLaMA's under `videoLlamaPart`'s names.
 * @throws PackError naming the file and the field that is unknown or contradicts another
 */
export function publishedTower(settings: PublishedSettings, tensors: TensorFile): TowerConfig {
  const { config, where } = settings;
  const type = config?.['model_type'];
  const tower = typeof type === 'string' && Object.hasOwn(FAMILIES, type) ? huggingFaceTower(FAMILIES[type] as Family, settings, tensors)
    : type === VIDEO_LLAMA || tensors.has('query_tokens') ? videoLlamaTower(config, where)
    : null;
  if (tower === null) {
    throw new PackError(`${where}: config.json has the model_type ${JSON.stringify(type)}; vision towers are known of ${[...Object.keys(FAMILIES), VIDEO_LLAMA].join(', ')}`);
  }
  const wrong = towerContradiction(tower);
  if (wrong !== null) throw new PackError(`${where}: the tower's ${wrong}`);
  return tower;
}

function huggingFaceTower(family: Family, { config, preprocessor, where }: PublishedSettings, tensors: TensorFile): TowerConfig {
  const own = config?.['vision_config'];
  const fields: Json = { ...DEFAULTS[family], ...(isObject(own) ? own : (config ?? {})) };
  const size = (name: string): number => whole(fields[name], `${where}: config.json's ${name}`);
  const activation = fields['hidden_act'];
  if (typeof activation !== 'string' || !Object.hasOwn(ACTIVATION_NAMES, activation)) {
    throw new PackError(`${where}: config.json's hidden_act is ${JSON.stringify(activation)}; known are ${Object.keys(ACTIVATION_NAMES).join(', ')}`);
  }
  const eps = fields['layer_norm_eps'];
  if (typeof eps !== 'number' || !(eps > 0)) throw new PackError(`${where}: config.json's layer_norm_eps is ${JSON.stringify(eps)}`);
  if (fields['num_channels'] !== undefined && fields['num_channels'] !== 3) throw new PackError(`${where}: config.json's num_channels is ${JSON.stringify(fields['num_channels'])}, 3 are known`);
  const prefix = PREFIXES.find((start) => tensors.has(start + FIRST_TENSOR));
  if (prefix === undefined) throw new PackError(`${where}: ${tensors.file} has no tensor "${FIRST_TENSOR}", neither alone nor after ${PREFIXES.slice(1).join(' or ')}`);
  const image = size('image_size');
  return {
    architecture: family,
    files: [],
    prefix,
    vit: {
      image, patch: size('patch_size'), width: size('hidden_size'), depth: size('num_hidden_layers'), heads: size('num_attention_heads'),
      inner: size('intermediate_size'), activation: ACTIVATION_NAMES[activation] as Activation, eps,
      classToken: family === 'clip', patchBias: family !== 'clip', normBefore: family === 'clip', normAfter: family !== 'clip',
    },
    ...(family === 'idefics3' ? { shuffle: whole(config?.['scale_factor'] ?? 2, `${where}: config.json's scale_factor`) } : {}),
    preparation: publishedPreparation(family, preprocessor ?? {}, image, where),
  };
}

/** Video-LLaMA's sizes: the published ones, where config.json gives no others. */
export function videoLlamaSizes(config: Json | null): VideoLlamaConfig {
  return videoLlamaConfig(Object.fromEntries(Object.entries(config ?? {}).filter(([, value]) => typeof value === 'number')) as Record<string, number>);
}

function videoLlamaTower(config: Json | null, where: string): TowerConfig {
  const { vit, frame } = videoLlamaSizes(config);
  return { architecture: 'video-llama', files: [], prefix: 'visual_encoder.', vit, former: frame, preparation: publishedPreparation('video-llama', {}, vit.image, where) };
}
