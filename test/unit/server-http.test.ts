/** The server without a model: uploads, videos, and every refusal, over real sockets. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startServer, type RunningServer } from '../../server/index.js';
import type { Video } from '../../server/api/schemas.js';
import { newId } from '../../server/ids.js';
import { errorOf, getVideo, untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { createUpload, sendAndCut, sendBytes, upload, uploadOffset } from '../helpers/tus.js';
import { eventually } from '../helpers/eventually.js';

let folder: TestFolder;
let server: RunningServer;
const limits = { uploadBytes: 1_000_000, dataUrlBytes: 100_000, freeBytes: 1024, encodeCrashes: 1 };
const options = () => ({ port: 0, dataDir: path.join(folder.path, 'data'), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' as const, limits });

before(async () => {
  folder = await TestFolder.make();
  server = await startServer(options());
});
after(async () => {
  await server.close();
  await folder.remove();
});

const settled = (video: Video): boolean => video.state === 'failed' || video.state === 'ready';
const get = (place: string, headers: Record<string, string> = {}): Promise<Response> => fetch(server.url + place, { headers });
const post = (place: string, body: unknown): Promise<Response> =>
  fetch(server.url + place, { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) });

test('the server answers at once, and says that its model could not be loaded', async () => {
  const health = (await (await get('/health')).json()) as { status: string; model: { status: string } };
  assert.equal(health.status, 'ok');
  await eventually(async () => ((await (await get('/health')).json()) as typeof health).model.status, (status) => status === 'failed', 'the model to fail');
  assert.deepEqual(await (await get('/v1/models')).json(), { object: 'list', data: [] });
  const answer = await errorOf(await post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hello?' }] }));
  assert.deepEqual([answer.status, answer.code], [503, 'model_unavailable']);
});

test('answers carry security headers and a request id, and no page may be framed or run inline scripts', async () => {
  const { headers } = await get('/health');
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /script-src 'self' 'wasm-unsafe-eval'/);
  assert.doesNotMatch(policy, /unsafe-inline/);
  assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin');
  assert.equal(headers.get('cross-origin-embedder-policy'), 'require-corp');
  assert.match(headers.get('x-request-id') ?? '', /^req_/);
});

test('the OpenAPI page lists the routes and their errors', async () => {
  const api = (await (await get('/openapi.json')).json()) as { paths: Record<string, object> };
  for (const place of ['/health', '/v1/models', '/v1/models/{id}', '/v1/videos', '/v1/videos/{id}', '/v1/videos/{id}/container', '/v1/videos/{id}/frames/{t}', '/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/uploads', '/v1/files', '/v1/files/{id}', '/v1/files/{id}/content', '/v1/batches', '/v1/batches/{id}', '/v1/batches/{id}/cancel']) {
    assert.ok(place in api.paths, place);
  }
  assert.equal((await get('/docs/')).status, 200);
});

const nobody = newId('vid');
const aboutUrl = (url: string): object[] => [{ role: 'user', content: [{ type: 'video_url', video_url: { url } }, { type: 'text', text: 'What?' }] }];
const refusals: readonly (readonly [string, () => Promise<Response>, number, string])[] = [
  ['an unknown address', () => get('/v2/nothing'), 404, 'not_found'],
  ['an address with a broken escape', () => get('/v1/videos/%E0%A4%A'), 400, 'invalid_request'],
  ['a path out of the page folder', () => get('/..%2f..%2fetc%2fpasswd'), 404, 'not_found'],
  ['an unknown model', () => get('/v1/models/gpt-9'), 404, 'model_not_found'],
  ['an unknown video', () => get(`/v1/videos/${nobody}`), 404, 'video_not_found'],
  ['an id that is a path', () => get('/v1/videos/..%2F..%2Fetc'), 404, 'video_not_found'],
  ['the container of an unknown video', () => get(`/v1/videos/${nobody}/container`), 404, 'video_not_found'],
  ['a frame of an unknown video', () => get(`/v1/videos/${nobody}/frames/0`), 404, 'video_not_found'],
  ['a frame that is no number', () => get(`/v1/videos/${nobody}/frames/first`), 400, 'invalid_request'],
  ['a negative frame', () => get(`/v1/videos/${nobody}/frames/-1`), 400, 'invalid_request'],
  ['a frame with an unknown option', () => get(`/v1/videos/${nobody}/frames/0?size=3`), 400, 'unsupported_parameter'],
  ['deleting an unknown video', () => fetch(`${server.url}/v1/videos/${nobody}`, { method: 'DELETE' }), 404, 'video_not_found'],
  ['another method', () => fetch(`${server.url}/v1/videos`, { method: 'PUT' }), 405, 'method_not_allowed'],
  ['a chat that is no JSON', () => post('/v1/chat/completions', '{"messages": ['), 400, 'invalid_json'],
  ['a chat without a body', () => post('/v1/chat/completions', ''), 400, 'invalid_json'],
  ['a chat of another type', () => fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'a,b' }), 415, 'unsupported_media_type'],
  ['a body above the limit', () => post('/v1/chat/completions', JSON.stringify({ messages: 'x'.repeat(3_000_000) })), 413, 'body_too_large'],
  ['a chat without messages', () => post('/v1/chat/completions', { messages: [] }), 400, 'invalid_request'],
  ['a chat with an unsupported field', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], logit_bias: { 1: 5 } }), 400, 'unsupported_parameter'],
  ['a number as text', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], max_tokens: '5' }), 400, 'invalid_request'],
  ['several choices', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], n: 2 }), 400, 'invalid_request'],
  ['an answer of no tokens', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 0 }), 400, 'invalid_request'],
  ['another model', () => post('/v1/chat/completions', { model: 'gpt-9', messages: [{ role: 'user', content: '' }] }), 400, 'empty_question'],
  ['an empty question', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: ' \n ' }] }), 400, 'empty_question'],
  ['a question of 100,000 characters', () => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'why '.repeat(25_000) }] }), 400, 'question_too_long'],
  ['a question about an unknown video', () => post('/v1/chat/completions', { messages: aboutUrl(`video://${nobody}`) }), 404, 'video_not_found'],
  ['a remote video', () => post('/v1/chat/completions', { messages: aboutUrl('http://169.254.169.254/') }), 400, 'unsupported_video_url'],
  ['a data: address that is no base64', () => post('/v1/chat/completions', { messages: aboutUrl('data:video/mp4,abc') }), 400, 'invalid_data_url'],
  ['a data: address without a file', () => post('/v1/chat/completions', { messages: aboutUrl('data:video/mp4;base64,') }), 400, 'empty_file'],
  ['a data: address above the limit', () => post('/v1/chat/completions', { messages: aboutUrl(`data:video/mp4;base64,${'A'.repeat(200_000)}`) }), 413, 'upload_too_large'],
  ['a data: address of a text', () => post('/v1/chat/completions', { messages: aboutUrl(`data:video/mp4;base64,${Buffer.from('no film\n'.repeat(90)).toString('base64')}`) }), 422, 'unsupported_media'],
  ['a page of another origin', () => get('/v1/videos', { origin: 'https://evil.example' }), 403, 'forbidden_origin'],
  ['an upload without a length', () => fetch(`${server.url}/v1/uploads`, { method: 'POST', headers: { 'Tus-Resumable': '1.0.0' } }), 400, 'upload_header_invalid'],
  ['an upload that is not tus', () => fetch(`${server.url}/v1/uploads`, { method: 'POST', body: 'x' }), 400, 'upload_header_invalid'],
  ['an empty file', () => createUpload(server.url, { length: 0 }), 400, 'empty_file'],
  ['a file above the limit', () => createUpload(server.url, { length: 2_000_000 }), 413, 'upload_too_large'],
  ['bytes for an unknown upload', () => sendBytes(server.url, nobody, 0, Buffer.from('x')), 404, 'upload_not_found'],
];

for (const [name, request, status, code] of refusals) {
  test(`${name} is refused with ${code}`, async () => {
    const error = await errorOf(await request());
    assert.deepEqual([error.status, error.code], [status, code], error.message);
    assert.doesNotMatch(error.message, /node_modules|\.js:|at .*\(/);
  });
}

test('a Host that is not loopback is refused, which is what DNS rebinding needs', async () => {
  const status = await new Promise<number | undefined>((resolve, reject) => {
    httpRequest(`${server.url}/v1/videos`, { headers: { host: 'evil.example' } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on('error', reject).end();
  });
  assert.equal(status, 403);
});

test('bytes that are no HTTP are answered in the one shape', async () => {
  const { hostname, port } = new URL(server.url);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write('HELLO\r\n\r\n'));
    let answer = '';
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
  assert.match(text, /^HTTP\/1.1 400 /);
  assert.match(text, /"code":"invalid_request"/);
});

test('a text file named .mp4 becomes a failed video that says why, and the next request is served', async () => {
  const id = await upload(server.url, Buffer.from('Dear diary, this is not a film.\n'.repeat(50)), 'holiday.mp4');
  const video = await untilVideo(server.url, id, settled);
  assert.equal(video.state, 'failed');
  assert.equal(video.error?.code, 'unsupported_media');
  assert.equal(video.name, 'holiday.mp4');
  assert.doesNotMatch(video.error.message, new RegExp(folder.path));
  const chat = await errorOf(await post('/v1/chat/completions', { messages: aboutUrl(`video://${id}`) }));
  assert.equal(chat.code, 'video_not_ready');
  assert.equal((await errorOf(await get(`/v1/videos/${id}/container`))).code, 'container_not_ready');
});

test('a file that only begins as a container is refused', async () => {
  const id = await upload(server.url, Buffer.concat([Buffer.from([0x89, 0x4c, 0x49, 0x4e, 0x52, 0x0d, 0x0a, 0x1a]), Buffer.alloc(500, 7)]), 'broken.linr');
  const video = await untilVideo(server.url, id, settled);
  assert.deepEqual([video.state, video.error?.code], ['failed', 'invalid_container']);
});

test('deleting a video removes its row and its files', async () => {
  const id = await upload(server.url, Buffer.from('not a film'), 'x.mp4');
  await untilVideo(server.url, id, settled);
  assert.equal((await fetch(`${server.url}/v1/videos/${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await get(`/v1/videos/${id}`)).status, 404);
  assert.ok(!(await readdir(path.join(folder.path, 'data', 'videos'))).includes(id));
});

test('an upload that is cut goes on where it stopped, and bytes at a wrong offset are refused', async () => {
  const bytes = Buffer.alloc(300_000, 'film');
  const created = await createUpload(server.url, { length: bytes.length });
  const id = created.headers.get('location')?.split('/').pop() ?? '';
  await sendAndCut(server.url, id, 0, bytes.subarray(0, 120_000), bytes.length);
  const offset = await eventually(() => uploadOffset(server.url, id), (seen) => seen !== 0, 'the first bytes');
  assert.ok(typeof offset === 'number' && offset > 0 && offset <= 120_000, String(offset));
  assert.deepEqual((await errorOf(await sendBytes(server.url, id, offset + 1, bytes.subarray(0, 10)))).code, 'upload_conflict');
  assert.equal((await sendBytes(server.url, id, offset, bytes.subarray(offset))).status, 204);
  assert.equal((await getVideo(server.url, id)).source_bytes, bytes.length);
  assert.equal(await uploadOffset(server.url, id), bytes.length, 'a client that missed the last answer learns that all is there');
});

test('an upload can be given up', async () => {
  const created = await createUpload(server.url, { length: 100 });
  const id = created.headers.get('location')?.split('/').pop() ?? '';
  assert.equal((await fetch(`${server.url}/v1/uploads/${id}`, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } })).status, 204);
  assert.equal(await uploadOffset(server.url, id), 'status 404');
});

test('a full disk is told as such, nothing is lost, and the upload goes on once there is room', { skip: process.platform !== 'linux' && 'needs /dev/full' }, async () => {
  const bytes = Buffer.from('film'.repeat(1000));
  const created = await createUpload(server.url, { length: bytes.length });
  const id = created.headers.get('location')?.split('/').pop() ?? '';
  const file = path.join(folder.path, 'data', 'uploads', id);
  await rm(file);
  await symlink('/dev/full', file);
  const error = await errorOf(await sendBytes(server.url, id, 0, bytes));
  assert.deepEqual([error.status, error.code], [507, 'disk_full']);
  assert.equal((await get('/health')).status, 200);
  await rm(file);
  await writeFile(file, '');
  assert.equal((await sendBytes(server.url, id, 0, bytes)).status, 204);
});

test('an upload for which there is no room is refused before a byte is sent', async () => {
  const crowded = await startServer({ ...options(), dataDir: path.join(folder.path, 'crowded'), limits: { freeBytes: Number.MAX_SAFE_INTEGER } });
  try {
    const error = await errorOf(await createUpload(crowded.url, { length: 10 }));
    assert.deepEqual([error.status, error.code], [507, 'disk_full']);
  } finally {
    await crowded.close();
  }
});

test('after a restart unfinished uploads go on, finished ones are videos, and litter is gone', async () => {
  const bytes = Buffer.from('still not a film');
  const created = await createUpload(server.url, { length: bytes.length });
  const id = created.headers.get('location')?.split('/').pop() ?? '';
  await sendBytes(server.url, id, 0, bytes.subarray(0, 5));
  const done = await upload(server.url, bytes, 'done.mp4');
  await server.close();
  const data = path.join(folder.path, 'data');
  const orphan = newId('vid');
  await writeFile(path.join(data, 'uploads', orphan), 'orphan');
  await mkdir(path.join(data, 'videos', nobody));
  await writeFile(path.join(data, 'videos', nobody, 'video.linr'), 'orphan');
  server = await startServer(options());
  assert.equal(await uploadOffset(server.url, id), 5);
  assert.equal((await untilVideo(server.url, done, settled)).error?.code, 'unsupported_media');
  assert.ok(!(await readdir(path.join(data, 'uploads'))).includes(orphan));
  assert.ok(!(await readdir(path.join(data, 'videos'))).includes(nobody));
  assert.equal((await sendBytes(server.url, id, 5, bytes.subarray(5))).status, 204);
  assert.equal((await getVideo(server.url, id)).source_bytes, bytes.length);
});

test('a port that is taken is told in one sentence', async () => {
  const port = Number(new URL(server.url).port);
  await assert.rejects(startServer({ ...options(), port, dataDir: path.join(folder.path, 'other') }), new RegExp(`Port ${port} is in use`));
});
