/** A Llama-family decoder from a GGUF file: its blocks handed over as they are where ours can say the same numbers. */
import { decodeBlocks, GgufError, scaleAndMinimum, type GgufFile, type GgufType } from '../../pack/gguf/index.js';
import type { LanguageConfig } from '../../pack/manifest.js';
import { fromFloat16Bits } from '../../runtime/float16.js';
import { BLOCK, permuteRows, quantize, stack, type BlockBits, type Matrix, type Q4Matrix, type Q8Matrix } from '../matrix.js';
import type { LinearName } from '../weights.js';
import { countHandling, layerOf, type DecoderSource, type WeightHandling } from './decoder-source.js';
import { checkBlocks } from './huggingface.js';

/** Tokens whose ids the metadata name. */
export interface GgufTokenIds {
  readonly bos: number | null;
  readonly eos: readonly number[];
}

/**
 * The decoder's sizes from the metadata.
 * @throws GgufError naming the entry that is missing or asks for what this decoder does not do
 */
export function parseGgufConfig(gguf: GgufFile): { config: Omit<LanguageConfig, 'bos' | 'eos' | 'ends'>; ids: GgufTokenIds } {
  const { file, metadata, tensors } = gguf;
  const fail = (reason: string): never => {
    throw new GgufError(`${file}: ${reason}`);
  };
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') fail(`general.architecture is ${JSON.stringify(architecture)}; only "llama" is known`);
  if (Number(metadata.get('split.count') ?? 1) > 1) fail(`it is one of ${String(metadata.get('split.count'))} parts; join them with llama.cpp's gguf-split --merge`);
  if (Number(metadata.get('llama.expert_count') ?? 0) > 0) fail('it is a mixture of experts, which this decoder does not do');
  const whole = (key: string, fallback?: number): number => {
    const value = metadata.get(`llama.${key}`) ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 1_000_000) return value;
    return fail(`llama.${key} is ${value === undefined ? 'absent' : JSON.stringify(value).slice(0, 60)}; one whole number from 1 to 1,000,000 is needed`);
  };
  const positive = (key: string, fallback?: number): number => {
    const value = metadata.get(`llama.${key}`) ?? fallback;
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
    return fail(`llama.${key} is ${value === undefined ? 'absent' : JSON.stringify(value).slice(0, 60)}; a number above 0 is needed`);
  };
  const [hidden, heads] = [whole('embedding_length'), whole('attention.head_count')];
  const headDim = whole('attention.key_length', hidden / heads);
  if (whole('rope.dimension_count', headDim) !== headDim) fail('llama.rope.dimension_count differs from the head size; only whole heads are rotated here');
  const kvHeads = whole('attention.head_count_kv', heads);
  if (heads % kvHeads !== 0) fail(`llama.attention.head_count ${heads} is not a multiple of head_count_kv ${kvHeads}`);
  const embedding = tensors.get('token_embd.weight') ?? fail('it has no tensor "token_embd.weight"');
  const bias = [...tensors.keys()].find((name) => name.startsWith('blk.') && name.endsWith('.bias'));
  if (bias !== undefined) fail(`it has the tensor "${bias}"; Llama models with biases are not supported`);

  const scalingType = metadata.get('llama.rope.scaling.type') ?? 'none';
  const scaling = (): LanguageConfig['rope_scaling'] => {
    if (tensors.has('rope_freqs.weight')) return { type: 'factors', factors: Array.from(readFloats(gguf, 'rope_freqs.weight', [headDim / 2])) };
    if (scalingType === 'linear') return { type: 'linear', factor: positive('rope.scaling.factor') };
    if (scalingType !== 'none') fail(`llama.rope.scaling.type is ${JSON.stringify(scalingType)}; known are none and linear`);
    return undefined;
  };
  const ropeScaling = scaling();
  const id = (key: string): number[] => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    return typeof value === 'number' ? [value] : [];
  };
  const config = {
    architecture: 'llama' as const,
    layers: whole('block_count'),
    hidden,
    heads,
    kv_heads: kvHeads,
    head_dim: headDim,
    intermediate: whole('feed_forward_length'),
    vocab: embedding.dims[0] as number,
    rope_theta: positive('rope.freq_base', 10_000),
    ...(ropeScaling === undefined ? {} : { rope_scaling: ropeScaling }),
    rms_eps: Number(positive('attention.layer_norm_rms_epsilon', 1e-5).toPrecision(7)),
    context: whole('context_length'),
    tied: !tensors.has('output.weight'),
  };
  return { config, ids: { bos: id('bos_token_id')[0] ?? null, eos: [...id('eot_token_id'), ...id('eos_token_id')] } };
}

