/** Files and batches without a model: forms, inputs that are wrong, whose they are, and what is removed when. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI from 'openai';
import { KeyFile } from '../../server/access/keys.js';
import { LineSlots } from '../../server/batches/slots.js';
import { newId } from '../../server/ids.js';
import { startServer, type RunningServer } from '../../server/index.js';
import { Store } from '../../server/store/database.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
let server: RunningServer;
let client: OpenAI;
const limits = { fileBytes: 20_000, batchLines: 5, batchLineBytes: 2000, filesPerKey: 40, batchesPerKey: 3, freeBytes: 1024 };
const options = (name: string) => ({ port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' as const, limits });
const clientOf = ({ url }: RunningServer, apiKey = 'none'): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

before(async () => {
  folder = await TestFolder.make();
  server = await startServer(options('open'));
  client = clientOf(server);
});
after(async () => {
  await server.close();
  await folder.remove();
});

const line = (custom_id: string, more: object = {}): string => JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Hi' }] }, ...more });
const send = async (text: string | Uint8Array, by = client): Promise<OpenAI.FileObject> => by.files.create({ file: await OpenAI.toFile(Buffer.from(text as string), 'in.jsonl'), purpose: 'batch' });
const begin = (input_file_id: string, by = client): Promise<OpenAI.Batch> => by.batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' });
async function settled(id: string, by = client): Promise<OpenAI.Batch> {
  for (;;) {
    const batch = await by.batches.retrieve(id);
    if (batch.status !== 'validating' && batch.status !== 'cancelling') return batch;
    await wait(10);
  }
}
const refusedWith = (code: string, status: number) => (error: unknown): boolean => {
  assert.ok(error instanceof OpenAI.APIError);
  assert.deepEqual([error.code, error.status], [code, status], error.message);
  return true;
};

test('a file is sent, described, read back byte for byte and deleted', async () => {
  const text = `${line('a')}\n${line('ü')}\n`;
  const file = await send(text);
  assert.deepEqual([file.object, file.bytes, file.filename, file.purpose], ['file', Buffer.byteLength(text), 'in.jsonl', 'batch']);
  assert.deepEqual(await client.files.retrieve(file.id), file);
  assert.equal(await (await client.files.content(file.id)).text(), text);
  await client.files.delete(file.id);
  await assert.rejects(client.files.content(file.id), refusedWith('file_not_found', 404));
  assert.deepEqual(await readdir(path.join(folder.path, 'open/files')), []);
});

function form(fields: Readonly<Record<string, string | Blob>>): Promise<Response> {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') body.append(name, value);
    else body.append(name, value, 'x.jsonl');
  }
  return fetch(`${server.url}/v1/files`, { method: 'POST', body });
}

const some = new Blob([line('a')]);
const forms: readonly (readonly [string, () => Promise<Response>, number, string, string | null])[] = [
  ['no purpose', () => form({ file: some }), 400, 'invalid_request', 'purpose'],
  ['another purpose', () => form({ purpose: 'fine-tune', file: some }), 400, 'invalid_request', 'purpose'],
  ['no file', () => form({ purpose: 'batch' }), 400, 'invalid_request', 'file'],
  ['a file under another name', () => form({ purpose: 'batch', document: some }), 400, 'unsupported_parameter', 'document'],
  ['an unknown field', () => form({ purpose: 'batch', expires_after: '{}', file: some }), 400, 'unsupported_parameter', 'expires_after'],
  ['an empty file', () => form({ purpose: 'batch', file: new Blob([]) }), 400, 'empty_file', 'file'],
  ['a file above the limit', () => form({ purpose: 'batch', file: new Blob(['x'.repeat(limits.fileBytes + 1)]) }), 413, 'upload_too_large', 'file'],
  ['two files', () => { const body = new FormData(); body.append('purpose', 'batch'); body.append('file', some, 'a'); body.append('file', some, 'b'); return fetch(`${server.url}/v1/files`, { method: 'POST', body }); }, 400, 'invalid_request', null],
  ['a form that is cut off', () => fetch(`${server.url}/v1/files`, { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc' }), 400, 'invalid_request', null],
  ['no form', () => fetch(`${server.url}/v1/files`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }), 415, 'unsupported_media_type', null],
];
for (const [name, request, status, code, param] of forms) {
  test(`${name} is refused with ${code}, and nothing is left of it`, async () => {
    const error = await errorOf(await request());
    assert.deepEqual([error.status, error.code, error.param], [status, code, param], error.message);
    assert.deepEqual(await readdir(path.join(folder.path, 'open/files')), []);
  });
}

const inputs: readonly (readonly [string, string | Uint8Array, readonly (readonly [string, string | null, number | null])[]])[] = [
  ['a line that is not JSON, and others that are right', `${line('a')}\n{"custom_id": \n${line('b')}`, [['invalid_json', null, 2]]],
  ['a list', '[]', [['invalid_request', null, 1]]],
  ['one custom_id twice', `${line('a')}\n\n${line('a')}`, [['duplicate_custom_id', 'custom_id', 3]]],
  ['no custom_id', JSON.stringify({ method: 'POST', url: '/v1/chat/completions', body: {} }), [['invalid_request', 'custom_id', 1]]],
  ['a custom_id that is a number', line('a', { custom_id: 7 }), [['invalid_request', 'custom_id', 1]]],
  ['another address', line('a', { url: '/v1/embeddings' }), [['invalid_request', 'url', 1]]],
  ['another method', line('a', { method: 'GET' }), [['invalid_request', 'method', 1]]],
  ['a body that is a text', line('a', { body: 'Hi' }), [['invalid_request', 'body', 1]]],
  ['an unknown field', line('a', { priority: 1 }), [['unsupported_parameter', 'priority', 1]]],
  ['several that are wrong', [1, 2, 3].map((i) => line(`${i}`, { method: 'PUT' })).join('\n'), [['invalid_request', 'method', 1], ['invalid_request', 'method', 2], ['invalid_request', 'method', 3]]],
  ['too many lines', [1, 2, 3, 4, 5, 6].map((i) => line(`${i}`)).join('\n'), [['batch_too_long', null, null]]],
  ['a line that is too long', `${line('a')}\n${line('b', { body: { messages: 'x'.repeat(limits.batchLineBytes) } })}`, [['invalid_request', null, 2]]],
  ['bytes that are no text', Buffer.from([0x7b, 0xff, 0xfe]), [['invalid_json', null, 1]]],
  ['blank lines alone', '\n \n\r\n', [['empty_file', null, null]]],
];
for (const [name, text, problems] of inputs) {
  test(`a batch with ${name} has failed and says where`, async () => {
    const file = await send(text);
    const batch = await settled((await begin(file.id)).id);
    assert.equal(batch.status, 'failed');
    assert.ok(batch.failed_at);
    assert.deepEqual(batch.errors?.data?.map(({ code, param, line: number }) => [code, param, number]), problems);
    assert.deepEqual([batch.output_file_id, batch.error_file_id, batch.request_counts], [null, null, { total: 0, completed: 0, failed: 0 }]);
    await client.files.delete(file.id);
  });
}

const batches: readonly (readonly [string, object, number, string, string])[] = [
  ['no such file', { input_file_id: newId('file') }, 404, 'file_not_found', 'input_file_id'],
  ['a path as file', { input_file_id: '../../etc/passwd' }, 404, 'file_not_found', 'input_file_id'],
  ['another endpoint', { endpoint: '/v1/embeddings' }, 400, 'invalid_request', 'endpoint'],
  ['another window', { completion_window: '1h' }, 400, 'invalid_request', 'completion_window'],
  ['metadata that are no texts', { metadata: { a: 1 } }, 400, 'invalid_request', 'metadata.a'],
  ['a field that is not supported', { output_expires_after: { anchor: 'created_at', seconds: 3600 } }, 400, 'unsupported_parameter', 'output_expires_after'],
];
for (const [name, fields, status, code, param] of batches) {
  test(`a batch with ${name} is refused with ${code}`, async () => {
    const body = { input_file_id: newId('file'), endpoint: '/v1/chat/completions', completion_window: '24h', ...fields };
    const error = await errorOf(await fetch(`${server.url}/v1/batches`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }));
    assert.deepEqual([error.status, error.code, error.param], [status, code, param], error.message);
  });
}

test('a batch waits while the model cannot be asked, goes on after a start, and ends when it is cancelled or out of time', async () => {
  const dataDir = path.join(folder.path, 'waiting');
  let own = await startServer(options('waiting'));
  let by = clientOf(own);
  const file = await send(`${line('a')}\n${line('b')}`, by);
  const [one, two, three] = [await begin(file.id, by), await begin(file.id, by), await begin(file.id, by)];
  await assert.rejects(begin(file.id, by), refusedWith('too_many_batches', 429));
  await assert.rejects(by.files.delete(file.id), refusedWith('file_in_use', 409));
  assert.equal((await settled(one.id, by)).status, 'in_progress');
  await own.close();
  const store = Store.open(path.join(dataDir, 'latentchat.db'));
  store.run('UPDATE batches SET expires_s = 1 WHERE id = ?', two.id);
  store.close();
  await writeFile(path.join(dataDir, 'files', `${newId('file')}.part`), 'left by a kill');
  own = await startServer(options('waiting'));
  by = clientOf(own);
  try {
    assert.deepEqual(await readdir(path.join(dataDir, 'files')).then((names) => names.filter((name) => name.endsWith('.part'))), []);
    assert.equal((await by.batches.cancel(one.id)).status, 'cancelling');
    assert.equal((await settled(one.id, by)).status, 'cancelled');
    let expired = await by.batches.retrieve(two.id);
    for (; expired.status !== 'expired'; expired = await by.batches.retrieve(two.id)) await wait(20);
    assert.deepEqual(expired.request_counts, { total: 2, completed: 0, failed: 2 });
    const errors = (await (await by.files.content(expired.error_file_id ?? '')).text()).trimEnd().split('\n').map((text) => JSON.parse(text) as { custom_id: string; response: null; error: { code: string } });
    assert.deepEqual(errors.map(({ custom_id, response, error }) => [custom_id, response, error.code]), [['a', null, 'batch_expired'], ['b', null, 'batch_expired']]);
    assert.equal((await settled(three.id, by)).status, 'in_progress', 'the others go on');
  } finally {
    await own.close();
  }
});

test('a client may say that its body is JSON where there is none, as with a DELETE', async () => {
  const json = { 'content-type': 'application/json' };
  const id = (await send(line('a'))).id;
  assert.equal((await fetch(`${server.url}/v1/files/${id}`, { method: 'DELETE', headers: json })).status, 200);
  const { id: input } = await send(line('a'));
  const batch = await begin(input);
  assert.equal((await fetch(`${server.url}/v1/batches/${batch.id}/cancel`, { method: 'POST', headers: json })).status, 200);
  const chat = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: json });
  assert.deepEqual([chat.status, ((await chat.json()) as { error: { code: string } }).error.code], [400, 'invalid_json']);
});

test('a key sees its own files and batches alone, and what is left of a removed key is removed', async () => {
  const keys = new KeyFile(path.join(folder.path, 'keyed'));
  const [ours, theirs] = [(await keys.add({ name: 'ours' })).secret, (await keys.add({ name: 'theirs', requestsPerMinute: 1000, concurrent: 1 })).secret];
  let own = await startServer(options('keyed'));
  const [we, they] = [clientOf(own, ours), clientOf(own, theirs)];
  const [file, other] = [await send(line('a'), we), await send(line('b'), they)];
  const batch = await begin(file.id, we);
  assert.deepEqual((await they.files.list()).data.map(({ id }) => id), [other.id]);
  assert.deepEqual((await they.batches.list()).data, []);
  for (const asked of [they.files.retrieve(file.id), they.files.content(file.id), they.files.delete(file.id), begin(file.id, they)]) await assert.rejects(asked, refusedWith('file_not_found', 404));
  for (const asked of [they.batches.retrieve(batch.id), they.batches.cancel(batch.id)]) await assert.rejects(asked, refusedWith('batch_not_found', 404));
  assert.equal((await settled(batch.id, we)).status, 'in_progress');
  await own.close();
  await keys.remove('ours');
  own = await startServer(options('keyed'));
  try {
    assert.deepEqual(await readdir(path.join(folder.path, 'keyed/files')), [other.id]);
    const store = await clientOf(own, theirs).batches.list();
    assert.deepEqual(store.data, []);
  } finally {
    await own.close();
  }
});

test('lines of several owners take turns, none has more places than it may, and one that gives up leaves the line', async () => {
  const slots = new LineSlots(3);
  const order: string[] = [];
  const never = new AbortController().signal;
  const take = (owner: string, most: number, signal = never): Promise<void> => slots.take(owner, most, signal).then(() => void order.push(owner));
  await take('a', 2);
  await take('a', 2);
  const third = take('a', 2);
  await take('b', 9);
  const stop = new AbortController();
  const given = take('c', 9, stop.signal);
  const [d, e] = [take('b', 9), take('d', 9)];
  stop.abort(new Error('given up'));
  await assert.rejects(given, /given up/);
  assert.deepEqual(order, ['a', 'a', 'b']);
  slots.give('b');
  slots.give('a');
  slots.give('a');
  await Promise.all([third, d, e]);
  assert.deepEqual([...order.slice(3)].sort(), ['a', 'b', 'd']);
});
