/** Whose videos, uploads and conversations are whose on a server with keys. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { KeyFile } from '../../server/access/keys.js';
import { startServer, type RunningServer, type ServerOptions } from '../../server/index.js';
import type { Video } from '../../server/api/schemas.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';

let folder: TestFolder;
let server: RunningServer;
let secrets: Record<'ann' | 'bob' | 'operator', string>;

const options = (name: string): ServerOptions => ({
  port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent',
});
const bearer = (key: string): { authorization: string } => ({ authorization: `Bearer ${key}` });

async function keysOf(name: string): Promise<typeof secrets> {
  const keys = new KeyFile(path.join(folder.path, name));
  const made = { ann: '', bob: '', operator: '' };
  for (const owner of ['ann', 'bob', 'operator'] as const) made[owner] = (await keys.add({ name: owner, operator: owner === 'operator' })).secret;
  return made;
}

before(async () => {
  folder = await TestFolder.make();
  // A video and a conversation from a time without keys.
  const keyless = await startServer(options('owned'));
  await upload(keyless.url, {}, 'before.mp4');
  await keyless.close();
  secrets = await keysOf('owned');
  server = await startServer(options('owned'));
});
after(async () => {
  await server.close();
  await folder.remove();
});

const tus = { 'Tus-Resumable': '1.0.0' };

/** Begins an upload of five bytes; gives its id. */
async function begin(url: string, headers: Record<string, string>, name = 'clip.mp4'): Promise<string> {
  const metadata = `filename ${Buffer.from(name).toString('base64')}`;
  const created = await fetch(`${url}/v1/uploads`, { method: 'POST', headers: { ...tus, 'Upload-Length': '5', 'Upload-Metadata': metadata, ...headers } });
  assert.equal(created.status, 201, await created.text());
  return (created.headers.get('location') ?? '').split('/').pop() ?? '';
}

const patch = (url: string, id: string, headers: Record<string, string>): Promise<Response> =>
  fetch(`${url}/v1/uploads/${id}`, { method: 'PATCH', headers: { ...tus, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream', ...headers }, body: 'bytes' });

async function upload(url: string, headers: Record<string, string>, name?: string): Promise<string> {
  const id = await begin(url, headers, name);
  assert.equal((await patch(url, id, headers)).status, 204);
  return id;
}

const call = (method: string, place: string, key: string, body?: object): Promise<Response> =>
  fetch(server.url + place, { method, headers: { ...bearer(key), ...(body ? { 'content-type': 'application/json' } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });

async function names(url: string, key: string): Promise<string[]> {
  const { data } = (await (await fetch(`${url}/v1/videos`, { headers: bearer(key) })).json()) as { data: Video[] };
  return data.map(({ name }) => name).sort();
}

const question = (id: string): object => ({ messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url: `video://${id}` } }, { type: 'text', text: 'What?' }] }] });

test('a key lists its own videos and what is nobody\'s; an operator lists all', async () => {
  await upload(server.url, bearer(secrets.ann), 'ann.mp4');
  await upload(server.url, bearer(secrets.bob), 'bob.mp4');
  assert.deepEqual(await names(server.url, secrets.ann), ['ann.mp4', 'before.mp4']);
  assert.deepEqual(await names(server.url, secrets.bob), ['before.mp4', 'bob.mp4']);
  assert.deepEqual(await names(server.url, secrets.operator), ['ann.mp4', 'before.mp4', 'bob.mp4']);
});

const ways: readonly (readonly [string, (id: string, key: string) => Promise<Response>])[] = [
  ['reading it', (id, key) => call('GET', `/v1/videos/${id}`, key)],
  ['its container', (id, key) => call('GET', `/v1/videos/${id}/container`, key)],
  ['the head of its container', (id, key) => call('HEAD', `/v1/videos/${id}/container`, key)],
  ['a frame', (id, key) => call('GET', `/v1/videos/${id}/frames/0`, key)],
  ['a chat about it', (id, key) => call('POST', '/v1/chat/completions', key, question(id))],
  ['a streamed chat about it', (id, key) => call('POST', '/v1/chat/completions', key, { ...question(id), stream: true })],
  ['a search in it', (id, key) => call('POST', '/v1/search', key, { text: 'a dog', videos: [id] })],
  ['a search for its like', (id, key) => call('POST', '/v1/search', key, { like: { video: id, frame: 0 } })],
  ['how far its upload is', (id, key) => fetch(`${server.url}/v1/uploads/${id}`, { method: 'HEAD', headers: { ...tus, ...bearer(key) } })],
  ['removing it', (id, key) => call('DELETE', `/v1/videos/${id}`, key)],
];
for (const [name, ask] of ways) {
  test(`another key's video is not there, and told as one that never was: ${name}`, async () => {
    const id = await upload(server.url, bearer(secrets.ann));
    const never = 'vid_0123456789abcdef01234567';
    const [foreign, absent] = [await ask(id, secrets.bob), await ask(never, secrets.bob)];
    assert.equal(foreign.status, 404);
    assert.equal((await foreign.text()).replaceAll(id, never), await absent.text());
    // For its owner the same request finds it, whatever else it is answered with.
    assert.notEqual((await ask(id, secrets.ann)).status, 404);
  });
}

