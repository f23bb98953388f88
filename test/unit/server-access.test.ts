/** Who may use a server: keys over HTTP, server-sent events, tus and the socket; limits of a key; other origins; addresses. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { LatentChat, LatentChatError } from '../../client/sdk/index.js';
import { Access } from '../../server/access/access.js';
import { TokenBucket } from '../../server/access/bucket.js';
import { KeyFile } from '../../server/access/keys.js';
import { startServer, type RunningServer } from '../../server/index.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { createUpload } from '../helpers/tus.js';
import { eventually } from '../helpers/eventually.js';

const origin = 'https://app.example';
let folder: TestFolder;
let keys: KeyFile;
let secret: string;
let server: RunningServer;

const options = (name: string) => ({ port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' as const });

before(async () => {
  folder = await TestFolder.make();
  keys = new KeyFile(path.join(folder.path, 'keyed'));
  secret = (await keys.add({ name: 'tests' })).secret;
  server = await startServer({ ...options('keyed'), corsOrigins: [origin] });
});
after(async () => {
  await server.close();
  await folder.remove();
});

const get = (place: string, headers: Record<string, string> = {}): Promise<Response> => fetch(server.url + place, { headers });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const socketUrl = (): string => `${server.url.replace('http', 'ws')}/v1/realtime`;
const chat = (headers: Record<string, string>, stream = false): Promise<Response> =>
  fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ stream, messages: [{ role: 'user', content: 'Hi' }] }) });

/** Status of a refused handshake. */
async function refusedHandshake(protocols: string[] = [], headers: Record<string, string> = {}): Promise<string> {
  const socket = new WebSocket(socketUrl(), protocols, { headers });
  const [error] = (await once(socket, 'error')) as [Error];
  return error.message;
}

const keyless: readonly (readonly [string, (headers: Record<string, string>) => Promise<Response>])[] = [
  ['the list of videos', (headers) => get('/v1/videos', headers)],
  ['an address written in another way', (headers) => get('/%761/videos', headers)],
  ['models', (headers) => get('/v1/models', headers)],
  ['a chat', (headers) => chat(headers)],
  ['a streamed chat', (headers) => chat(headers, true)],
  ['an upload', (headers) => fetch(`${server.url}/v1/uploads`, { method: 'POST', headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '5', ...headers } })],
  ['the rest of an upload', (headers) => fetch(`${server.url}/v1/uploads/vid_1`, { method: 'PATCH', headers: { 'Tus-Resumable': '1.0.0', ...headers } })],
];
for (const [name, request] of keyless) {
  test(`${name} needs a key that is known`, async () => {
    const missing = await request({});
    assert.equal(missing.headers.get('www-authenticate'), 'Bearer');
    assert.equal((await errorOf(missing)).code, 'missing_key');
    const wrong = await errorOf(await request(bearer('lck_wrong')));
    assert.deepEqual([wrong.status, wrong.code], [401, 'invalid_key']);
    assert.notEqual((await request(bearer(secret))).status, 401);
  });
}

test('the socket needs a key: as a header, or as a subprotocol, which is not sent back', async () => {
  assert.match(await refusedHandshake(), /401/);
  assert.match(await refusedHandshake(['latentchat', 'latentchat-key.lck_wrong']), /401/);
  assert.match(await refusedHandshake(['realtime', 'openai-insecure-api-key.lck_wrong']), /401/);
  for (const [protocols, headers, chosen] of [[[], bearer(secret), ''], [[`latentchat-key.${secret}`, 'latentchat'], {}, 'latentchat'], [['realtime', `openai-insecure-api-key.${secret}`, 'openai-beta.realtime-v1'], {}, 'realtime']] as const) {
    const socket = new WebSocket(socketUrl(), [...protocols], { headers });
    const [data] = (await once(socket, 'message')) as [Buffer];
    assert.match(String(data), /"session\.created"/);
    assert.equal(socket.protocol, chosen);
    socket.close();
  }
});

