/** The API as OpenAI's npm package uses it, unchanged, in what it promises and refuses. clients.test.ts has the other clients. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import sharp from 'sharp';
import { errorOf } from '../helpers/api.js';
import { DemoServer } from '../helpers/demo-server.js';
import type { ServerProcess } from '../helpers/server-process.js';
import { makeVideo } from '../helpers/videos.js';

let site: DemoServer;
let server: ServerProcess;
let client: OpenAI;
let model: string;
/** Id of the demo video. */
let demo: string;

before(async () => {
  site = await DemoServer.start();
  ({ process: server, demo } = site);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
  model = (await client.models.list()).data[0]?.id ?? '';
});
after(() => site.stop());

/** `video_url` is this API's own kind of part, which the client's types do not know. */
const about = (url: string, text = 'What do you see?') =>
  [{ role: 'user', content: [{ type: 'video_url', video_url: { url } }, { type: 'text', text }] }] as unknown as OpenAI.ChatCompletionMessageParam[];
const answerOf = (completion: OpenAI.ChatCompletion): string => completion.choices[0]?.message.content ?? '';

test('the model is listed, a question is answered, and asking again finds the prompt cached', async () => {
  assert.match(model, /latentchat/);
  const request = { model, messages: about(`video://${demo}`), max_tokens: 20, temperature: 0, seed: 1, n: 1 };
  const first = await client.chat.completions.create(request);
  assert.match(answerOf(first), /\w/);
  assert.equal(first.object, 'chat.completion');
  const second = await client.chat.completions.create(request);
  assert.equal(answerOf(second), answerOf(first));
  const { usage } = second;
  assert.ok(usage && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens);
  assert.ok((usage.prompt_tokens_details?.cached_tokens ?? 0) > usage.prompt_tokens / 2, JSON.stringify(usage));
});

test('a stream is the whole answer in pieces; its last chunk has the usage, with cached tokens', async () => {
  const request = { model, messages: about(`video://${demo}`), max_completion_tokens: 20 };
  const whole = await client.chat.completions.create(request);
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) chunks.push(chunk);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), answerOf(whole));
  assert.equal(chunks[0]?.choices[0]?.delta.role, 'assistant');
  assert.deepEqual(chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []), [whole.choices[0]?.finish_reason]);
  const last = chunks.at(-1);
  assert.deepEqual(last?.choices, []);
  assert.equal(last?.usage?.completion_tokens, whole.usage?.completion_tokens);
  assert.ok((last?.usage?.prompt_tokens_details?.cached_tokens ?? 0) > 0);
  const plain: OpenAI.ChatCompletionChunk[] = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) plain.push(chunk);
  assert.ok(plain.every((chunk) => chunk.choices.length === 1 && chunk.usage === undefined), 'usage is sent where it was asked for only');
});

test('max_tokens cuts with "length", a stop string with "stop", and the stop string is not part of the answer', async () => {
  const cut = await client.chat.completions.create({ model, messages: about(`video://${demo}`), max_tokens: 3 });
  assert.deepEqual([cut.choices[0]?.finish_reason, cut.usage?.completion_tokens], ['length', 3]);
  const whole = answerOf(await client.chat.completions.create({ model, messages: about(`video://${demo}`), max_tokens: 24 }));
  const word = whole.split(' ')[3] ?? '';
  assert.match(word, /\w/);
  for (const stop of [word, ['never to be met', word]]) {
    const stopped = await client.chat.completions.create({ model, messages: about(`video://${demo}`), max_tokens: 24, stop });
    assert.deepEqual([answerOf(stopped), stopped.choices[0]?.finish_reason], [whole.slice(0, whole.indexOf(word)), 'stop']);
  }
});

test('more tokens than an answer may have are allowed as far as the server allows them', async () => {
  const { choices } = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Say yes.' }], max_tokens: 100_000 });
  assert.equal(choices[0]?.finish_reason, 'stop');
});

