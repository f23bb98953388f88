/** Pack folders: what is complete opens, what is damaged is refused by name. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { truncate } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { PackError, parseManifest, writeSafetensors } from '../../model/pack/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { float32 } from '../../model/runtime/tensor.js';
import { TestFolder } from '../helpers/folder.js';

const tensors = writeSafetensors(new Map([['x', float32(Float32Array.of(1, 2), [2])]]));
const sha256 = createHash('sha256').update(tensors).digest('hex');

const manifest = {
  format: 1,
  id: 'test-pack',
  feature_space: 'test-space',
  files: { 'a.safetensors': { sha256, bytes: tensors.byteLength } },
  licences: [],
  sources: [],
  vision: {
    architecture: 'efficientnet-lite2', size: 260, mean: 127, std: 128, padding: 'same-tf', eps: 0.001,
    blocks: [{ kernel: 3, stride: 1, in: 32, out: 16, expand: 1 }],
  },
  latent: { dim: 256, tokens: 5 },
  language: {
    architecture: 'llama', layers: 2, hidden: 64, heads: 4, kv_heads: 2, head_dim: 16, intermediate: 96, vocab: 320,
    rope_theta: 10000, rms_eps: 1e-5, context: 128, bos: 0, eos: 1, tied: true,
  },
  projector: { hidden: 8 },
  prompt: {
    system: 's', photo_before: 'p', photo_after: 'q', video_before: 'v{n}', frame_before: '{t}', frame_after: '\n', max_frames: 8, default_question: '?',
  },
};

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

test('a whole pack opens and gives its tensors', async () => {
  await folder.write('pack.json', JSON.stringify(manifest));
  await folder.write('a.safetensors', tensors);
  const pack = await openPack(folder.path);
  assert.equal(pack.manifest.id, 'test-pack');
  assert.deepEqual([...(await pack.tensors('a.safetensors')).get('x').data], [1, 2]);
  await assert.rejects(pack.tensors('b.safetensors'), /has no file "b\.safetensors"/);
  // A name every object has, were names looked up carelessly.
  await assert.rejects(pack.bytes('constructor'), PackError);
});

test('a large file is checked as a whole and then read tensor by tensor', async () => {
  const size = 2 ** 27;
  const header = new TextEncoder().encode(JSON.stringify({ zeros: { dtype: 'U8', shape: [size], data_offsets: [0, size] }, x: { dtype: 'F32', shape: [1], data_offsets: [size, size + 4] } }));
  const start = new Uint8Array(8 + header.length);
  new DataView(start.buffer).setBigUint64(0, BigInt(header.length), true);
  start.set(header, 8);
  const file = await folder.write('large.safetensors', start);
  await truncate(file, start.length + size + 4);
  const hash = createHash('sha256').update(start);
  for (let part = 0; part < size; part += 2 ** 24) hash.update(new Uint8Array(2 ** 24));
  const entry = { sha256: hash.update(new Uint8Array(4)).digest('hex'), bytes: start.length + size + 4 };
  const open = async (files: typeof manifest.files): Promise<ModelPack> => {
    await folder.write('pack.json', JSON.stringify({ ...manifest, files }));
    return openPack(folder.path);
  };
  const held = process.memoryUsage().arrayBuffers;
  const read = await (await open({ 'large.safetensors': entry } as unknown as typeof manifest.files)).tensors('large.safetensors');
  assert.deepEqual([...read.get('x', [1]).data], [0]);
  assert.ok(process.memoryUsage().arrayBuffers - held < size / 2, 'the file is not held in memory');
  const other = await open({ 'large.safetensors': { ...entry, sha256 } } as unknown as typeof manifest.files);
  await assert.rejects(other.tensors('large.safetensors'), /large\.safetensors .* was altered: its sha256 is/);
  const missing = await open({ 'gone.safetensors': entry } as unknown as typeof manifest.files);
  await assert.rejects(missing.tensors('gone.safetensors'), /gone\.safetensors is missing from the pack/);
});

test('an altered, a cut and a missing file are told apart', async () => {
  await folder.write('pack.json', JSON.stringify(manifest));
  const altered = tensors.slice();
  altered[altered.length - 1] = 7;
  await folder.write('a.safetensors', altered);
  const pack = await openPack(folder.path);
  await assert.rejects(pack.bytes('a.safetensors'), /a\.safetensors .* was altered: its sha256 is/);
  await folder.write('a.safetensors', tensors.subarray(0, 20));
  await assert.rejects(pack.bytes('a.safetensors'), /has 20 bytes, pack\.json says/);
  const absent = { ...manifest, files: { 'gone.safetensors': { sha256, bytes: 1 } } };
  await folder.write('pack.json', JSON.stringify(absent));
  await assert.rejects((await openPack(folder.path)).bytes('gone.safetensors'), /gone\.safetensors is missing from the pack/);
});

test('a folder without pack.json is said to be no pack', async () => {
  await assert.rejects(openPack(`${folder.path}/nowhere`), (error) => error instanceof PackError && /is not a model pack/.test(error.message));
});

const wrong: [string, unknown, RegExp][] = [
  ['text', 'nope', /is not JSON/],
  ['another format', { ...manifest, format: 2 }, /format/],
  ['a missing field', { ...manifest, prompt: { ...manifest.prompt, system: undefined } }, /prompt/],
  ['a size that is not one', { ...manifest, language: { ...manifest.language, layers: 0 } }, /language\.layers/],
  ['heads that do not group', { ...manifest, language: { ...manifest.language, kv_heads: 3 } }, /heads 4 is not a multiple of language\.kv_heads 3/],
  ['languages that are no codes', { ...manifest, language: { ...manifest.language, languages: ['English'] } }, /language\.languages/],
  ['a file outside the folder', { ...manifest, files: { '../secret': { sha256, bytes: 1 } } }, /"\.\.\/secret"/],
  ['a digest that is none', { ...manifest, files: { x: { sha256: 'abc', bytes: 1 } } }, /files\.x\.sha256/],
];
for (const [name, value, message] of wrong) {
  test(`pack.json with ${name} is refused, naming it`, () => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    assert.throws(() => parseManifest(text, 'pack.json'), (error) => error instanceof PackError && message.test(error.message));
  });
}

const tower = {
  architecture: 'clip', files: ['a.safetensors'], prefix: 'vision_model.',
  vit: { image: 28, patch: 7, width: 24, depth: 3, heads: 3, inner: 40, activation: 'quick_gelu', eps: 1e-5, classToken: true, patchBias: false, normBefore: true, normAfter: false },
  preparation: { size: 28, shortest: 30, filter: 'bicubic', fit: 'crop', rescale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};

test('a pack may describe a published tower; what is wrong in it is named', () => {
  const parse = (vision: unknown): unknown => parseManifest(JSON.stringify({ ...manifest, vision }), 'pack.json');
  assert.doesNotThrow(() => parse(tower));
  const refused: [unknown, RegExp][] = [
    [{ ...tower, vit: { ...tower.vit, depth: 0 } }, /pack\.json: vision\.vit\.depth/],
    [{ ...tower, preparation: { ...tower.preparation, filter: 'nearest' } }, /pack\.json: vision\.preparation\.filter/],
    [{ ...tower, vit: { ...tower.vit, heads: 5 } }, /vision\.vit\.heads 5 does not divide vit\.width 24/],
    [{ ...tower, preparation: { ...tower.preparation, size: 30 } }, /vision\.preparation\.size 30 is not vit\.image 28/],
    [{ ...tower, shuffle: 2 }, /vision\.shuffle belongs to idefics3, the architecture is clip/],
    [{ ...tower, architecture: 'video-llama' }, /vision\.former belongs to video-llama/],
    [{ ...tower, files: ['b.safetensors'] }, /vision\.files names "b\.safetensors", which files has not/],
    [{ ...manifest.vision, size: 0 }, /pack\.json: vision\.size/],
  ];
  for (const [vision, message] of refused) assert.throws(() => parse(vision), (error) => error instanceof PackError && message.test(error.message));
});
