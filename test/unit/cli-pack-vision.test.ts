/** Packs of whole vision-language models: SmolVLM's own features become the latents, its connector the projector. */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { surveyModel, writePack } from '../../client/cli/pack/add.js';
import { checkPack } from '../../client/cli/pack/info.js';
import { Decoder } from '../../model/language/index.js';
import { loadDecoder } from '../../model/language/published/decoder-source.js';
import { openPublishedLanguage } from '../../model/language/published/open.node.js';
import { ModelPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { VisionTower } from '../../model/vision/index.js';
import { checkFeatureSpace, Projector } from '../../projector/index.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers } from '../helpers/random.js';
import { writeTinyBase } from '../helpers/tiny-pack.js';

const source = fixture('language/published/smolvlm');
const { smolvlm: expected } = JSON.parse(await readFile(fixture('language/published/expected.json'), 'utf8')) as { smolvlm: { projected: number[]; logits: number[] } };
const runtime = nodeRuntime({ threads: 1 });
const SIDE = 32;
/** The picture of make.py. */
const picture = { width: SIDE, height: SIDE, data: Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => ((Math.floor(i / 3) % SIDE) + Math.floor(i / 3 / SIDE)) * ([3, 5, 7][i % 3] as number)) };
let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
  await writeTinyBase(path.join(folder.path, 'base'));
});
after(() => folder.remove());

async function add(output: string, photos?: string): Promise<ModelPack> {
  const survey = await surveyModel(source, { origin: 'smolvlm', base: path.join(folder.path, 'base'), licence: 'apache-2.0' });
  assert.match(survey.text, /vision +idefics3, .* 32 x 32 pixels to 4 tokens of 64/);
  assert.match(survey.text, /missing +nothing/);
  await writePack(survey, path.join(folder.path, output), { ...(photos === undefined ? {} : { photos }), runtime, signal: new AbortController().signal, onProgress: () => undefined });
  survey.close();
  const pack = await ModelPack.open(path.join(folder.path, output));
  await checkPack(pack);
  return pack;
}

async function projected(pack: ModelPack, data: Uint8Array): Promise<Float32Array> {
  const [tower, projector] = [await VisionTower.load(pack, runtime), await Projector.load(pack, runtime)];
  const tokens = await projector.project(tower.latents(await tower.features([{ ...picture, data }])));
  await Promise.all([tower.release(), projector.release()]);
  return tokens;
}

const worst = (ours: ArrayLike<number>, theirs: readonly number[]): number => Math.max(...theirs.map((value, i) => Math.abs(value - (ours[i] as number))));

test("SmolVLM whole: the projector's tokens are transformers', and with them its logits", async () => {
  const pack = await add('whole');
  const { latent, feature_space: space, projector } = pack.manifest;
  assert.deepEqual([latent.dim, latent.tokens, projector.trained], [256, 4, undefined]);
  const tokens = await projected(pack, picture.data);
  assert.ok(worst(tokens, expected.projected) < 5e-3, `tokens differ by ${worst(tokens, expected.projected)}`);

  const language = await openPublishedLanguage(source, { bits: null });
  const decoder = await Decoder.create(loadDecoder(language.source), runtime, { kind: 'fp32', context: 16 });
  const embeddings = Float32Array.from([...decoder.embed([5, 6]), ...tokens, ...decoder.embed([7, 8, 9])]);
  const logits = await decoder.forward(embeddings, decoder.newCache());
  assert.ok(worst(logits, expected.logits) < 5e-3, `logits differ by ${worst(logits, expected.logits)}`);
  language.close();
  await decoder.release();
  assert.throws(() => checkFeatureSpace({ id: 'tiny-base', feature_space: 'tiny-space-v1' }, { id: pack.manifest.id, feature_space: space }), /encoded for pack "tiny-base"/);
});

test('with photos the latents are their principal components, and on them nothing is lost', async () => {
  const random = randomNumbers(9);
  const photos = path.join(folder.path, 'photos');
  await mkdir(photos);
  const datas: Uint8Array[] = [];
  for (let i = 0; i < 6; i++) {
    const data = picture.data.map((value, at) => (value * (i + 1) + (at % (17 + i)) * 9 + random.below(20)) % 256);
    await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toFile(path.join(photos, `${i}.png`));
    datas.push(data);
  }
  const [whole, reduced] = [await ModelPack.open(path.join(folder.path, 'whole')), await add('reduced', photos)];
  assert.equal(reduced.manifest.latent.dim, 5);
  assert.match(reduced.manifest.feature_space, /-pca5-[0-9a-f]{8}$/);
  for (const data of datas.slice(0, 2)) {
    const [exact, ours] = [await projected(whole, data), await projected(reduced, data)];
    assert.ok(worst(ours, [...exact]) < 0.02, `tokens differ by ${worst(ours, [...exact])}`);
  }
});
