/** Batches as OpenAI's own npm client asks for them, with the real model: answers, errors, cancelling, other people's chats, kill -9, keys. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI from 'openai';
import { newId } from '../../server/ids.js';
import { twoShots } from '../helpers/containers.js';
import { DemoServer } from '../helpers/demo-server.js';
import { ServerProcess } from '../helpers/server-process.js';
import { writeTinyPack } from '../helpers/tiny-pack.js';
import { upload } from '../helpers/tus.js';
import { makeVideo } from '../helpers/videos.js';

let site: DemoServer;
let server: ServerProcess;
let client: OpenAI;
/** Id of the demo video. */
let demo: string;

before(async () => {
  site = await DemoServer.start();
  ({ process: server, demo } = site);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(() => site.stop());

interface ResultLine {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly request_id: string; readonly body: OpenAI.ChatCompletion & { readonly error?: { readonly code: string; readonly param: string | null } } } | null;
  readonly error: { readonly code: string } | null;
}

const ask = (video: string, text: string) => [{ role: 'user', content: [{ type: 'video_url', video_url: { url: `video://${video}` } }, { type: 'text', text }] }];
const line = (custom_id: string, body: object): string => `${JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body })}\n`;

async function begin(lines: readonly string[]): Promise<OpenAI.Batch> {
  const file = await client.files.create({ file: await OpenAI.toFile(Buffer.from(lines.join('')), 'questions.jsonl'), purpose: 'batch' });
  return client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { for: 'tests' } });
}

const over = new Set(['completed', 'failed', 'expired', 'cancelled']);
async function until(id: string, fits: (batch: OpenAI.Batch) => boolean): Promise<OpenAI.Batch> {
  for (const deadline = performance.now() + 150_000; ; ) {
    // A connection that was kept may be closed by now, where the machine had other things to do.
    const batch = await client.batches.retrieve(id, { maxRetries: 2 });
    if (fits(batch)) return batch;
    assert.ok(performance.now() < deadline && !over.has(batch.status), JSON.stringify(batch));
    await wait(30);
  }
}
const finished = (id: string): Promise<OpenAI.Batch> => until(id, ({ status }) => over.has(status));

async function results(file: string | undefined | null): Promise<ResultLine[]> {
  if (typeof file !== 'string') return [];
  const text = await (await client.files.content(file)).text();
  return text.trimEnd().split('\n').map((one) => JSON.parse(one) as ResultLine);
}

test('a batch answers its lines in order; those that cannot be answered have their errors in a file of their own', async () => {
  const answered = { messages: ask(demo, 'What do you see?'), max_tokens: 8, seed: 1 };
  const batch = await begin([
    line('whole', answered),
    '\n',
    line('unknown video', { ...answered, messages: ask(newId('vid'), 'What?') }),
    line('text alone', { messages: [{ role: 'user', content: 'Count from one to twenty in words.' }], max_tokens: 3 }),
    line('wrong field', { ...answered, logprobs: true }),
    line('streamed', { ...answered, stream: true }),
    line('form', { ...answered, response_format: { type: 'choice', choice: ['indoors', 'outdoors'] } }).trimEnd(),
  ]);
  assert.deepEqual([batch.object, batch.status, batch.endpoint, batch.metadata], ['batch', 'validating', '/v1/chat/completions', { for: 'tests' }]);
  const done = await finished(batch.id);
  assert.equal(done.status, 'completed', JSON.stringify(done));
  assert.deepEqual(done.request_counts, { total: 6, completed: 3, failed: 3 });
  assert.ok(done.in_progress_at && done.finalizing_at && done.completed_at && done.expires_at === done.created_at + 86_400);
  const answers = await results(done.output_file_id);
  assert.deepEqual(answers.map(({ custom_id, response, error }) => [custom_id, response?.status_code, error]), [['whole', 200, null], ['text alone', 200, null], ['form', 200, null]]);
  assert.ok(answers.every(({ id, response }) => /^batch_req_/.test(id) && /^req_/.test(response?.request_id ?? '')));
  assert.match(answers[0]?.response?.body.choices[0]?.message.content ?? '', /\w/);
  assert.equal(answers[0]?.response?.body.object, 'chat.completion');
  assert.equal(answers[1]?.response?.body.usage?.completion_tokens, 3);
  assert.match(answers[2]?.response?.body.choices[0]?.message.content ?? '', /^(in|out)doors$/);
  const failures = (await results(done.error_file_id)).map(({ custom_id, response }) => [custom_id, response?.status_code, response?.body.error?.code, response?.body.error?.param]);
  assert.deepEqual(failures, [
    ['unknown video', 404, 'video_not_found', 'messages[0].content[0].video_url.url'],
    ['wrong field', 400, 'unsupported_parameter', 'logprobs'],
    ['streamed', 400, 'unsupported_parameter', 'stream'],
  ]);
  const listed = await client.batches.list({ limit: 1 });
  assert.deepEqual(listed.data.map(({ id }) => id), [batch.id]);
  const files: OpenAI.FileObject[] = [];
  for await (const file of client.files.list({ limit: 2 })) files.push(file);
  assert.deepEqual(files.map(({ purpose }) => purpose).sort(), ['batch', 'batch_output', 'batch_output']);
  assert.deepEqual(await client.files.delete(batch.input_file_id), { id: batch.input_file_id, object: 'file', deleted: true });
  await assert.rejects(client.files.retrieve(batch.input_file_id), (error) => error instanceof OpenAI.NotFoundError && error.code === 'file_not_found');
});