const NAMES: Readonly<Record<LinearName, readonly string[]>> = {
  qkv: ['attn_q', 'attn_k', 'attn_v'],
  o: ['attn_output'],
  gate_up: ['ffn_gate', 'ffn_up'],
  down: ['ffn_down'],
};

/**
 * Q4_0, Q4_1, Q4_K and Q8_0 stay exactly what they are. Q5 and Q6 blocks, which no block of ours can say, are rounded once to 8 bits,
 * float types to `bits`. Parts of one fused matrix that differ in bits meet at 8.
 * @param bits null keeps all in float32
 * @throws GgufError naming the tensor that is missing or of another shape; nothing was loaded then
 */
export function ggufDecoder(gguf: GgufFile, config: LanguageConfig, bits: BlockBits): DecoderSource {
  const { hidden, vocab, heads, kv_heads, head_dim, intermediate, layers } = config;
  const rows: Readonly<Record<string, readonly [number, number]>> = {
    attn_q: [heads * head_dim, hidden],
    attn_k: [kv_heads * head_dim, hidden],
    attn_v: [kv_heads * head_dim, hidden],
    attn_output: [hidden, heads * head_dim],
    ffn_gate: [intermediate, hidden],
    ffn_up: [intermediate, hidden],
    ffn_down: [hidden, intermediate],
  };
  const names = Array.from({ length: layers }, (_, layer) => Object.keys(rows).map((part) => ({ part, name: `blk.${layer}.${part}.weight` }))).flat();
  const check = (name: string, dims: readonly number[]): void => {
    const tensor = gguf.tensors.get(name);
    if (tensor === undefined) throw new GgufError(`${gguf.file} has no tensor "${name}"`);
    if (tensor.dims.join() !== dims.join()) {
      throw new GgufError(`${gguf.file}: tensor "${name}" has shape [${tensor.dims.join(', ')}], its metadata make it [${dims.join(', ')}]`);
    }
  };
  for (const { part, name } of names) check(name, rows[part] as [number, number]);
  for (let layer = 0; layer < layers; layer++) for (const norm of ['attn_norm', 'ffn_norm']) check(`blk.${layer}.${norm}.weight`, [hidden]);
  check('output_norm.weight', [hidden]);
  check('token_embd.weight', [vocab, hidden]);
  if (!config.tied) check('output.weight', [vocab, hidden]);
  checkBlocks(config, gguf.file);

  const read = (name: string, [out, columns]: readonly [number, number], most: BlockBits): Matrix => {
    const { type, bytes } = gguf.blocks(name, [out, columns]);
    return matrixOf(type, bytes, out, columns, most);
  };
  const part = (layer: number, name: string): Matrix => {
    const matrix = read(`blk.${layer}.${name}.weight`, rows[name] as [number, number], bits);
    const count = name === 'attn_q' ? heads : name === 'attn_k' ? kv_heads : null;
    return count === null ? matrix : permuteRows(matrix, halvesOrder(count, head_dim));
  };
  const table = (name: string): Matrix => read(name, [vocab, hidden], bits === null ? null : 8);
  return {
    config,
    embedding: () => table('token_embd.weight'),
    head: () => (config.tied ? null : table('output.weight')),
    norm: () => readFloats(gguf, 'output_norm.weight', [hidden]),
    layer: (index) =>
      layerOf(readFloats(gguf, `blk.${index}.attn_norm.weight`, [hidden]), readFloats(gguf, `blk.${index}.ffn_norm.weight`, [hidden]), (name) =>
        stack(NAMES[name].map((one) => part(index, one))),
      ),
    handling: () =>
      countHandling(
        Array.from({ length: layers }, (_, layer) =>
          Object.values(NAMES).flatMap((parts) => {
            const types = parts.map((one) => gguf.tensors.get(`blk.${layer}.${one}.weight`)?.type.name as string);
            const eight = types.some((type) => !isFourBits(type, bits));
            return types.map((stored) => ({ stored, becomes: becomes(stored, bits, eight) }));
          }),
        ).flat(),
      ),
  };
}

const isFourBits = (type: string, bits: BlockBits): boolean => /^Q4_/.test(type) || (bits === 4 && isFloat(type));
const isFloat = (type: string): boolean => /^B?F\d+$/.test(type);

/** What becomes of a tensor in a fused matrix; `eight`: one of its parts needs 8 bits. */
function becomes(type: string, bits: BlockBits, eight: boolean): WeightHandling['becomes'] {
  if (bits === null) return 'float32';
  if (type === 'Q8_0' || type === 'Q4_0' || (/^Q4_/.test(type) && !eight)) return 'kept exactly';
  return isFloat(type) && bits === 4 && !eight ? 'rounded to 4 bits' : 'rounded to 8 bits';
}