test('an upload that is not finished is its own key\'s alone', async () => {
  const id = await begin(server.url, bearer(secrets.ann));
  const at = (method: string, key: string): Promise<Response> => fetch(`${server.url}/v1/uploads/${id}`, { method, headers: { ...tus, ...bearer(key) } });
  assert.equal((await at('HEAD', secrets.bob)).status, 404);
  assert.deepEqual((await errorOf(await patch(server.url, id, bearer(secrets.bob)))).code, 'upload_not_found');
  assert.deepEqual((await errorOf(await at('DELETE', secrets.bob))).code, 'upload_not_found');
  assert.equal((await at('HEAD', secrets.ann)).headers.get('upload-offset'), '0', 'nothing of it was written');
  assert.equal((await patch(server.url, id, bearer(secrets.ann))).status, 204);
});

test('nobody\'s video can be seen by every key, and removed by the operator only', async () => {
  const { data } = (await (await call('GET', '/v1/videos', secrets.ann)).json()) as { data: Video[] };
  const id = data.find(({ name }) => name === 'before.mp4')?.id ?? '';
  const refused = await errorOf(await call('DELETE', `/v1/videos/${id}`, secrets.bob));
  assert.deepEqual([refused.status, refused.code], [403, 'operator_only']);
  assert.equal((await call('DELETE', `/v1/videos/${id}`, secrets.operator)).status, 204);
});

test('the socket tells of a key\'s own videos only, and takes no other in a message or a subscription', async () => {
  const [ann, bob] = [secrets.ann, secrets.bob].map((key) => TestSocket.open(server.url, '', { headers: bearer(key) }));
  const [hers, his] = [await ann, await bob] as [TestSocket, TestSocket];
  const id = await upload(server.url, bearer(secrets.ann));
  // Earlier videos of hers may still be looked at.
  while ((await hers.next('video.progress')).video.id !== id);
  his.send({ type: 'video.subscribe', video_id: id });
  assert.equal(await his.errorCode(), 'video_not_found');
  his.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_video', video_id: id }] } });
  assert.equal(await his.errorCode(), 'video_not_found');
  assert.equal((await call('DELETE', `/v1/videos/${id}`, secrets.ann)).status, 204);
  assert.equal((await hers.next('video.deleted')).video_id, id);
  assert.ok(!JSON.stringify(his.events.filter(({ type }) => type.startsWith('video.'))).includes(id));
  assert.ok(!JSON.stringify(hers.events).includes('owner'), 'whose it is, is not told');
  await hers.close();
  await his.close();
});

test('a conversation is its own key\'s: with its id another key finds none', async () => {
  const hers = await TestSocket.open(server.url, '', { headers: bearer(secrets.ann) });
  const { conversation } = await hers.next('session.created');
  hers.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: 'A secret.' }] } });
  await hers.next('conversation.item.added');
  for (const open of [true, false]) {
    const his = await TestSocket.open(server.url, `?conversation=${conversation.id}`, { headers: bearer(secrets.bob) });
    assert.equal(await his.errorCode(), 'conversation_not_found', open ? 'while she has it open' : 'when it lies in the store');
    assert.ok(!JSON.stringify(his.events).includes('A secret.'));
    await his.close();
    if (open) await hers.close();
  }
});

test('where the library is shared every key sees, and may remove, every video', async () => {
  const { ann, bob } = await keysOf('shared');
  const shared = await startServer({ ...options('shared'), library: 'shared' });
  try {
    const id = await upload(shared.url, bearer(ann), 'ann.mp4');
    assert.deepEqual(await names(shared.url, bob), ['ann.mp4']);
    assert.equal((await fetch(`${shared.url}/v1/videos/${id}`, { method: 'DELETE', headers: bearer(bob) })).status, 204);
  } finally {
    await shared.close();
  }
});

test('the same bytes of two keys in data: addresses are two videos', async () => {
  const url = `data:video/mp4;base64,${Buffer.from('not a film').toString('base64')}`;
  const ask = (key: string): Promise<Response> => call('POST', '/v1/chat/completions', key, { messages: [{ role: 'user', content: [{ type: 'video_url', video_url: { url } }, { type: 'text', text: 'What?' }] }] });
  const before = [(await names(server.url, secrets.ann)).length, (await names(server.url, secrets.bob)).length];
  for (const key of [secrets.ann, secrets.bob, secrets.bob]) assert.equal((await errorOf(await ask(key))).code, 'unsupported_media');
  const now = [(await names(server.url, secrets.ann)).length, (await names(server.url, secrets.bob)).length];
  assert.deepEqual(now, before.map((count) => count + 1));
});

test('a batch reaches its own key\'s videos only', async () => {
  const id = await upload(server.url, bearer(secrets.ann));
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob([JSON.stringify({ custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: question(id) })]), 'a.jsonl');
  const file = (await (await fetch(`${server.url}/v1/files`, { method: 'POST', headers: bearer(secrets.bob), body: form })).json()) as { id: string };
  let batch = (await (await call('POST', '/v1/batches', secrets.bob, { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' })).json()) as { id: string; status: string; error_file_id: string };
  while (batch.status !== 'completed') {
    await new Promise((resolve) => setTimeout(resolve, 50));
    batch = (await (await call('GET', `/v1/batches/${batch.id}`, secrets.bob)).json()) as typeof batch;
  }
  assert.match(await (await call('GET', `/v1/files/${batch.error_file_id}/content`, secrets.bob)).text(), /"video_not_found"/);
});