test('the client of this project sends its key everywhere', async () => {
  const client = new LatentChat({ baseUrl: server.url, apiKey: secret });
  assert.deepEqual(await client.videos.list(), []);
  const video = await client.upload(Buffer.from('no film'), { name: 'x.mp4' });
  assert.equal(video.name, 'x.mp4');
  const socket = client.realtime();
  for await (const event of socket) {
    assert.equal(event.type, 'session.created');
    break;
  }
  socket.close();
  const stranger = new LatentChat({ baseUrl: server.url });
  await assert.rejects(stranger.videos.list(), (error) => error instanceof LatentChatError && error.code === 'missing_key' && error.status === 401);
  await assert.rejects(stranger.upload(Buffer.from('no film')), { code: 'missing_key' });
});

test('health, the page and the documents need none', async () => {
  for (const place of ['/health', '/openapi.json', '/docs/']) assert.equal((await get(place)).status, 200, place);
  assert.notEqual((await get('/')).status, 401);
});

test('a key that is added works within two seconds, one that is removed no longer, and its socket is closed with 4001', async () => {
  const added = await keys.add({ name: 'guest' });
  const status = async (): Promise<number> => (await get('/v1/videos', bearer(added.secret))).status;
  const until = (wanted: number): Promise<number> => eventually(status, (seen) => seen === wanted, `status ${wanted}`, { limit_s: 10, every_ms: 50 });
  await until(200);
  const socket = new WebSocket(socketUrl(), { headers: bearer(added.secret) });
  await once(socket, 'message');
  const closed = once(socket, 'close');
  assert.deepEqual((await keys.remove('guest')).map(({ id }) => id), [added.key.id]);
  await until(401);
  assert.equal(((await closed) as [number])[0], 4001);
});

test('a key may make so many requests a minute, and is told when to come back', async () => {
  const limited = await keys.add({ name: 'slow', requestsPerMinute: 3 });
  let answer = await get('/v1/videos', bearer(limited.secret));
  for (let tries = 0; tries < 60 && answer.status === 401; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer = await get('/v1/videos', bearer(limited.secret));
  }
  const answers = [answer];
  for (let count = 0; count < 4; count++) answers.push(await get('/v1/videos', bearer(limited.secret)));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 429, 429]);
  const last = answers.at(-1) as Response;
  assert.ok(Number(last.headers.get('retry-after')) >= 10, last.headers.get('retry-after') ?? '');
  assert.equal((await errorOf(last)).code, 'rate_limited');
  assert.equal((await get('/v1/videos', bearer(secret))).status, 200, 'other keys are served');
});

test('a page of a listed origin may use the API, one of another may not', async () => {
  const listed = await get('/v1/videos', { origin, ...bearer(secret) });
  assert.deepEqual([listed.status, listed.headers.get('access-control-allow-origin')], [200, origin]);
  assert.match(listed.headers.get('vary') ?? '', /Origin/i);
  const preflight = await fetch(`${server.url}/v1/uploads/vid_1`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization,upload-offset' } });
  assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-headers')], [204, 'authorization,upload-offset']);
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /PATCH/);
  const foreign = await get('/v1/videos', { origin: 'https://evil.example', ...bearer(secret) });
  assert.equal(foreign.headers.get('access-control-allow-origin'), null);
  assert.equal((await errorOf(foreign)).code, 'forbidden_origin');
  const refusal = await get('/v1/videos', { origin });
  assert.equal(refusal.headers.get('access-control-allow-origin'), origin, 'a page can read why it was refused');
});

test('without keys a server listens on loopback only, whatever it is told, and says so', async () => {
  const alone = await startServer({ ...options('alone'), host: '0.0.0.0' });
  try {
    assert.match(alone.url, /^http:\/\/127\.0\.0\.1:/);
    assert.match(alone.notice ?? '', /no API keys.*not on 0\.0\.0\.0/);
    assert.equal((await fetch(`${alone.url}/v1/videos`)).status, 200);
  } finally {
    await alone.close();
  }
});

