/** Packs of whole vision-language models: SmolVLM's or Video-LLaMA's own features become the latents, its own layers the projector. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { surveyModel, writePack } from '../../client/cli/pack/add.js';
import { checkPack, packInfo } from '../../client/cli/pack/info.js';
import { Decoder } from '../../model/language/index.js';
import { loadDecoder } from '../../model/language/published/decoder-source.js';
import { openPublishedLanguage } from '../../model/language/published/open.node.js';
import { readSafetensors, writeSafetensors } from '../../model/pack/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32 } from '../../model/runtime/tensor.js';
import { VisionTower } from '../../model/vision/index.js';
import { ChatModel, checkFeatureSpace, Projector, type ReplyResult, type VideoPart } from '../../projector/index.js';
import { VideoProjector } from '../../projector/video-llama.js';
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
  const pack = await openPack(path.join(folder.path, output));
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
  const [whole, reduced] = [await openPack(path.join(folder.path, 'whole')), await add('reduced', photos)];
  assert.equal(reduced.manifest.latent.dim, 5);
  assert.match(reduced.manifest.feature_space, /-pca5-[0-9a-f]{8}$/);
  for (const data of datas.slice(0, 2)) {
    const [exact, ours] = [await projected(whole, data), await projected(reduced, data)];
    assert.ok(worst(ours, [...exact]) < 0.02, `tokens differ by ${worst(ours, [...exact])}`);
  }
});

test('Video-LLaMA whole: its checkpoints and a Vicuna become a pack that answers about a video', async () => {
  const eye = path.join(folder.path, 'eye');
  await mkdir(eye);
  const from = fixture('vision/video-llama');
  await writeFile(path.join(eye, 'all.safetensors'), await readFile(path.join(from, 'weights.safetensors')));
  const settings = JSON.parse(await readFile(path.join(from, 'config.json'), 'utf8')) as object;
  await writeFile(path.join(eye, 'config.json'), JSON.stringify({ model_type: 'video_llama', ...settings }));
  const survey = await surveyModel(fixture('language/published/vicuna'), { origin: 'vicuna', vision: eye, base: path.join(folder.path, 'base'), licence: 'llama2', template: 'vicuna' });
  assert.match(survey.text, /vision +video-llama, .* 28 x 28 pixels to 5 tokens of 48/);
  const output = path.join(folder.path, 'video-llama');
  await writePack(survey, output, { runtime, signal: new AbortController().signal, onProgress: () => undefined });
  survey.close();
  const pack = await openPack(output);
  await checkPack(pack);
  assert.deepEqual(pack.manifest.latent, { dim: 240, tokens: 6 });
  assert.match(packInfo(pack), /6 tokens a video/);

  const expectedOutputs = readSafetensors(await readFile(path.join(from, 'expected.safetensors')), 'expected');
  const latents = asFloat32(expectedOutputs.get('qformer'));
  const sizes = pack.manifest.projector.video;
  assert.ok(sizes);
  const projector = await VideoProjector.load(pack, sizes, runtime);
  const off = worst(await projector.project(latents), [...asFloat32(expectedOutputs.get('llama_proj'))]);
  assert.ok(off < 1e-4, `tokens differ by ${off}`);
  await assert.rejects(projector.project(new Float32Array(9 * 240)), /9 frames, positions were learned for 8/);
  await projector.release();

  const chat = await ChatModel.load(pack, runtime);
  const video: VideoPart = { type: 'video', id: 'v', version: '1', latents, dim: 240, times_s: [0, 1.2, 2.4] };
  const words = { role: 'user' as const, content: [{ type: 'text' as const, text: 'What?' }] };
  const asked = { role: 'user' as const, content: [video, { type: 'text' as const, text: 'What?' }] };
  assert.ok(chat.countTokens([asked]) > chat.countTokens([words]) + 6);
  const answer = async (part: VideoPart): Promise<ReplyResult> => {
    const reply = chat.reply([{ role: 'user', content: [part, { type: 'text', text: 'What?' }] }], { maxTokens: 4 });
    for (;;) {
      const next = await reply.next();
      if (next.done === true) return next.value;
    }
  };
  const first = await answer(video);
  assert.ok(first.usage.completion_tokens > 0 || first.finish === 'stop');
  const again = await answer(video);
  assert.ok(again.usage.cached_tokens > 6, 'the video is not run again');
  assert.equal(again.text, first.text);
  await chat.release();
});

test("Video-LLaMA's projector is refused for a language model of another width", async () => {
  const eye = path.join(folder.path, 'wide-eye');
  await mkdir(eye);
  const weights = readSafetensors(await readFile(path.join(folder.path, 'eye/all.safetensors')), 'all');
  const tensors = new Map(weights.names().map((name) => [name, weights.get(name)]));
  tensors.set('llama_proj.weight', float32(new Float32Array(64 * 48), [64, 48]));
  await writeFile(path.join(eye, 'all.safetensors'), writeSafetensors(tensors));
  await writeFile(path.join(eye, 'config.json'), await readFile(path.join(folder.path, 'eye/config.json')));
  const survey = await surveyModel(fixture('language/published/vicuna'), { origin: 'vicuna', vision: eye, base: path.join(folder.path, 'base'), licence: 'llama2', template: 'vicuna' });
  const writing = writePack(survey, path.join(folder.path, 'never'), { runtime, signal: new AbortController().signal, onProgress: () => undefined });
  await assert.rejects(writing, /llama_proj of all\.safetensors was trained for a language model of width 64; this one's is 32/);
  survey.close();
});
