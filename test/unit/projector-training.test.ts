/** Training of projector and adapter on a small random model: the loss is the chat model's own, it falls, and a saved state goes on exactly. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { surveyModel, writePack } from '../../client/cli/pack/add.js';
import { ChatTemplate, LanguageModel, TextTokenizer } from '../../model/language/index.js';
import { readDecoderWeights, type DecoderWeights } from '../../model/language/weights.js';
import { writeSafetensors } from '../../model/pack/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { PackWriter } from '../../model/pack/write.node.js';
import { decodeFloat16 } from '../../model/runtime/float16.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { ChatModel, projectorShapes, type VideoPart } from '../../projector/index.js';
import { makeExample, planBatches, type Example } from '../../projector/training/batch.js';
import { ProjectorTrainer } from '../../projector/training/trainer.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers } from '../helpers/random.js';
import { TINY_LATENT, writeTinyBase } from '../helpers/tiny-pack.js';

const runtime = nodeRuntime({ threads: 1 });
const QUESTION = 'What?';
let folder: TestFolder;
let pack: ModelPack;
let weights: DecoderWeights;
let videos: VideoPart[];
let captions: string[][];
let examples: Example[];

before(async () => {
  folder = await TestFolder.make();
  const [base, place] = [path.join(folder.path, 'base'), path.join(folder.path, 'pack')];
  await writeTinyBase(base);
  const survey = await surveyModel(fixture('language/published/smollm'), { origin: 'smollm', base, licence: 'apache-2.0' });
  await writePack(survey, place, { runtime, signal: new AbortController().signal, onProgress: () => undefined });
  survey.close();
  pack = await openPack(place);
  const shards = Object.keys(pack.manifest.files).filter((file) => LanguageModel.shards.test(file));
  weights = readDecoderWeights(pack.manifest.language, await Promise.all(shards.map((file) => pack.tensors(file))), await pack.tensors('embedding.safetensors'), null);

  const random = randomNumbers(3);
  videos = Array.from({ length: 12 }, (_, i) => {
    const frames = i % 3 === 2 ? 3 : 1;
    // The sign of the first numbers tells what there is to see.
    const latents = Float32Array.from({ length: frames * TINY_LATENT }, (_, j) => (j % TINY_LATENT < 4 ? (i % 2 === 0 ? 1 : -1) : 0) + 0.2 * random.normal());
    return { type: 'video', id: String(i), latents, dim: TINY_LATENT, times_s: Array.from({ length: frames }, (_, t) => t), version: '1' };
  });
  captions = videos.map((_, i) => (i % 2 === 0 ? ['A brown dog runs.', 'A dog runs.'] : ['A man rides.']));
  const tokenizer = new TextTokenizer(await pack.text('tokenizer.json'));
  const context = { tokenizer, template: new ChatTemplate(await pack.text('chat_template.jinja')), prompt: pack.manifest.prompt, tokensPerFrame: 2 };
  examples = videos.map((video, i) => makeExample(video, QUESTION, captions[i] as string[], tokenizer, context));
});
after(() => folder.remove());

async function trainer(seed = 'test'): Promise<ProjectorTrainer> {
  const { language, latent, projector } = pack.manifest;
  const shape = { latent: latent.dim, tokens: latent.tokens, hidden: language.hidden, inner: projector.hidden };
  const file = await pack.tensors('projector.safetensors');
  const values = new Map(Object.entries(projectorShapes(shape)).map(([name, dims]) => [name, decodeFloat16(file.get(name, dims).data as Uint16Array)]));
  const plan = planBatches(examples, language, { batch: 4, rank: 4, latent: latent.dim, tokensPerFrame: latent.tokens, inner: projector.hidden });
  return ProjectorTrainer.create(weights, plan, shape, { projector: values }, runtime, seed);
}

/** Mean loss of a token as the chat model has it, answers scored one at a time. */
async function chatLoss(from: ModelPack): Promise<number> {
  const chat = await ChatModel.load(from, runtime, { kind: 'fp32' });
  let [sum, count] = [0, 0];
  for (const [i, video] of videos.entries()) {
    for (const { logProbability, tokens } of await chat.score([{ role: 'user', content: [video, { type: 'text', text: QUESTION }] }], captions[i] as string[])) {
      [sum, count] = [sum - logProbability, count + tokens];
    }
  }
  await chat.release();
  return sum / count;
}

test('before training the loss is that of the chat model, whatever shares a row or a batch', async () => {
  const fresh = await trainer();
  const [ours, theirs] = [await fresh.loss(examples), await chatLoss(pack)];
  assert.ok(Math.abs(ours - theirs) < 1e-3, `${ours} against ${theirs}`);
  await fresh.release();
});

test('the loss falls, and the written pack has it too', async () => {
  const trained = await trainer();
  const before = await trained.loss(examples);
  const steps = 250;
  for (let step = 0; step < steps; step++) await trained.step(examples, step / steps);
  const after = await trained.loss(examples);
  assert.ok(after < before / 2, `${before} became ${after}`);
  const { projector, adapter } = trained.files();
  const writer = await PackWriter.create(path.join(folder.path, 'trained'));
  for (const name of Object.keys(pack.manifest.files)) if (name !== 'projector.safetensors') await writer.write(name, await pack.bytes(name));
  await writer.write('projector.safetensors', writeSafetensors(projector));
  await writer.write('adapter.safetensors', writeSafetensors(adapter));
  await writer.finish({ ...pack.manifest, adapter: { rank: 4 } });
  const written = await chatLoss(await openPack(path.join(folder.path, 'trained')));
  assert.ok(Math.abs(written - after) < 0.02, `${written} against ${after}`);
  // What was learned depends on what is seen: with the latents of others the captions are no longer likely.
  videos = videos.map((video) => ({ ...video, latents: video.latents.map((value) => -value), version: '2' }));
  assert.ok((await chatLoss(await openPack(path.join(folder.path, 'trained')))) > after + 0.3);
  await trained.release();
});

test('a saved state goes on as if nothing had happened', async () => {
  const [whole, other] = [await trainer(), await trainer()];
  for (let step = 0; step < 3; step++) await whole.step(examples, 0.5);
  const saved = new Map([...whole.state()].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]));
  const expected = [await whole.step(examples, 0.5), await whole.step(examples, 0.5)];
  other.restore((name) => saved.get(name) ?? assert.fail(`${name} was not saved`), 3);
  assert.deepEqual([await other.step(examples, 0.5), await other.step(examples, 0.5)], expected);
  await Promise.all([whole.release(), other.release()]);
});