/** A tensor of floats as it is. */
function readFloats(gguf: GgufFile, name: string, dims: readonly number[]): Float32Array {
  const { type, bytes } = gguf.blocks(name, dims);
  return decodeBlocks(type, bytes);
}

/**
 * llama.cpp stores the rows of q and k so that neighbours rotate together (row 2i with row 2i + 1 of a head); here, as in Hugging Face
 * layout, row i rotates with row i + head_dim / 2.
 * @returns for each row of ours the row of the file
 */
function halvesOrder(heads: number, headDim: number): number[] {
  const half = headDim / 2;
  return Array.from({ length: heads * headDim }, (_, row) => {
    const within = row % headDim;
    return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
  });
}

function matrixOf(type: GgufType, bytes: Uint8Array, out: number, columns: number, bits: BlockBits): Matrix {
  if (bits !== null) {
    if (type.name === 'Q4_0') return fromQ4(bytes, out, columns, false);
    if (type.name === 'Q4_1') return fromQ4(bytes, out, columns, true);
    if (type.name === 'Q4_K') return fromQ4K(bytes, out, columns);
    if (type.name === 'Q8_0') return fromQ8(bytes, out, columns);
  }
  return quantize(decodeBlocks(type, bytes), out, columns, bits === 4 && !isFloat(type.name) ? 8 : bits);
}

const half = (bytes: Uint8Array, at: number): number => fromFloat16Bits((bytes[at] as number) | ((bytes[at + 1] as number) << 8));

/** Nibbles j and j + 16 of a ggml block share a byte; in ours 2j and 2j + 1 do. `low` gives element i's nibble. */
function packNibbles(into: Uint8Array, block: number, nibble: (i: number) => number): void {
  for (let j = 0; j < BLOCK / 2; j++) into[(block * BLOCK) / 2 + j] = nibble(2 * j) | (nibble(2 * j + 1) << 4);
}

function emptyQ4(out: number, columns: number, own: boolean): Q4Matrix {
  const blocks = (out * columns) / BLOCK;
  return { form: 'q4', out, in: columns, q4: new Uint8Array((out * columns) / 2), scale: new Float32Array(blocks), min: own ? new Float32Array(blocks) : null };
}

/** Q4_0 (d, nibbles) and Q4_1 (d, m, nibbles). */
function fromQ4(bytes: Uint8Array, out: number, columns: number, own: boolean): Q4Matrix {
  const matrix = emptyQ4(out, columns, own);
  const header = own ? 4 : 2;
  for (let block = 0, at = 0; block < matrix.scale.length; block++, at += header + BLOCK / 2) {
    matrix.scale[block] = half(bytes, at);
    if (matrix.min !== null) matrix.min[block] = half(bytes, at + 2);
    packNibbles(matrix.q4, block, (i) => ((bytes[at + header + (i & 15)] as number) >> (i < 16 ? 0 : 4)) & 15);
  }
  return matrix;
}

/** Q4_K: eight blocks of 32 whose scales and minima are 6-bit multiples of the super-block's, products that float32 says exactly. */
function fromQ4K(bytes: Uint8Array, out: number, columns: number): Q4Matrix {
  const matrix = emptyQ4(out, columns, true);
  for (let block = 0; block < matrix.scale.length; block++) {
    const [at, j] = [(block >> 3) * 144, block & 7];
    const [scale, minimum] = scaleAndMinimum(bytes, at + 4, j);
    matrix.scale[block] = half(bytes, at) * scale;
    (matrix.min as Float32Array)[block] = -half(bytes, at + 2) * minimum;
    const nibbles = at + 16 + (j >> 1) * 32;
    packNibbles(matrix.q4, block, (i) => ((bytes[nibbles + i] as number) >> ((j & 1) * 4)) & 15);
  }
  return matrix;
}

function fromQ8(bytes: Uint8Array, out: number, columns: number): Q8Matrix {
  const q8 = new Uint8Array(out * columns);
  const scale = new Float32Array(q8.length / BLOCK);
  for (let block = 0, at = 0; block < scale.length; block++, at += 34) {
    scale[block] = half(bytes, at);
    // int8 to uint8 around 128: the sign bit flips.
    for (let i = 0; i < BLOCK; i++) q8[block * BLOCK + i] = (bytes[at + 2 + i] as number) ^ 0x80;
  }
  return { form: 'q8', out, in: columns, q8, scale };
}
