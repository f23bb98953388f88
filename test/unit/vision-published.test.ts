/**
 * Vision towers of published layouts against what transformers computes on small random weights (test/fixtures/vision/make_towers.py):
 * pictures as its image processors prepare them, features as its models give them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { Graph } from '../../model/graph/index.js';
import { PackError, readSafetensors, writeSafetensors, type TensorFile } from '../../model/pack/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32, type HostTensor } from '../../model/runtime/tensor.js';
import { PublishedTower, towerFileNames, towerFiles, towerSpecs, VisionTower, type Picture } from '../../model/vision/index.js';
import { storedWeights } from '../../model/vision/layers.js';
import { findVisionTower, openVisionTower } from '../../model/vision/open.node.js';
import { prepare, preparedSize } from '../../model/vision/preparation.js';
import { connector } from '../../projector/connector.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';

const folder = await TestFolder.make();
after(() => folder.remove());
const runtime = nodeRuntime({ threads: 1 });

async function picture(name: string): Promise<Picture> {
  const { data, info } = await sharp(fixture(`vision/${name}.png`)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: new Uint8Array(data) };
}
const pictures: Readonly<Record<string, Picture>> = { wide: await picture('wide'), tall: await picture('tall') };

function worst(ours: Float32Array, theirs: HostTensor): number {
  const expected = asFloat32(theirs);
  assert.equal(ours.length, expected.length);
  return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))), 0);
}

for (const [name, shape] of Object.entries({ clip: [17, 24], siglip: [25, 24], smolvlm: [4, 64] })) {
  const expected: TensorFile = readSafetensors(readFileSync(fixture(`vision/${name}/expected.safetensors`)), name);

  test(`${name}: pictures are prepared as its image processor does, to the last bit`, async () => {
    const found = await findVisionTower(fixture(`vision/${name}`));
    found.close();
    const { size, rescale, mean, std } = found.config.preparation;
    for (const [key, frame] of Object.entries(pictures)) {
      const bytes = prepare(found.config.preparation, frame);
      // Back from what the processor gives: planes of (x / 255 - mean) / std.
      const planes = asFloat32(expected.get(`${key}.pixels`, [1, 3, size, size]));
      const theirs = Uint8Array.from(bytes, (_, i) => Math.round(((planes[(i % 3) * size * size + Math.floor(i / 3)] as number) * (std[i % 3] as number) + (mean[i % 3] as number)) / rescale));
      assert.deepEqual(bytes, theirs, key);
    }
  });

  test(`${name}: features are those of transformers`, async () => {
    const tower = await openVisionTower(fixture(`vision/${name}`), runtime);
    assert.deepEqual([tower.tokens, tower.channels], shape);
    for (const [key, frame] of Object.entries(pictures)) {
      const off = worst(await tower.features([frame]), expected.get(`${key}.features`, [1, ...shape]));
      assert.ok(off < 1e-4, `${key}: off by ${off}`);
    }
    await tower.release();
  });
}

test('SmolVLM\'s connector maps the features to the tokens its language model reads', async () => {
  const found = await findVisionTower(fixture('vision/smolvlm'));
  const expected = readSafetensors(readFileSync(fixture('vision/smolvlm/expected.safetensors')), 'smolvlm');
  const graph = new Graph('connector');
  graph.output('out', connector(graph.input('in', 'float32', [1, 4, 64]), 20, storedWeights(graph, found.tensors)));
  found.close();
  const session = await runtime.createSession(graph.toOnnx());
  const { out } = await session.run({ in: expected.get('wide.features') });
  assert.ok(worst(asFloat32(out as HostTensor), expected.get('wide.projected')) < 1e-4);
  await session.release();
});

test('what a folder holds is told without reading its weights', async () => {
  const found = await findVisionTower(fixture('vision/smolvlm'));
  assert.deepEqual([found.config.architecture, found.tokens, found.channels, found.problems], ['idefics3', 4, 64, []]);
  // 2 blocks of 16 x (4 x 16 + 2 x 24) weights, 4 x 16 + 24 + 16 biases and 4 x 16 of norms; patches, positions, the last norm.
  assert.equal(found.parameters, 2 * (16 * 112 + 104 + 64) + 16 * 193 + 16 * 16 + 32);
  assert.equal(found.memoryBytes, 4 * found.parameters);
  assert.equal(towerSpecs(found.config).some(({ name }) => name.includes('text_model')), false);
  found.close();
});

test('the feature space tells weights apart, but not the precision or the files they are stored in', async () => {
  const spaceOf = async (where: string): Promise<string> => {
    const found = await findVisionTower(where);
    try {
      return found.featureSpace();
    } finally {
      found.close();
    }
  };
  const original = fixture('vision/siglip');
  const copy = path.join(folder.path, 'float32');
  await cp(original, copy, { recursive: true });
  const weights = readSafetensors(await readFile(path.join(original, 'model.safetensors')), 'x');
  const tensors = new Map(weights.names().map((name) => [name, weights.get(name)]));
  await writeFile(path.join(copy, 'model.safetensors'), writeSafetensors(tensors));
  assert.equal(weights.info('vision_model.post_layernorm.bias').stored, 'bfloat16');
  assert.equal(await spaceOf(copy), await spaceOf(original));
  assert.match(await spaceOf(copy), /^siglip-30-25x24-[0-9a-f]{16}$/);
  tensors.set('vision_model.post_layernorm.bias', float32(new Float32Array(24).fill(0.5), [24]));
  await writeFile(path.join(copy, 'model.safetensors'), writeSafetensors(tensors));
  assert.notEqual(await spaceOf(copy), await spaceOf(original));
});

test('a tower\'s own tensors become files of a pack, and such a pack gives latents of its features', async () => {
  const found = await findVisionTower(fixture('vision/clip'));
  const size = 17 * 24;
  const map = new Map([
    ['mean', float32(new Float32Array(size).fill(0.5), [size])],
    ['components', float32(Float32Array.from({ length: 2 * size }, (_, i) => (i === 3 || i === size + 7 ? 1 : 0)), [2, size])],
    ['scale', float32(Float32Array.of(2), [1])],
    ['sigma', float32(Float32Array.of(1, 1), [2])],
  ]);
  const written = [...towerFiles(found.config, found.tensors, 40_000)];
  assert.deepEqual(written.map(({ name }) => name), ['vision-1.safetensors', 'vision-2.safetensors']);
  assert.deepEqual(towerFileNames(found.config, found.tensors, 40_000), written.map(({ name }) => name));
  assert.deepEqual(towerFileNames(found.config, found.tensors), ['vision.safetensors']);
  const held = written.flatMap(({ name, content }) => readSafetensors(content, name).names());
  assert.deepEqual(held.sort(), towerSpecs(found.config).map(({ name }) => name).sort());
  assert.ok(found.tensors.names().length > held.length, 'the pooled head\'s norm stays behind');
  found.close();
  const files = new Map([...written.map(({ name, content }): [string, Uint8Array] => [name, content]), ['latent-map.safetensors', writeSafetensors(map)]]);
  const tower = await VisionTower.load({
    manifest: { vision: { ...found.config, files: ['vision-1.safetensors', 'vision-2.safetensors'] }, latent: { dim: 2, tokens: 1 } },
    tensors: (file) => Promise.resolve(readSafetensors(files.get(file) ?? new Uint8Array(0), file)),
  }, runtime);
  const features = await tower.features([pictures['wide'] as Picture]);
  const latents = tower.latents(features);
  [3, 7].forEach((at, d) => assert.ok(Math.abs((latents[d] as number) - ((features[at] as number) - 0.5) / 2) < 1e-5));
  assert.deepEqual(tower.frameSize({ width: 1280, height: 720 }), { width: 53, height: 30 });
  await assert.rejects(async () => tower.logits(pictures['wide'] as Picture), /has no classifier/);
  await tower.release();
});

test('frames of the size that is asked for are only cut', async () => {
  const preparation = { size: 2, shortest: 2, filter: 'bicubic', fit: 'crop', rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  assert.deepEqual(preparedSize(preparation, { width: 1280, height: 720 }), { width: 3, height: 2 });
  const data = Uint8Array.from({ length: 4 * 2 * 3 }, (_, i) => i);
  assert.deepEqual([...prepare(preparation, { width: 4, height: 2, data })], [3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20]);
  assert.deepEqual(preparedSize({ ...preparation, size: 224, shortest: 224 }, { width: 8000, height: 1 }), { width: 16_384, height: 224 });
  assert.deepEqual(preparedSize({ ...preparation, fit: 'squash' }, { width: 1280, height: 720 }), { width: 2, height: 2 });
});

test('Video-LLaMA\'s checkpoints beside each other are one tower', async () => {
  const where = path.join(folder.path, 'video-llama');
  await mkdir(where);
  const from = fixture('vision/video-llama');
  const weights = readSafetensors(await readFile(path.join(from, 'weights.safetensors')), 'x');
  const part = (pattern: RegExp, rename: (name: string) => string): Uint8Array =>
    writeSafetensors(new Map(weights.names().filter((name) => pattern.test(name)).map((name) => [rename(name), weights.get(name)])));
  await writeFile(path.join(where, 'eva_vit_g.safetensors'), part(/^visual_encoder\./, (name) => name.slice('visual_encoder.'.length)));
  await writeFile(path.join(where, 'blip2.safetensors'), part(/^(Qformer|query_tokens|ln_vision)/, (name) => `model.${name}`));
  await writeFile(path.join(where, 'finetuned.safetensors'), part(/^(video_|llama_proj)/, (name) => `model.${name}`));
  await writeFile(path.join(where, 'config.json'), JSON.stringify({ model_type: 'video_llama', ...JSON.parse(await readFile(path.join(from, 'config.json'), 'utf8')) as object }));
  const tower = await openVisionTower(where, runtime);
  assert.deepEqual([tower.tokens, tower.channels], [5, 48]);
  const expected = readSafetensors(await readFile(path.join(from, 'expected.safetensors')), 'x');
  // The fixture's pixels are noise, not a picture's; a frame of one colour is enough to tell that all parts are there.
  const features = await tower.features([{ width: 28, height: 28, data: new Uint8Array(28 * 28 * 3).fill(120) }]);
  assert.ok(features.every(Number.isFinite) && features.length === 5 * 48 && asFloat32(expected.get('qformer')).length === 3 * features.length);
  await tower.release();
  await rm(path.join(where, 'blip2.safetensors'));
  await assert.rejects(openVisionTower(where, runtime), (error) => error instanceof PackError && /eva_vit_g\.safetensors \+ finetuned\.safetensors has no tensor "ln_vision\.weight" \[64\] \(and \d+ more\)/.test(error.message));
});

/** A copy of a fixture with some of its settings changed. */
async function changed(name: string, file: string, change: Readonly<Record<string, unknown>>): Promise<string> {
  const where = path.join(folder.path, `${name}-${file}-${Object.keys(change).join('-')}-${JSON.stringify(Object.values(change)).replaceAll(/[^a-z0-9]/g, '')}`);
  await cp(fixture(`vision/${name}`), where, { recursive: true });
  const json = JSON.parse(await readFile(path.join(where, file), 'utf8')) as object;
  await writeFile(path.join(where, file), JSON.stringify({ ...json, ...change }));
  return where;
}

