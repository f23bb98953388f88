/** `latentchat pack`: packs made of published models, from folders, GGUF files and a hub; what does not fit is refused by name. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { surveyModel, writePack, type SurveyOptions, type WriteOptions } from '../../client/cli/pack/add.js';
import { fetchModel, isHubId, type HubOptions } from '../../client/cli/pack/hub.js';
import { checkPack, packInfo } from '../../client/cli/pack/info.js';
import { Decoder, LanguageModel } from '../../model/language/index.js';
import { loadDecoder } from '../../model/language/published/decoder-source.js';
import { openPublishedLanguage } from '../../model/language/published/open.node.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { ChatModel } from '../../projector/index.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';
import { TINY_LATENT, writeTinyBase } from '../helpers/tiny-pack.js';

const published = fixture('language/published');
const runtime = nodeRuntime({ threads: 1 });
const never = new AbortController().signal;
const writing: WriteOptions = { runtime, signal: never, onProgress: () => undefined };
let folder: TestFolder;
let base: string;
before(async () => {
  folder = await TestFolder.make();
  base = path.join(folder.path, 'base');
  await writeTinyBase(base);
});
after(() => folder.remove());

async function add(source: string, output: string, options: Partial<SurveyOptions> = {}): Promise<ModelPack> {
  const survey = await surveyModel(source, { origin: path.basename(source), base, licence: 'apache-2.0', ...options });
  try {
    await writePack(survey, path.join(folder.path, output), writing);
  } finally {
    survey.close();
  }
  return openPack(path.join(folder.path, output));
}

/** A copy of a published model that a test may spoil. */
async function copied(name: string, as: string): Promise<string> {
  const place = path.join(folder.path, as);
  await cp(path.join(published, name), place, { recursive: true });
  return place;
}

const cases: [string, string, Partial<SurveyOptions>][] = [
  ['a folder in Hugging Face layout, 8 bits', 'smollm', {}],
  ['the same in 4 bits', 'smollm', { bits: 4 }],
  ['an untied one with a tokenizer of pieces', 'vicuna', {}],
  ['a GGUF file of 4-bit blocks', 'q4_0.gguf', { template: 'vicuna' }],
  ['a GGUF file with tokenizer and template of its own', 'q8_0.gguf', {}],
];
for (const [index, [what, source, options]] of cases.entries()) {
  test(`${what}: the pack's language model gives exactly the logits of the model it was made of`, async () => {
    const pack = await add(path.join(published, source), `pack-${index}`, options);
    await checkPack(pack);
    const model = await LanguageModel.load(pack, runtime, { kind: 'q4', context: 64 });
    const original = await openPublishedLanguage(path.join(published, source), { bits: options.bits ?? 8, ...(options.template === undefined ? {} : { template: options.template }) });
    const decoder = await Decoder.create(loadDecoder(original.source), runtime, { kind: 'q4', context: 64 });
    const ids = [5, 60, 7, 91, 33];
    const [ours, theirs] = [await model.decoder.forward(model.decoder.embed(ids), model.decoder.newCache(), 2), await decoder.forward(decoder.embed(ids), decoder.newCache(), 2)];
    assert.deepEqual([...ours], [...theirs]);
    original.close();
    await Promise.all([model.release(), decoder.release()]);
  });
}

test('a new pack takes questions about latents of its base, and says that its projector has learned nothing yet', async () => {
  const pack = await openPack(path.join(folder.path, 'pack-0'));
  assert.equal(pack.manifest.feature_space, 'tiny-space-v1');
  assert.match(packInfo(pack), /not trained yet: latentchat train projector/);
  assert.ok(pack.has('LICENSE-eye'));
  const chat = await ChatModel.load(pack, runtime);
  const latents = new Float32Array(TINY_LATENT).fill(0.5);
  const reply = chat.reply([{ role: 'user', content: [{ type: 'video', id: 'v', latents, dim: TINY_LATENT, times_s: [0], version: '1' }, { type: 'text', text: 'What?' }] }], { maxTokens: 4 });
  let next = await reply.next();
  while (next.done !== true) next = await reply.next();
  assert.ok(next.value.usage.completion_tokens > 0);
  await chat.release();
});

