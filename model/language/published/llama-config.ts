/** config.json of a Llama-family model in Hugging Face layout, as a pack's language section. */
import { PackError, type LanguageConfig } from '../../pack/manifest.js';

type Json = Readonly<Record<string, unknown>>;

/** What a tokenizer and a generation_config.json say beside config.json: the tokens that begin a text and end an answer. */
export interface SpecialTokens {
  readonly bos: number;
  readonly eos: number;
  readonly ends: readonly number[];
}

/** Where the language model's tensors lie among those of the checkpoint. */
export interface LlamaLayout {
  readonly config: Omit<LanguageConfig, 'bos' | 'eos' | 'ends'>;
  /** Before `embed_tokens.weight`, `layers.0.` and `norm.weight`. */
  readonly prefix: string;
  /** Ids that config.json itself names, where it does. */
  readonly bos: number | null;
  readonly eos: readonly number[];
}

/** Llama's own defaults, which published files leave out (transformers' LlamaConfig). */
const DEFAULTS = { rms_norm_eps: 1e-6, rope_theta: 10_000, max_position_embeddings: 2048 } as const;

/** Vision-language models whose text half is a Llama, with the prefix of its tensors. */
const TEXT_HALVES: Readonly<Record<string, string>> = { idefics3: 'model.text_model.', smolvlm: 'model.text_model.' };

/**
 * Reads the language model's part of a config.json.
 * @param file its path, for messages
 * @throws PackError naming the field that is missing, wrong, or asks for what this decoder does not do
 */
export function parseLlamaConfig(json: unknown, file: string): LlamaLayout {
  const whole = object(json, file, 'the whole');
  const type = String(whole['model_type']);
  const prefix = TEXT_HALVES[type];
  if (prefix !== undefined) {
    const text = object(whole['text_config'], file, 'text_config');
    if (text['model_type'] !== undefined && text['model_type'] !== 'llama') {
      throw new PackError(`${file}: text_config.model_type is ${show(text['model_type'])}; only "llama" is known`);
    }
    // The vision-language model's own flag decides, as it owns the head.
    return layout({ ...text, tie_word_embeddings: whole['tie_word_embeddings'] ?? text['tie_word_embeddings'] }, file, prefix, 'text_config.');
  }
  const architectures = whole['architectures'];
  const named = Array.isArray(architectures) ? architectures.map(String) : [];
  if (type !== 'llama' || (named.length > 0 && !named.includes('LlamaForCausalLM'))) {
    throw new PackError(
      `${file}: the architecture is ${named.length > 0 ? named.join(', ') : type} (model_type ${show(whole['model_type'])}); ` +
        `known are LlamaForCausalLM, ${Object.keys(TEXT_HALVES).join(' and ')}`,
    );
  }
  return layout(whole, file, 'model.', '');
}

function layout(json: Json, file: string, prefix: string, at: string): LlamaLayout {
  const whole = (field: string, fallback?: number): number => {
    const value = json[field] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 1_000_000) return value;
    throw new PackError(`${file}: ${at}${field} is ${show(value)}; a whole number from 1 to 1,000,000 is needed`);
  };
  const refuse = (field: string, why: string): never => {
    throw new PackError(`${file}: ${at}${field} is ${show(json[field])}; ${why}`);
  };
  for (const field of ['attention_bias', 'mlp_bias']) {
    if (json[field] === true) refuse(field, 'Llama models with biases are not supported');
  }
  if (json['hidden_act'] !== undefined && json['hidden_act'] !== 'silu') refuse('hidden_act', 'this decoder knows "silu" only');
  if (json['quantization_config'] !== undefined) {
    throw new PackError(`${file}: the weights are quantised by ${show(object(json['quantization_config'], file, `${at}quantization_config`)['quant_method'])}; give the float16 or bfloat16 weights, or a GGUF file`);
  }
  const [hidden, heads] = [whole('hidden_size'), whole('num_attention_heads')];
  const kvHeads = whole('num_key_value_heads', heads);
  const headDim = whole('head_dim', hidden / heads);
  if (heads % kvHeads !== 0) refuse('num_key_value_heads', `${heads} heads cannot be shared among them`);
  const context = whole('max_position_embeddings', DEFAULTS.max_position_embeddings);
  const { theta, scaling, longest } = rope(json, file, at, context);
  return {
    prefix,
    bos: typeof json['bos_token_id'] === 'number' ? json['bos_token_id'] : null,
    eos: tokenIds(json['eos_token_id']),
    config: {
      architecture: 'llama',
      layers: whole('num_hidden_layers'),
      hidden,
      heads,
      kv_heads: kvHeads,
      head_dim: headDim,
      intermediate: whole('intermediate_size'),
      vocab: whole('vocab_size'),
      rope_theta: theta,
      ...(scaling === undefined ? {} : { rope_scaling: scaling }),
      rms_eps: number(json['rms_norm_eps'] ?? DEFAULTS.rms_norm_eps, file, `${at}rms_norm_eps`),
      context: longest,
      tied: json['tie_word_embeddings'] === true,
    },
  };
}

/** The rotary base, its scaling, and the longest sequence these reach. Both spellings are known: `rope_scaling`, and `rope_parameters` since 2025. */
function rope(json: Json, file: string, at: string, context: number): { theta: number; scaling?: NonNullable<LanguageConfig['rope_scaling']>; longest: number } {
  const field = json['rope_parameters'] == null ? 'rope_scaling' : 'rope_parameters';
  const given = json[field] == null ? {} : object(json[field], file, at + field);
  const get = (name: string, fallback?: unknown): number => number(given[name] ?? fallback, file, `${at}${field}.${name}`);
  const theta = number(given['rope_theta'] ?? json['rope_theta'] ?? DEFAULTS.rope_theta, file, `${at}rope_theta`);
  if (given['partial_rotary_factor'] !== undefined && given['partial_rotary_factor'] !== 1) {
    throw new PackError(`${file}: ${at}${field}.partial_rotary_factor is ${show(given['partial_rotary_factor'])}; only whole heads are rotated here`);
  }
  const type = given['rope_type'] ?? given['type'] ?? 'default';
  switch (type) {
    case 'default':
      return { theta, longest: context };
    case 'linear':
      return { theta, scaling: { type: 'linear', factor: get('factor') }, longest: context };
    case 'dynamic':
      return { theta, scaling: { type: 'dynamic', factor: get('factor'), original: context }, longest: Math.floor(context * get('factor')) };
    case 'llama3':
      return {
        theta,
        scaling: {
          type: 'llama3',
          factor: get('factor'),
          low_freq_factor: get('low_freq_factor'),
          high_freq_factor: get('high_freq_factor'),
          original: get('original_max_position_embeddings'),
        },
        longest: context,
      };
    default:
      throw new PackError(`${file}: ${at}${field}.rope_type is ${show(type)}; known are default, linear, dynamic and llama3`);
  }
}

/** One id or a list of them. */
export function tokenIds(value: unknown): number[] {
  return (Array.isArray(value) ? value : [value]).filter((id): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0);
}

function number(value: unknown, file: string, field: string): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new PackError(`${file}: ${field} is ${show(value)}; a number above 0 is needed`);
}

function object(value: unknown, file: string, field: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new PackError(`${file}: ${field} is not an object`);
}

function show(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value).slice(0, 60);
}