test('a seed makes a sampled answer repeat itself, and another one may differ', async () => {
  const ask = async (seed: number): Promise<string> => answerOf(await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Tell me a story.' }], temperature: 1.2, top_p: 0.95, max_tokens: 24, seed }));
  const [one, again, two] = [await ask(1), await ask(1), await ask(2)];
  assert.equal(one, again);
  assert.notEqual(one, two);
});

test('penalties on what was written change a long answer, and 0 changes nothing', async () => {
  const request = { model, messages: [{ role: 'user' as const, content: 'Tell me a long story about a dog.' }], max_tokens: 48 };
  const plain = answerOf(await client.chat.completions.create(request));
  assert.equal(answerOf(await client.chat.completions.create({ ...request, frequency_penalty: 0, presence_penalty: 0 })), plain);
  assert.notEqual(answerOf(await client.chat.completions.create({ ...request, frequency_penalty: 2 })), plain);
  assert.notEqual(answerOf(await client.chat.completions.create({ ...request, presence_penalty: 2 })), plain);
});

test('what the client sends as null is as if it was left out', async () => {
  const nothing = { temperature: null, top_p: null, max_tokens: null, max_completion_tokens: 4, stop: null, seed: null, n: null, stream: null, stream_options: null };
  const answer = await client.chat.completions.create({ model, messages: about(`video://${demo}`), ...nothing });
  assert.equal(answer.usage?.completion_tokens, 4);
});

test('a video and a photo can be sent along as data: addresses, and one sent again is not encoded again', async () => {
  const bytes = Buffer.from(await makeVideo({ width: 64, height: 64, times: [0, 0.5, 1] }));
  const messages = about(`data:video/mp4;base64,${bytes.toString('base64')}`);
  const first = await client.chat.completions.create({ model, messages, max_tokens: 6 });
  assert.match(answerOf(first), /\w/);
  const started = performance.now();
  assert.equal(answerOf(await client.chat.completions.create({ model, messages, max_tokens: 6 })), answerOf(first));
  assert.ok(performance.now() - started < 5000);
  const photo = await sharp({ create: { width: 64, height: 48, channels: 3, background: '#c33' } }).png().toBuffer();
  const content = [{ type: 'text' as const, text: 'Which colour is this?' }, { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${photo.toString('base64')}` } }];
  assert.match(answerOf(await client.chat.completions.create({ model, messages: [{ role: 'user', content }], max_tokens: 6 })), /\w/);
  const { data } = (await (await fetch(`${server.url}/v1/videos`)).json()) as { data: { id: string; kind: string }[] };
  assert.deepEqual(data.map(({ kind }) => kind).sort(), ['photo', 'video', 'video'], 'the demo, the video once, and the photo');
});

test('response_format: JSON under a schema, any JSON object, and one of several texts', async () => {
  const schema = { type: 'object', properties: { animal: { enum: ['dog', 'rabbit', 'cat'] }, count: { type: 'integer' } }, required: ['animal', 'count'], additionalProperties: false };
  const request = { model, messages: about(`video://${demo}`, 'Which animal is it, and how many are there?'), max_tokens: 40 };
  const held = await client.chat.completions.create({ ...request, response_format: { type: 'json_schema', json_schema: { name: 'animal', schema, strict: true } } });
  const value = JSON.parse(answerOf(held)) as { animal: string; count: number };
  assert.deepEqual(Object.keys(value), ['animal', 'count']);
  assert.ok(schema.properties.animal.enum.includes(value.animal) && Number.isInteger(value.count), answerOf(held));
  assert.equal(held.choices[0]?.finish_reason, 'stop');
  const any = answerOf(await client.chat.completions.create({ ...request, max_tokens: 12, response_format: { type: 'json_object' } }));
  assert.equal(typeof JSON.parse(any), 'object');
  const choice = { type: 'choice', choice: ['indoors', 'outdoors'] } as unknown as OpenAI.ResponseFormatText;
  assert.match(answerOf(await client.chat.completions.create({ ...request, response_format: choice })), /^(in|out)doors$/);
});

test('JSON comes to its end within the tokens there are, whatever it could go on with', async () => {
  const schema = { type: 'object', properties: { story: { type: 'string' }, words: { type: 'array', items: { type: 'string' } } }, required: ['story', 'words'], additionalProperties: false };
  const messages = [{ role: 'user' as const, content: 'Tell me a long story about a river, in many words.' }];
  for (const max_tokens of [14, 20, 33, 64]) {
    const held = await client.chat.completions.create({ model, messages, max_tokens, temperature: 1, response_format: { type: 'json_schema', json_schema: { name: 'story', schema } } });
    const value = JSON.parse(answerOf(held)) as { story: string; words: string[] };
    assert.ok(typeof value.story === 'string' && Array.isArray(value.words), answerOf(held));
    assert.equal(held.choices[0]?.finish_reason, 'stop');
    assert.ok((held.usage?.completion_tokens ?? Infinity) <= max_tokens);
  }
  const cut = await client.chat.completions.create({ model, messages, max_tokens: 3, response_format: { type: 'json_schema', json_schema: { name: 'story', schema } } });
  assert.equal(cut.choices[0]?.finish_reason, 'length', 'the shortest value has more tokens');
});

test('schemas made to cost much are refused or answered, and whoever hangs up frees the model', async () => {
  const messages = [{ role: 'user' as const, content: 'Hi' }];
  const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
  const ask = (schema: unknown, max_tokens: number, signal?: AbortSignal): Promise<OpenAI.ChatCompletion> =>
    client.chat.completions.create({ model, messages, max_tokens, temperature: 1, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: schema as Record<string, unknown> } } }, { signal, maxRetries: 0 });
  const held = await ask({ anyOf: many(300, (index) => ({ type: 'string', maxLength: 101 + index })) }, 2);
  assert.equal(typeof JSON.parse(answerOf(held)), 'string');
  for (const schema of [
    { type: many(2000, () => 'string'), minLength: 1000, maxLength: 4096 },
    { type: many(200_000, () => 'null') },
    { const: 'x'.repeat(1_900_000) },
    { anyOf: [{ $ref: '#' }] },
    { $ref: '#/$defs/__proto__' },
    { anyOf: many(250, (index) => ({ type: 'array', minItems: index, items: { type: 'string', maxLength: 101 + index } })) },
  ]) {
    await assert.rejects(ask(schema, 8), (error) => error instanceof OpenAI.APIError && error.status === 400 && error.code === 'invalid_schema');
  }
  // JSON.stringify cannot write so deep a value.
  const deep = `{"messages": [{"role": "user", "content": "Hi"}], "response_format": {"type": "json_schema", "json_schema": {"schema": {"const": ${'['.repeat(5000)}${']'.repeat(5000)}}}}}`;
  const refused = await fetch(`${client.baseURL}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: deep });
  assert.deepEqual([refused.status, ((await refused.json()) as { error: { code: string } }).error.code], [400, 'invalid_schema']);
  const gone = new AbortController();
  const left = ask({ type: 'string', minLength: 4096 }, 400, gone.signal);
  setTimeout(() => gone.abort(), 300);
  await assert.rejects(left);
  const answered = await client.chat.completions.create({ model, messages, max_tokens: 2 });
  assert.equal(answered.choices.length, 1);
});

test('a caption is searched for and sent whole', async () => {
  const request = { model, messages: about(`video://${demo}`, 'Describe what you see in one sentence.'), max_tokens: 48 };
  const caption = { ...request, caption: true, temperature: 0, response_format: { type: 'text' as const } };
  const whole = answerOf(await client.chat.completions.create(caption));
  assert.match(whole, /^[A-Z].*\.$/);
  const piecesOf = async (body: typeof request): Promise<string[]> => {
    const pieces: string[] = [];
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) pieces.push(chunk.choices[0]?.delta.content ?? '');
    return pieces.filter((piece) => piece !== '');
  };
  // The pack's own question for one is answered with one, too, unless the request says otherwise.
  const [asked, own, written] = await Promise.all([caption, request, { ...request, caption: false }].map(piecesOf));
  assert.deepEqual([asked, own], [[whole], [whole]]);
  assert.ok((written?.length ?? 0) > 1);
});

test('a schema that no answer can be held to is refused with the part that is wrong', async () => {
  const response_format = { type: 'json_schema' as const, json_schema: { name: 'x', schema: { type: 'object', properties: { when: { type: 'string', pattern: '^a' } } } } };
  await assert.rejects(client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }], response_format }), (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.deepEqual([error.status, error.code, error.param], [400, 'invalid_schema', 'response_format.json_schema.schema']);
    assert.match(error.message, /#\/properties\/when\/pattern is not supported/);
    return true;
  });
});

