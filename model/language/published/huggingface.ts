/** A Llama-family decoder from tensors in Hugging Face layout (float32, float16 or bfloat16). */
import { PackError, type LanguageConfig } from '../../pack/manifest.js';
import type { StoredType, TensorFile } from '../../pack/tensor-file.js';
import { decodeFloat16 } from '../../runtime/float16.js';
import { BLOCK, quantize, stack, type BlockBits, type Matrix } from '../matrix.js';
import type { LinearName } from '../weights.js';
import { countHandling, layerOf, type DecoderSource } from './decoder-source.js';

/** The matrices that are stored apart and read the same input. */
const PARTS: Readonly<Record<LinearName, readonly string[]>> = {
  qkv: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  o: ['self_attn.o_proj'],
  gate_up: ['mlp.gate_proj', 'mlp.up_proj'],
  down: ['mlp.down_proj'],
};

const FLOATS: Readonly<Partial<Record<StoredType, string>>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };

/**
 * @param prefix before `embed_tokens.weight`, `layers.0.` and `norm.weight`; see parseLlamaConfig
 * @param bits of the blocks the layers' matrices are rounded to; embedding and head take 8. null keeps all in float32
 * @throws PackError or TensorFileError naming the tensor that is missing, of another shape or type; nothing was loaded then
 */
export function huggingFaceDecoder(tensors: TensorFile, config: LanguageConfig, prefix: string, bits: BlockBits): DecoderSource {
  checkTensors(tensors, config, prefix);
  const { hidden, vocab } = config;
  const shapes = partShapes(config);
  const read = (name: string, dims: readonly number[]): Float32Array => {
    const { data } = tensors.get(name, dims);
    return data instanceof Float32Array ? data : decodeFloat16(data as Uint16Array);
  };
  const vector = (name: string): Float32Array => Float32Array.from(read(prefix + name, [hidden]));
  const table = (name: string): Matrix => quantize(read(name, [vocab, hidden]), vocab, hidden, bits === null ? null : 8);
  const rounded = bits === null ? ('float32' as const) : (`rounded to ${bits} bits` as const);
  return {
    config,
    embedding: () => table(`${prefix}embed_tokens.weight`),
    head: () => (config.tied ? null : table('lm_head.weight')),
    norm: () => vector('norm.weight'),
    layer: (index) =>
      layerOf(vector(`layers.${index}.input_layernorm.weight`), vector(`layers.${index}.post_attention_layernorm.weight`), (name) =>
        stack(
          PARTS[name].map((part) => {
            const [out, columns] = shapes[part] as [number, number];
            return quantize(read(`${prefix}layers.${index}.${part}.weight`, [out, columns]), out, columns, bits);
          }),
        ),
      ),
    handling: () =>
      countHandling(
        matrixNames(config, prefix).map((name) => ({ stored: FLOATS[tensors.info(name).stored] as string, becomes: rounded })),
      ),
  };
}

/** Rows and columns of each stored matrix. */
function partShapes({ hidden, heads, kv_heads, head_dim, intermediate }: LanguageConfig): Readonly<Record<string, readonly [number, number]>> {
  return {
    'self_attn.q_proj': [heads * head_dim, hidden],
    'self_attn.k_proj': [kv_heads * head_dim, hidden],
    'self_attn.v_proj': [kv_heads * head_dim, hidden],
    'self_attn.o_proj': [hidden, heads * head_dim],
    'mlp.gate_proj': [intermediate, hidden],
    'mlp.up_proj': [intermediate, hidden],
    'mlp.down_proj': [hidden, intermediate],
  };
}

function matrixNames(config: LanguageConfig, prefix: string): string[] {
  return Array.from({ length: config.layers }, (_, layer) => Object.values(PARTS).flatMap((parts) => parts.map((part) => `${prefix}layers.${layer}.${part}.weight`))).flat();
}

/** Every tensor is there, of its shape and a type of floats; what else the file holds does not matter. */
function checkTensors(tensors: TensorFile, config: LanguageConfig, prefix: string): void {
  const { hidden, vocab, layers } = config;
  const expected: [string, readonly number[]][] = [
    [`${prefix}embed_tokens.weight`, [vocab, hidden]],
    [`${prefix}norm.weight`, [hidden]],
    ...(config.tied ? [] : [['lm_head.weight', [vocab, hidden]] as [string, number[]]]),
  ];
  const shapes = partShapes(config);
  for (let layer = 0; layer < layers; layer++) {
    const at = `${prefix}layers.${layer}.`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) expected.push([`${at}${norm}.weight`, [hidden]]);
    for (const [part, dims] of Object.entries(shapes)) expected.push([`${at}${part}.weight`, dims]);
  }
  for (const [name, dims] of expected) {
    const info = tensors.info(name);
    if (info.dims.join() !== dims.join()) {
      throw new PackError(`${tensors.file}: tensor "${name}" has shape [${info.dims.join(', ')}], config.json makes it [${dims.join(', ')}]`);
    }
    if (FLOATS[info.stored] === undefined) throw new PackError(`${tensors.file}: tensor "${name}" holds ${info.stored} numbers; float32, float16 or bfloat16 are needed`);
  }
  checkBlocks(config, tensors.file);
}

/** @throws PackError when rows of a matrix are no whole number of blocks */
export function checkBlocks({ hidden, heads, head_dim, intermediate }: LanguageConfig, file: string): void {
  for (const [name, size] of [['hidden size', hidden], ['heads x head size', heads * head_dim], ['intermediate size', intermediate]] as const) {
    if (size % BLOCK !== 0) throw new PackError(`${file}: the ${name} is ${size}, not a multiple of the ${BLOCK} weights of a block`);
  }
}