test('with keys a server listens where it is told, asks for them, and still does when the last one is removed', async () => {
  const file = new KeyFile(path.join(folder.path, 'open'));
  const { key, secret: own } = await file.add({ name: 'only' });
  const open = await startServer({ ...options('open'), host: '0.0.0.0' });
  try {
    assert.deepEqual([open.notice, new URL(open.url).hostname], [null, '0.0.0.0']);
    const url = open.url.replace('0.0.0.0', '127.0.0.1');
    assert.equal((await fetch(`${url}/v1/videos`)).status, 401);
    assert.equal((await fetch(`${url}/v1/videos`, { headers: bearer(own) })).status, 200);
    await file.remove(key.id);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    for (const headers of [{}, bearer(own)]) assert.equal((await fetch(`${url}/v1/videos`, { headers })).status, 401);
  } finally {
    await open.close();
  }
});

test('a server that had keys lets nobody in when the key file is lost, after a restart neither, until its operator opens it', async () => {
  const file = new KeyFile(path.join(folder.path, 'lost'));
  await file.add({ name: 'only' });
  const statusOf = async (settings: { readonly open?: boolean } = {}): Promise<[number, string | null]> => {
    const started = await startServer({ ...options('lost'), ...settings });
    try {
      return [(await fetch(`${started.url}/v1/videos`)).status, started.notice];
    } finally {
      await started.close();
    }
  };
  assert.deepEqual(await statusOf(), [401, null]);
  await rm(file.file);
  const [status, notice] = await statusOf();
  assert.equal(status, 401);
  assert.match(notice ?? '', /no API keys.*asked for them before.*--open/);
  assert.deepEqual(await statusOf({ open: true }), [200, null]);
  assert.deepEqual(await statusOf(), [200, null], 'it stays open');
  await file.add({ name: 'again' });
  await assert.rejects(statusOf({ open: true }), /API keys.*"open" is set/);
  assert.equal((await statusOf())[0], 401);
});

test('a socket whose key is removed is closed with 4001, though nothing is sent on it, and so is one without a key when keys come', async () => {
  const file = new KeyFile(path.join(folder.path, 'idle'));
  const own = await startServer(options('idle'));
  const closeOf = async (headers: Record<string, string>, change: () => Promise<unknown>): Promise<number> => {
    const socket = new WebSocket(`${own.url.replace('http', 'ws')}/v1/realtime`, { headers });
    await once(socket, 'message');
    const closed = once(socket, 'close');
    await change();
    return ((await closed) as [number])[0];
  };
  try {
    let key = '';
    assert.equal(await closeOf({}, async () => (key = (await file.add({ name: 'guest' })).secret)), 4001);
    assert.equal(await closeOf(bearer(key), () => file.remove('guest')), 4001);
  } finally {
    await own.close();
  }
});

test('a damaged key file keeps a server from starting', async () => {
  const data = path.join(folder.path, 'damaged');
  await new KeyFile(data).add({ name: 'x' });
  await writeFile(new KeyFile(data).file, '{"keys": [{}]}');
  await assert.rejects(startServer(options('damaged')), /keys\.json is damaged/);
});

test('a bucket gives its burst at once and refills with time', () => {
  let now = 0;
  const bucket = new TokenBucket(2, 3, () => now);
  assert.deepEqual([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false]);
  assert.equal(bucket.wait_s, 0.5);
  now = 0.5;
  assert.deepEqual([bucket.take(), bucket.take()], [true, false]);
  now = 100;
  assert.deepEqual([bucket.take(), bucket.take(), bucket.take(), bucket.take()], [true, true, true, false]);
});

test('keys are told apart by their own limits of answers', async () => {
  const file = new KeyFile(path.join(folder.path, 'limits'));
  const { key } = await file.add({ name: 'x', concurrent: 2 });
  const other = await file.add({ name: 'y' });
  const known = new Set<string>();
  const facts = { has: (name: string) => known.has(name), set: (name: string) => void known.add(name), remove: (name: string) => void known.delete(name) };
  const access = await Access.open({ keys: file, limits: { keyRequestsPerMinute: 60, keyConcurrent: 7 }, always: false, open: false, facts, log: console as never });
  assert.deepEqual([access.mostReplies(key), access.mostReplies(other.key), access.size, access.required], [2, 7, 2, true]);
  access.close();
});

test('an upload of a keyless server is open to whoever is on this machine', async () => {
  const own = await startServer(options('own'));
  try {
    assert.equal((await createUpload(own.url, { length: 5 })).status, 201);
  } finally {
    await own.close();
  }
});