const refused: readonly (readonly [string, object, string, number])[] = [
  ['another model', { model: 'gpt-9' }, 'model_not_found', 404],
  ['logprobs', { logprobs: true }, 'unsupported_parameter', 400],
  ['tools', { tools: [{ type: 'function', function: { name: 'look' } }] }, 'unsupported_parameter', 400],
  ['an unknown response_format', { response_format: { type: 'yaml' } }, 'invalid_request', 400],
  ['two choices', { n: 2 }, 'invalid_request', 400],
  ['a temperature above 2', { temperature: 3 }, 'invalid_request', 400],
  ['a caption that is drawn', { temperature: 1, caption: true }, 'invalid_request', 400],
  ['a caption with a penalty', { presence_penalty: 1, caption: true }, 'invalid_request', 400],
  ['a caption in a form', { response_format: { type: 'json_object' }, caption: true }, 'invalid_request', 400],
  ['five stop strings', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'invalid_request', 400],
];
for (const [name, fields, code, status] of refused) {
  test(`${name} is refused by name`, async () => {
    const request = { model, messages: [{ role: 'user', content: 'Hi' }], ...fields } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
    const field = Object.keys(fields)[0] ?? '';
    await assert.rejects(client.chat.completions.create(request), (error) => {
      assert.ok(error instanceof OpenAI.APIError);
      assert.deepEqual([error.status, error.code, error.param], [status, code, field], error.message);
      return true;
    });
  });
}

test('a remote address is refused, since no host is configured', async () => {
  const body = JSON.stringify({ messages: about('https://example.com/film.mp4') });
  const error = await errorOf(await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
  assert.deepEqual([error.status, error.code, error.param], [400, 'unsupported_video_url', 'messages[0].content[0].video_url.url']);
});