const REFUSED: [string, string, string, Readonly<Record<string, unknown>>, RegExp][] = [
  ['another kind of model', 'clip', 'config.json', { model_type: 'vit_mae' }, /model_type "vit_mae"; vision towers are known of clip, /],
  ['an unknown activation', 'siglip', 'config.json', { hidden_act: 'selu' }, /hidden_act is "selu"; known are gelu, /],
  ['a size that is no number', 'siglip', 'config.json', { hidden_size: '24' }, /hidden_size is "24", not a whole number/],
  ['heads that do not divide the width', 'siglip', 'config.json', { num_attention_heads: 5 }, /vit\.heads 5 does not divide vit\.width 24/],
  ['more layers than there are', 'siglip', 'config.json', { num_hidden_layers: 3 }, /model\.safetensors has no tensor "vision_model\.encoder\.layers\.2\.layer_norm1\.weight" \[24\] \(and 15 more\)/],
  ['another width', 'siglip', 'config.json', { intermediate_size: 48 }, /tensor "vision_model\.encoder\.layers\.0\.mlp\.fc1\.weight" has shape \[40, 24\], expected \[48, 24\]/],
  ['a shuffle that does not divide', 'smolvlm', 'config.json', { scale_factor: 3 }, /shuffle 3 does not divide the 4 patches of a side/],
  ['an unknown filter', 'clip', 'preprocessor_config.json', { resample: 5 }, /resample is 5; known are 1, 2, 3, 4/],
  ['pictures of another size', 'clip', 'preprocessor_config.json', { crop_size: 32 }, /crop_size is 32; the tower sees 28 x 28 pixels/],
  ['a mean of two colours', 'clip', 'preprocessor_config.json', { image_mean: [0.5, 0.5] }, /image_mean is \[0\.5,0\.5\]; three numbers are due/],
];
for (const [what, name, file, change, message] of REFUSED) {
  test(`${what} is refused by name`, async () => {
    await assert.rejects(openVisionTower(await changed(name, file, change), runtime), (error) => error instanceof PackError && message.test(error.message));
  });
}

test('weights cut short are refused by name', async () => {
  const where = path.join(folder.path, 'short');
  await cp(fixture('vision/clip'), where, { recursive: true });
  await writeFile(path.join(where, 'model.safetensors'), (await readFile(path.join(where, 'model.safetensors'))).subarray(0, 70_000));
  await assert.rejects(openVisionTower(where, runtime), /model\.safetensors is not a valid safetensors file/);
});

test('loading stops where it is asked to', async () => {
  const reason = new Error('enough');
  const found = await findVisionTower(fixture('vision/clip'));
  await assert.rejects(PublishedTower.load(found.config, found.tensors, runtime, { signal: AbortSignal.abort(reason) }), reason);
  found.close();
});
