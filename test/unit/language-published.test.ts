/** Published layouts against transformers and the gguf package, on small random weights of exactly those layouts. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Decoder } from '../../model/language/index.js';
import { dequantize, matrixBytes, type BlockBits, type Matrix } from '../../model/language/matrix.js';
import { loadDecoder, type DecoderSource } from '../../model/language/published/decoder-source.js';
import { ggufDecoder, parseGgufConfig } from '../../model/language/published/gguf.js';
import { huggingFaceDecoder } from '../../model/language/published/huggingface.js';
import { parseLlamaConfig } from '../../model/language/published/llama-config.js';
import { decodeBlocks, readGguf, type GgufFile } from '../../model/pack/gguf/index.js';
import { memoryBytes, PackError, prefixed, readSafetensors, type TensorFile } from '../../model/pack/index.js';
import { openWeights } from '../../model/pack/weights.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { fixture } from '../helpers/fixtures.js';

interface Expected {
  readonly ids: number[];
  readonly positions: number[];
  readonly huggingface: Readonly<Record<string, { readonly logits: number[][]; readonly config?: Record<string, unknown> }>>;
  readonly gguf: Readonly<Record<string, { readonly logits: number[][]; readonly sha256: Readonly<Record<string, string>> }>>;
}

const folder = fixture('language/published');
const expected = JSON.parse(await readFile(`${folder}/expected.json`, 'utf8')) as Expected;
const SPECIAL = { bos: 1, eos: 2 };

async function readConfig(name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(`${folder}/${name}/config.json`, 'utf8')) as Record<string, unknown>;
}

function hfSource(tensors: TensorFile, json: unknown, bits: BlockBits): DecoderSource {
  const { config, prefix } = parseLlamaConfig(json, 'config.json');
  return huggingFaceDecoder(tensors, { ...config, ...SPECIAL }, prefix, bits);
}

async function gguf(name: string): Promise<GgufFile> {
  return readGguf(memoryBytes(await readFile(`${folder}/${name}`)), name);
}

async function ggufSource(name: string, bits: BlockBits): Promise<DecoderSource> {
  const file = await gguf(name);
  return ggufDecoder(file, { ...parseGgufConfig(file).config, ...SPECIAL }, bits);
}

/** Logits (positions, V) of a decoder made for exactly the sequence's length. */
async function logitsOf(source: DecoderSource, kind: 'fp32' | 'q4' | 'q8'): Promise<Float32Array> {
  const { ids } = expected;
  const decoder = await Decoder.create(loadDecoder(source), nodeRuntime({ threads: 1 }), { kind, context: ids.length });
  const logits = await decoder.forward(decoder.embed(ids), decoder.newCache(), ids.length);
  await decoder.release();
  const { vocab } = source.config;
  return Float32Array.from(expected.positions.flatMap((position) => [...logits.subarray(position * vocab, (position + 1) * vocab)]));
}

function worst(ours: Float32Array, theirs: readonly number[][]): number {
  const flat = theirs.flat();
  assert.equal(ours.length, flat.length);
  return Math.max(...flat.map((value, i) => Math.abs(value - (ours[i] as number))));
}

/** |a - b| / |b|. */
function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    size += (b[i] as number) ** 2;
  }
  return Math.sqrt(difference / size);
}

for (const name of ['smollm', 'vicuna', 'sharded'] as const) {
  test(`Hugging Face layout, ${name}: logits equal transformers'`, async () => {
    const tensors = await openWeights(`${folder}/${name}`);
    const source = hfSource(tensors, await readConfig(name), null);
    const { logits } = expected.huggingface[name] as { logits: number[][] };
    assert.ok(worst(await logitsOf(source, 'fp32'), logits) < 1e-4);
    tensors.close();
  });
}

for (const name of ['linear', 'dynamic', 'llama3'] as const) {
  test(`rope scaling ${name}: logits equal transformers', and are others than without it`, async () => {
    const tensors = await openWeights(`${folder}/smollm`);
    const { logits, config } = expected.huggingface[name] as { logits: number[][]; config: Record<string, unknown> };
    const ours = await logitsOf(hfSource(tensors, config, null), 'fp32');
    assert.ok(worst(ours, logits) < 1e-4);
    const plain = (expected.huggingface['smollm'] as { logits: number[][] }).logits;
    assert.ok(worst(ours, plain) > 0.01);
    tensors.close();
  });
}

for (const [bits, most] of [[8, 0.06], [4, 0.4]] as const) {
  test(`weights rounded to ${bits} bits stay close, stored and merged`, async () => {
    const tensors = await openWeights(`${folder}/smollm`);
    const json = await readConfig('smollm');
    const exact = await logitsOf(hfSource(tensors, json, null), 'fp32');
    for (const kind of ['q4', 'q8'] as const) {
      const error = relativeError(await logitsOf(hfSource(tensors, json, bits), kind), exact);
      assert.ok(error > 0 && error < most, `${kind}: relative error ${error}`);
    }
    tensors.close();
  });
}