test('one batch captions the whole library, and waits for a video that is still being read', async () => {
  const clip = await upload(server.url, await makeVideo({ width: 96, height: 64 }), 'new.mp4');
  const batch = await begin([demo, clip].map((id) => line(id, { messages: ask(id, 'Describe what you see in one sentence.'), max_tokens: 16, caption: true })));
  const done = await finished(batch.id);
  assert.deepEqual(done.request_counts, { total: 2, completed: 2, failed: 0 });
  const captions = (await results(done.output_file_id)).map(({ custom_id, response }) => [custom_id, (response?.body.choices[0]?.message.content ?? '').length > 5]);
  assert.deepEqual(captions, [[demo, true], [clip, true]]);
});

test('a chat goes before a batch: while it is written no line of the batch goes on', async () => {
  const batch = await begin(Array.from({ length: 60 }, (_, i) => line(`${i}`, { messages: ask(demo, `What is this? Look ${i}.`), max_tokens: 4 })));
  await until(batch.id, ({ request_counts }) => (request_counts?.completed ?? 0) >= 2);
  const counted = async (): Promise<number> => (await client.batches.retrieve(batch.id)).request_counts?.completed ?? 0;
  const stream = await client.chat.completions.create({
    model: (await client.models.list()).data[0]?.id ?? '',
    messages: ask(demo, 'Describe everything you see, at length.') as unknown as OpenAI.ChatCompletionMessageParam[],
    max_tokens: 80,
    temperature: 1,
    seed: 3,
    stream: true,
  });
  let first: number | null = null;
  let last = 0;
  let pieces = 0;
  for await (const chunk of stream) {
    if ((chunk.choices[0]?.delta.content ?? '') === '') continue;
    pieces++;
    last = await counted();
    first ??= last;
  }
  assert.ok(pieces >= 5, `an answer of ${pieces} pieces`);
  // What was being told when the chat began may have arrived with its first words.
  assert.ok(first !== null && last <= first + 1, `${first} lines at the first word, ${last} at the last`);
  await assert.rejects(client.files.delete(batch.input_file_id), (error) => error instanceof OpenAI.APIError && error.code === 'file_in_use');
  const cancelled = await client.batches.cancel(batch.id);
  assert.equal(cancelled.status, 'cancelling');
  const done = await finished(batch.id);
  assert.equal(done.status, 'cancelled');
  assert.ok((done.request_counts?.completed ?? 0) < 60);
  assert.equal((await results(done.output_file_id)).length, done.request_counts?.completed);
  await assert.rejects(client.batches.cancel(batch.id), (error) => error instanceof OpenAI.ConflictError && error.code === 'batch_ended');
});

test('killed again and again, a batch ends with every line once', async () => {
  // With a model of random weights, which loads at once.
  const packDir = await writeTinyPack(site.folder.path);
  const own = new ServerProcess(path.join(site.folder.path, 'killed'), { packDir });
  const connect = (): void => void (client = new OpenAI({ baseURL: `${own.url}/v1`, apiKey: 'none', maxRetries: 0 }));
  await own.start();
  connect();
  try {
    const film = await upload(own.url, await twoShots(packDir), 'film.linr');
    const names = Array.from({ length: 300 }, (_, i) => `line ${i}`);
    const batch = await begin(names.map((name, i) => line(name, { messages: i % 5 === 4 ? ask(newId('vid'), 'What?') : ask(film, `Look ${i}`), max_tokens: 20 })));
    const enough = ({ status, request_counts }: OpenAI.Batch, more: number): boolean => over.has(status) || (request_counts?.completed ?? 0) + (request_counts?.failed ?? 0) >= more;
    let kills = 0;
    for (const more of [0, 1, 40, 90, 150, 220]) {
      const seen = await until(batch.id, (state) => enough(state, more));
      if (over.has(seen.status)) break;
      await own.kill();
      await own.start();
      connect();
      const again = await client.batches.retrieve(batch.id);
      assert.ok(enough(again, more), `what had its result has it still: ${JSON.stringify(again.request_counts)}`);
      kills++;
    }
    assert.ok(kills >= 4, `killed ${kills} times only`);
    const done = await finished(batch.id);
    assert.deepEqual([done.status, done.request_counts], ['completed', { total: 300, completed: 240, failed: 60 }]);
    const [answers, failures] = [await results(done.output_file_id), await results(done.error_file_id)];
    assert.deepEqual(answers.map(({ custom_id }) => custom_id), names.filter((_, i) => i % 5 !== 4));
    assert.deepEqual(failures.map(({ custom_id }) => custom_id), names.filter((_, i) => i % 5 === 4));
    const metrics = await (await fetch(`${own.url}/metrics`)).text();
    assert.match(metrics, /latentchat:num_batches\{.*\} 0\n/);
    assert.match(metrics, /latentchat:batch_requests_total\{outcome="completed".*\} \d+\n/);
  } finally {
    await own.stop();
  }
});
