/** Weights as published folders have them: whole, in shards, in either format. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { PackError, TensorFileError, writeSafetensors } from '../../model/pack/index.js';
import { openWeights } from '../../model/pack/weights.node.js';
import { float32 } from '../../model/runtime/tensor.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';

const folder = await TestFolder.make();
after(() => folder.remove());

const one = float32(Float32Array.of(1, 2), [2]);
const two = float32(Float32Array.of(3), [1]);
const bytesOf = (tensors: Record<string, typeof one>): Uint8Array => writeSafetensors(new Map(Object.entries(tensors)));

/** A folder of these files. */
async function model(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  await mkdir(path.join(folder.path, name));
  for (const [file, content] of Object.entries(files)) await folder.write(path.join(name, file), content);
  return path.join(folder.path, name);
}
const index = (map: unknown): string => JSON.stringify({ metadata: {}, weight_map: map });

test('a file of either format, alone or in a folder', async () => {
  const where = await model('whole', { 'model.safetensors': bytesOf({ one, two }) });
  const torch = await model('torch', { 'pytorch_model.bin': readFileSync(fixture('torch/protocol4.pth')) });
  for (const place of [where, path.join(where, 'model.safetensors')]) {
    const weights = await openWeights(place);
    assert.deepEqual(weights.names(), ['one', 'two']);
    assert.deepEqual(weights.get('one', [2]), one);
    weights.close();
  }
  for (const place of [torch, fixture('torch/protocol4.pth')]) {
    const weights = await openWeights(place);
    assert.deepEqual(weights.get('model.0.bias').data, Float32Array.of(-1, -0.75, -0.5));
    weights.close();
  }
});

test('shards are one file', async () => {
  const where = await model('shards', {
    'model-1.safetensors': bytesOf({ one }), 'model-2.safetensors': bytesOf({ two }),
    'model.safetensors.index.json': index({ one: 'model-1.safetensors', two: 'model-2.safetensors' }),
  });
  const weights = await openWeights(where);
  assert.deepEqual(weights.names(), ['one', 'two']);
  assert.deepEqual(weights.get('two'), two);
  assert.deepEqual(weights.info('one'), { dims: [2], stored: 'float32', bytes: 8 });
  assert.throws(() => weights.get('three'), new TensorFileError('model.safetensors.index.json has no tensor "three"'));
  assert.throws(() => weights.get('two', [2]), /^SafetensorsError: model-2\.safetensors: tensor "two" has shape \[1\], expected \[2\]/);
  weights.close();
});

const refused: [string, Readonly<Record<string, string | Uint8Array>>, RegExp][] = [
  ['a folder without weights', { 'config.json': '{}' }, /holds no weights: it has none of model\.safetensors, /],
  ['a missing shard', { 'model.safetensors.index.json': index({ one: 'model-1.safetensors' }) }, /model-1\.safetensors is missing beside/],
  ['a shard of another model', { 'a.safetensors': bytesOf({ two }), 'model.safetensors.index.json': index({ one: 'a.safetensors' }) }, /a\.safetensors has no tensor "one"/],
  ['an index that leaves its folder', { 'model.safetensors.index.json': index({ one: '../a.safetensors' }) }, /weight_map names "\.\.\/a\.safetensors"/],
  ['an index without a map', { 'model.safetensors.index.json': '{}' }, /has no weight_map/],
  ['an index that is not JSON', { 'model.safetensors.index.json': '{' }, /is not JSON/],
];
for (const [name, files, message] of refused) {
  test(`${name} is refused`, async () => {
    await assert.rejects(openWeights(await model(name.replaceAll(' ', '-'), files)), (error) => error instanceof PackError && message.test(error.message));
  });
}

test('a file that is not there, of no known format, or cut short is refused by name', async () => {
  await assert.rejects(openWeights(path.join(folder.path, 'nothing.pth')), /nothing\.pth does not exist/);
  await assert.rejects(openWeights(await folder.write('model.h5', 'x')), /model\.h5 has no extension of a known weight format/);
  const short = await folder.write('short.safetensors', bytesOf({ one, two }).subarray(0, -1));
  await assert.rejects(openWeights(short), /short\.safetensors is not a valid safetensors file: its tensors take 12 bytes, but 11 follow/);
});