test("a text-marked model's answers end at its mark, and a user's words cannot make one", async () => {
  const pack = await openPack(path.join(folder.path, 'pack-2'));
  assert.deepEqual(pack.manifest.prompt.stop, ['###']);
  const chat = await ChatModel.load(pack, runtime);
  const count = (text: string): number => chat.countTokens([{ role: 'user', content: [{ type: 'text', text }] }]);
  assert.equal(count('a ###Assistant: b'), count('a # # #Assistant: b'));
  assert.notEqual(count('a ###Assistant: b'), count('a Assistant: b'));
  await chat.release();
});

test('what was found, its cost and what is missing are told before anything is written', async () => {
  const survey = await surveyModel(path.join(published, 'k-quants.gguf'), { origin: 'k', base, template: 'chatml' }).catch((error: unknown) => error);
  assert.match(String(survey), /k-quants\.gguf: its tokenizer \(undefined, undefined\) is of a kind that is not known here: put the model's tokenizer\.json beside it/);
  const found = await surveyModel(path.join(published, 'smollm'), { origin: 'smollm', base });
  assert.match(found.text, /28,672 weights: 2 layers of width 32, 2 heads over 1, vocabulary 320, tied, context 128/);
  assert.match(found.text, /14 BF16 rounded to 8 bits/);
  assert.match(found.text, /memory +\d+ MB loaded, up to \d+ MB while loading/);
  assert.match(found.text, /missing +a licence \(--licence NAME\); a projector and adapter/);
  await assert.rejects(writePack(found, path.join(folder.path, 'unlicensed'), writing), /does not say under which licence/);
  found.close();
});

test('a licence is read from the model card', async () => {
  const place = await copied('smollm', 'carded');
  await writeFile(path.join(place, 'README.md'), '---\nlanguage: en\nlicense: other\nlicense_name: "tiny-1.0"\n---\n# Card\n');
  await writeFile(path.join(place, 'LICENSE.txt'), 'the text');
  const survey = await surveyModel(place, { origin: 'carded', base });
  assert.equal(survey.licence?.name, 'tiny-1.0');
  assert.match(survey.text, /tiny-1\.0 \(LICENSE\.txt\)/);
  survey.close();
});

const spoiled: [string, (place: string) => Promise<void>, RegExp][] = [
  ['a truncated weight file', async (place) => {
    const file = path.join(place, 'model.safetensors');
    await writeFile(file, (await readFile(file)).subarray(0, 40_000));
  }, /model\.safetensors is not a valid safetensors file: its tensors take \d+ bytes, but \d+ follow/],
  ['the tokenizer of another model', (place) => cp(path.join(published, 'vicuna/tokenizer.json'), path.join(place, 'tokenizer.json')), /tokenizer of .* has 350 tokens, the embedding matrix 320 rows/],
  ['no tokenizer', (place) => rm(path.join(place, 'tokenizer.json')), /tokenizer\.json is missing from/],
  ['another architecture', (place) => writeFile(path.join(place, 'config.json'), '{"model_type":"mamba","architectures":["MambaForCausalLM"]}'), /the architecture is MambaForCausalLM/],
  ['no weights', (place) => rm(path.join(place, 'model.safetensors')), /holds no weights/],
  ['a config.json that is none', (place) => writeFile(path.join(place, 'config.json'), '{'), /config\.json is not JSON/],
];
for (const [index, [what, spoil, message]] of spoiled.entries()) {
  test(`${what}: refused by name, and nothing is written`, async () => {
    const place = await copied('smollm', `spoiled-${index}`);
    await spoil(place);
    await assert.rejects(add(place, `never-${index}`), message);
    assert.ok(!(await readdir(folder.path)).some((name) => name.startsWith(`never-${index}`)));
  });
}

test('an altered file of a pack is named by check, with both digests', async () => {
  const place = path.join(folder.path, 'pack-1');
  const file = path.join(place, 'language-1.safetensors');
  const bytes = await readFile(file);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  await writeFile(file, bytes);
  await assert.rejects(checkPack(await openPack(place)), /language-1\.safetensors .* was altered: its sha256 is [0-9a-f]{64}, pack\.json says/);
});

test('a folder that is not empty is not written over', async () => {
  await assert.rejects(add(path.join(published, 'smollm'), 'pack-0'), /is not empty/);
});

/** A server with the hub's addresses: listing, path information, files with their ETag. */
async function hub(alter: (name: string, bytes: Buffer) => Buffer = (_, bytes) => bytes): Promise<{ url: string; fetched: string[]; close: () => void }> {
  const fetched: string[] = [];
  const entry = async (name: string): Promise<Record<string, unknown>> => {
    const bytes = await readFile(path.join(published, 'smollm', name));
    const lfs = { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 130 };
    return { type: 'file', path: name, size: bytes.length, oid: createHash('sha1').update(bytes).digest('hex'), ...(name.endsWith('.safetensors') ? { lfs } : {}) };
  };
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://hub');
    const json = (value: unknown): void => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(value));
    };
    const answer = async (): Promise<void> => {
      if (url.pathname === '/api/models/someone/tiny/tree/main') return json([...(await Promise.all((await readdir(path.join(published, 'smollm'))).map(entry))), { type: 'directory', path: 'onnx', size: 0 }]);
      if (url.pathname === '/api/models/someone/tiny/paths-info/main') {
        const body: Buffer[] = [];
        for await (const chunk of request) body.push(chunk as Buffer);
        const { paths } = JSON.parse(Buffer.concat(body).toString()) as { paths: string[] };
        return json(await Promise.all(paths.map(async (name) => ({ ...(await entry(name)), lastCommit: { id: 'a'.repeat(40), title: 't', date: '2025-01-01T00:00:00Z' } }))));
      }
      const name = /^\/someone\/tiny\/resolve\/main\/([\w.-]+)$/.exec(url.pathname)?.[1];
      if (name === undefined) {
        response.statusCode = 404;
        return json({ error: 'Repository not found' });
      }
      const bytes = alter(name, await readFile(path.join(published, 'smollm', name)));
      const range = /^bytes=(\d+)-(\d+)?$/.exec(request.headers.range ?? '');
      const [from, to] = [Number(range?.[1] ?? 0), Math.min(bytes.length, Number(range?.[2] ?? bytes.length - 1) + 1)];
      if (range !== null) {
        response.statusCode = 206;
        response.setHeader('content-range', `bytes ${from}-${to - 1}/${bytes.length}`);
      }
      if (to - from > 1) fetched.push(name);
      response.setHeader('etag', '"1"');
      response.end(bytes.subarray(from, to));
    };
    answer().catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, fetched, close: () => server.close() };
}

