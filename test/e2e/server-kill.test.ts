/** kill -9 at any moment: uploads, encodes and conversations go on after a restart, and nothing is left lying about. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, before, beforeEach, test } from 'node:test';
import { getVideo, untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { isRunning, nicenessOf, ServerProcess } from '../helpers/server-process.js';
import { createUpload, sendAndCut, sendBytes, upload, uploadOffset } from '../helpers/tus.js';
import { makeVideo } from '../helpers/videos.js';
import { until } from '../helpers/eventually.js';

let clip: Uint8Array;
let folder: TestFolder;
let server: ServerProcess;

before(async () => {
  clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 16 }, (_, index) => index / 8) });
});
beforeEach(async () => {
  folder = await TestFolder.make();
  server = new ServerProcess(folder.path, { encode: { preset: 'paper', seconds: 4 } });
  await server.start();
});
afterEach(async () => {
  await server.stop();
  await folder.remove();
});

async function restart(): Promise<void> {
  await server.kill();
  await server.start();
}

const id = (answer: Response): string => answer.headers.get('location')?.split('/').pop() ?? '';

test('an upload goes on after its server was killed in the middle of a request', async () => {
  const upl = id(await createUpload(server.url, { length: clip.length }));
  const cut = Math.floor(clip.length / 3);
  await sendBytes(server.url, upl, 0, clip.subarray(0, cut));
  await sendAndCut(server.url, upl, cut, clip.subarray(cut, cut + 200), clip.length - cut);
  await restart();
  const offset = await uploadOffset(server.url, upl);
  assert.ok(typeof offset === 'number' && offset >= cut, `acknowledged bytes are there: ${offset} of ${cut}`);
  assert.equal((await sendBytes(server.url, upl, offset, clip.subarray(offset))).status, 204);
  const video = await untilVideo(server.url, upl, ({ askable }) => askable);
  assert.equal(video.source_bytes, clip.length);
});

test('a video whose server is killed again and again while it is encoded becomes ready, and no process stays', { skip: process.platform !== 'linux' && 'needs /proc' }, async () => {
  const vid = await upload(server.url, clip, 'stubborn.mp4');
  // At once, while it is looked at; then while it is read; then in training.
  await restart();
  await untilVideo(server.url, vid, ({ progress }) => progress !== null);
  const [encoder = 0] = server.children();
  assert.ok(isRunning(encoder));
  await restart();
  await untilVideo(server.url, vid, ({ progress }) => progress?.stage === 'training');
  await until(() => !isRunning(encoder), 'the encoder of the killed server to end by itself', { limit_s: 20 });
  assert.ok((await getVideo(server.url, vid)).askable);
  const [trainer = 0] = server.children();
  assert.deepEqual([...new Set(nicenessOf(trainer))], [19], 'every thread of a training stands back behind answers');
  await restart();
  assert.ok((await getVideo(server.url, vid)).askable, 'what could be asked about still can be');
  const video = await untilVideo(server.url, vid, ({ state }) => state === 'ready' || state === 'failed');
  assert.equal(video.state, 'ready', JSON.stringify(video.error));
  assert.deepEqual((await readdir(path.join(folder.path, 'videos', vid))).sort(), ['source.media', 'video.linr']);
  assert.deepEqual(await readdir(path.join(folder.path, 'uploads')), []);
});

test('a graceful stop in training writes a checkpoint, and the next start goes on from it', async () => {
  const vid = await upload(server.url, clip, 'paused.mp4');
  await untilVideo(server.url, vid, ({ progress }) => progress?.stage === 'training' && progress.done > 0.5);
  await server.stop();
  assert.ok(existsSync(path.join(folder.path, 'videos', vid, 'checkpoint')));
  await server.start();
  const socket = await TestSocket.open(server.url);
  await untilVideo(server.url, vid, ({ state }) => state === 'ready');
  const stages = socket.events.flatMap((event) => (event.type === 'video.progress' && event.video.progress ? [event.video.progress.stage] : []));
  assert.ok(stages.includes('training'));
  assert.ok(!stages.includes('features'), 'what the checkpoint holds is not computed again');
  assert.ok(!existsSync(path.join(folder.path, 'videos', vid, 'checkpoint')));
  await socket.close();
});

test('a new video does not wait for the training of an older one, and the older one is finished too', async () => {
  await server.stop();
  server = new ServerProcess(folder.path, { encode: { preset: 'paper', seconds: 8 } });
  await server.start();
  const older = await upload(server.url, clip, 'older.mp4');
  await untilVideo(server.url, older, ({ progress }) => progress?.stage === 'training');
  const newer = await upload(server.url, clip, 'newer.mp4');
  await untilVideo(server.url, newer, ({ askable }) => askable);
  assert.notEqual((await getVideo(server.url, older)).state, 'ready', 'the older one is still in training');
  await untilVideo(server.url, older, ({ state }) => state === 'ready');
  await untilVideo(server.url, newer, ({ state }) => state === 'ready');
});

test('finished messages survive a kill in the middle of the next answer', async () => {
  const socket = await TestSocket.open(server.url);
  const { conversation } = await socket.next('session.created');
  const first = await socket.ask('Say yes.');
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Count from one to one thousand in words.' }] } });
  socket.send({ type: 'response.create' });
  await socket.next('response.output_text.delta');
  await restart();
  const again = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
  const state = (await again.next('session.created')).conversation;
  assert.deepEqual(state.items.map(({ role }) => role), ['user', 'assistant', 'user']);
  assert.deepEqual(state.items[1]?.content, [{ type: 'output_text', text: first.text, annotations: [], confidence: null }]);
  assert.equal(state.response, null);
  again.send({ type: 'response.create', response: { max_output_tokens: 3 } });
  assert.equal((await again.next('response.done', 60)).response.status, 'incomplete');
  await again.close();
});