test('the text half of an Idefics3 checkpoint is found under its prefix', async () => {
  const json = await readConfig('smollm');
  const plain = readSafetensors(await readFile(`${folder}/smollm/model.safetensors`), 'model.safetensors');
  const held: TensorFile = { ...plain, info: (name) => plain.info(name.replace('model.text_model.', 'model.')), get: (name, dims) => plain.get(name.replace('model.text_model.', 'model.'), dims) };
  const source = hfSource(held, { model_type: 'smolvlm', tie_word_embeddings: true, text_config: { ...json, tie_word_embeddings: false } }, null);
  const { logits } = expected.huggingface['smollm'] as { logits: number[][] };
  assert.ok(worst(await logitsOf(source, 'fp32'), logits) < 1e-4);
});

for (const [name, { logits, sha256 }] of Object.entries(expected.gguf)) {
  test(`${name}: every tensor is read exactly as the gguf package reads it`, async () => {
    const file = await gguf(name);
    for (const [tensor, digest] of Object.entries(sha256)) {
      const { type, bytes } = file.blocks(tensor, file.tensors.get(tensor)?.dims ?? []);
      const values = decodeBlocks(type, bytes);
      assert.equal(createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex'), digest, `${tensor} (${type.name})`);
    }
  });

  test(`${name}: logits equal transformers' with the same numbers`, async () => {
    assert.ok(worst(await logitsOf(await ggufSource(name, null), 'fp32'), logits) < 1e-4);
  });

  test(`${name}: blocks that ours can say are handed over exactly, others are rounded once to 8 bits`, async () => {
    const [blocks, exact] = await Promise.all([ggufSource(name, 8), ggufSource(name, null)]);
    const kept = blocks.handling().every(({ becomes }) => becomes === 'kept exactly');
    const pairs: [Matrix, Matrix][] = [[blocks.embedding(), exact.embedding()]];
    for (let layer = 0; layer < blocks.config.layers; layer++) {
      const [ours, theirs] = [blocks.layer(layer).linears, exact.layer(layer).linears];
      for (const linear of ['qkv', 'o', 'gate_up', 'down'] as const) pairs.push([ours[linear].base, theirs[linear].base]);
    }
    for (const [ours, theirs] of pairs) {
      const error = relativeError(dequantize(ours), dequantize(theirs));
      assert.ok(kept ? error < 1e-7 || ours === pairs[0]?.[0] : error < 0.01, `relative error ${error}`);
      assert.ok(matrixBytes(ours) < matrixBytes(theirs) / 2);
    }
    const error = relativeError(await logitsOf(blocks, 'q4'), logits.flat());
    assert.ok(error < 0.1, `relative error of the logits ${error}`);
  });
}

test('what becomes of mixed K-quants is told', async () => {
  const handling = (await ggufSource('k-quants.gguf', 8)).handling();
  const told = Object.fromEntries(handling.map(({ stored, becomes, tensors }) => [`${stored} ${becomes}`, tensors]));
  assert.deepEqual(told, { 'Q4_K kept exactly': 5, 'Q8_0 kept exactly': 4, 'Q4_K rounded to 8 bits': 2, 'Q6_K rounded to 8 bits': 2, 'Q5_K rounded to 8 bits': 1 });
});

const wrong: [string, Record<string, unknown>, RegExp][] = [
  ['another architecture', { architectures: ['MistralForCausalLM'], model_type: 'mistral' }, /config\.json: the architecture is MistralForCausalLM.*known are LlamaForCausalLM/],
  ['biases', { attention_bias: true }, /attention_bias is true/],
  ['an unknown rope scaling', { rope_scaling: { rope_type: 'yarn', factor: 2 } }, /rope_scaling\.rope_type is "yarn"; known are/],
  ['no layers', { num_hidden_layers: undefined }, /num_hidden_layers is absent/],
  ['heads that do not group', { num_attention_heads: 2, num_key_value_heads: 3 }, /num_key_value_heads is 3/],
  ['weights of another quantiser', { quantization_config: { quant_method: 'awq' } }, /quantised by "awq"/],
  ['another activation', { hidden_act: 'gelu' }, /hidden_act is "gelu"/],
];
for (const [name, changes, message] of wrong) {
  test(`a config.json with ${name} is refused, naming it`, async () => {
    const json = { ...(await readConfig('smollm')), ...changes };
    assert.throws(() => parseLlamaConfig(json, 'config.json'), (error) => error instanceof PackError && message.test(error.message));
  });
}

test('a tensor of another shape and a missing one are refused by name before anything is loaded', async () => {
  const tensors = await openWeights(`${folder}/smollm`);
  const json = await readConfig('smollm');
  const watched: TensorFile = { ...tensors, get: () => assert.fail('a tensor was read') };
  assert.throws(() => hfSource(watched, { ...json, vocab_size: 321 }, 8), /"model\.embed_tokens\.weight" has shape \[320, 32\], config\.json makes it \[321, 32\]/);
  assert.throws(() => hfSource(watched, { ...json, num_hidden_layers: 3 }, 8), /no tensor "model\.layers\.2\./);
  assert.throws(() => hfSource(prefixed(watched, 'x.'), json, 8), /no tensor/);
  assert.throws(() => hfSource(watched, { ...json, tie_word_embeddings: false }, 8), /no tensor "lm_head\.weight"/);
  tensors.close();
});