const hubOptions = (endpoint: string, cache: string): HubOptions => ({ endpoint, revision: 'main', cache: path.join(folder.path, cache), signal: never, onFile: () => undefined });

test('a model of a hub is fetched once, checked against the hub\'s sha256, and made into a pack', async () => {
  const server = await hub();
  assert.ok(isHubId('someone/tiny') && !isHubId(published) && !isHubId('just-a-name'));
  const place = await fetchModel('someone/tiny', hubOptions(server.url, 'cache'));
  assert.deepEqual([...new Set(server.fetched)].sort(), ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']);
  const before = server.fetched.length;
  assert.equal(await fetchModel('someone/tiny', hubOptions(server.url, 'cache')), place);
  assert.equal(server.fetched.length, before, 'a second time nothing is fetched');
  await checkPack(await add(place, 'from-hub', { origin: 'someone/tiny, revision main' }));
  await assert.rejects(fetchModel('someone/else', hubOptions(server.url, 'cache')), /someone\/else at http.* cannot be listed/);
  server.close();
});

test('a weight file that reached the cache altered is refused with both digests', async () => {
  const server = await hub((name, bytes) => {
    if (name.endsWith('.safetensors')) bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    return bytes;
  });
  await assert.rejects(fetchModel('someone/tiny', hubOptions(server.url, 'cache-2')), /is not model\.safetensors of someone\/tiny: its sha256 is [0-9a-f]{64}, the hub says [0-9a-f]{64}/);
  server.close();
});

test('a GGUF file is asked for by name', async () => {
  const server = await hub();
  await assert.rejects(fetchModel('someone/tiny', { ...hubOptions(server.url, 'cache'), file: 'tiny.Q4_0.gguf' }), /someone\/tiny has no file tiny\.Q4_0\.gguf/);
  await mkdir(path.join(folder.path, 'two'), { recursive: true });
  for (const name of ['a.gguf', 'b.gguf']) await cp(path.join(published, 'q8_0.gguf'), path.join(folder.path, 'two', name));
  await assert.rejects(add(path.join(folder.path, 'two'), 'never-two'), /holds 2 GGUF files \(a\.gguf, b\.gguf\); name one of them/);
  server.close();
});
