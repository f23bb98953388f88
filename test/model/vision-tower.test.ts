import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Frame, resize } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { VisionTower } from '../../model/vision/index.js';

const fixtures = fileURLToPath(new URL('../../../test/fixtures/vision', import.meta.url));
const readJson = async <T>(name: string): Promise<T> => JSON.parse(await readFile(path.join(fixtures, name), 'utf8')) as T;

async function readPhoto(file: string): Promise<Frame> {
  const source = await openFrames(file);
  for await (const frame of source.frames()) return frame;
  throw new Error(`${file} gave no frame`);
}

const photo = await readPhoto(path.join(fixtures, 'photo.png'));
const tower = await VisionTower.load(await openPack(), nodeRuntime({ threads: 1 }));
after(() => tower.release());

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * (y[i] ?? NaN), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

test('the logits of a photo are those of the published implementation', async () => {
  const expected = await readJson<{ logits: number[]; top5: number[] }>('logits.json');
  const logits = await tower.logits(photo);
  assert.equal(logits.length, 1000);
  const worst = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected.logits[i] ?? NaN))), 0);
  assert.ok(worst < 1e-3, `off by ${worst}`);
  const ranked = [...logits.keys()].toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0));
  assert.deepEqual(ranked.slice(0, 5), expected.top5);
});

test('the feature tokens and the latent of a photo are the recipe\'s', async () => {
  const expected = await readJson<{ tokens: number[][]; latent: number[] }>('tokens.json');
  const features = await tower.features([photo]);
  assert.equal(features.length, 5 * 1280);
  expected.tokens.forEach((token, row) =>
    token.forEach((value, i) => assert.ok(Math.abs(value - (features[row * 1280 + i] ?? NaN)) < 1e-3, `token ${row}, number ${i}`)),
  );
  const latent = tower.latents(features);
  assert.equal(latent.length, tower.latentDim);
  expected.latent.forEach((value, i) => assert.ok(Math.abs(value - (latent[i] ?? NaN)) < 5e-3, `latent number ${i}: ${latent[i]}, not ${value}`));
});

test('a frame has the same features alone and among others', async () => {
  const other: Frame = { width: 3, height: 2, time_s: 0, data: Uint8Array.from({ length: 18 }, (_, i) => i * 13) };
  const [alone, among] = [await tower.features([photo]), await tower.features([other, photo, other])];
  assert.equal(among.length, 3 * alone.length);
  const worst = alone.reduce((most, value, i) => Math.max(most, Math.abs(value - (among[alone.length + i] ?? NaN))), 0);
  assert.ok(worst < 1e-4, `off by ${worst}`);
  assert.deepEqual(await tower.features([]), new Float32Array(0));
});

test('a photo scaled down and up again keeps most of its features', async () => {
  const half = { width: 130, height: 130, data: resize(photo, 130, 130) };
  assert.ok(cosine(await tower.features([photo]), await tower.features([half])) > 0.7);
  const grey = { width: 130, height: 130, data: new Uint8Array(130 * 130 * 3).fill(127) };
  assert.ok(cosine(await tower.features([photo]), await tower.features([grey])) < 0.3);
});

test('an aborted signal stops between frames', async () => {
  const reason = new Error('enough');
  await assert.rejects(tower.features([photo], { signal: AbortSignal.abort(reason) }), reason);
});
