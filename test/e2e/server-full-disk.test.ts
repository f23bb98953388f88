/** A disk that is full to its last byte at one moment or another: the server lives, loses nothing, and goes on by itself. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import type { ServerOptions } from '../../server/index.js';
import { errorOf, getVideo, untilVideo } from '../helpers/api.js';
import { TestSocket } from '../helpers/realtime.js';
import { ServerProcess } from '../helpers/server-process.js';
import { cannotMount, SmallDisk } from '../helpers/small-disk.js';
import { createUpload, sendBytes, upload, uploadOffset } from '../helpers/tus.js';
import { makeVideo, movingPicture } from '../helpers/videos.js';

const MB = 1024 * 1024;
const options: Partial<ServerOptions> = {
  encode: { preset: 'paper', seconds: 6 },
  limits: { freeBytes: 8 * MB, diskRetry_s: 0.2 },
  logLevel: 'fatal',
};

describe('on a disk of 64 MB', { skip: cannotMount ?? false }, () => {
  let clip: Uint8Array;
  let disk: SmallDisk;
  let server: ServerProcess;

  before(async () => {
    clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 16 }, (_, index) => index / 8), picture: movingPicture });
  });
  beforeEach(async () => {
    disk = await SmallDisk.make(64 * MB);
    server = new ServerProcess(disk.data, options);
    await server.start();
  });
  afterEach(async () => {
    await server.stop();
    await disk.remove();
  });

  const alive = async (): Promise<void> => assert.equal((await fetch(`${server.url}/health`)).status, 200);
  const isStalled = (video: Awaited<ReturnType<typeof getVideo>>): boolean => video.error?.code === 'disk_full';

  test('that is full during an upload: it is refused as such, and goes on where it was once there is room', async () => {
    const created = await createUpload(server.url, { length: clip.length });
    const id = created.headers.get('location')?.split('/').pop() ?? '';
    const half = clip.length >> 1;
    assert.equal((await sendBytes(server.url, id, 0, clip.subarray(0, half))).status, 204);
    await disk.fill();
    const { status, code } = await errorOf(await sendBytes(server.url, id, half, clip.subarray(half)));
    assert.deepEqual([status, code], [507, 'disk_full']);
    await alive();
    await disk.empty();
    const offset = await uploadOffset(server.url, id);
    assert.ok(typeof offset === 'number' && offset >= half, String(offset));
    assert.equal((await sendBytes(server.url, id, offset, clip.subarray(offset))).status, 204);
    await untilVideo(server.url, id, ({ askable }) => askable);
  });

  for (const stage of ['features', 'training'] as const) {
    test(`that is full while a video is in ${stage}: the encode waits, says why, and ends by itself once there is room`, async () => {
      const id = await upload(server.url, clip, 'waiting.mp4');
      await untilVideo(server.url, id, ({ progress, askable }) => (stage === 'training' ? progress?.stage === 'training' : progress !== null && !askable));
      await disk.fill();
      const stalled = await untilVideo(server.url, id, isStalled);
      assert.equal(stalled.state, 'failed');
      await alive();
      await disk.empty();
      const done = await untilVideo(server.url, id, ({ state }) => state === 'ready');
      assert.equal(done.error, null);
    });
  }

  test('that is full during a chat: the message is refused as such, the conversation is whole, and goes on once there is room', async () => {
    const socket = await TestSocket.open(server.url);
    const { conversation } = await socket.next('session.created');
    const say = (text: string): void => socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text }] } });
    say('before');
    await socket.next('conversation.item.added');
    await disk.fill();
    // The database's log may have a page left.
    const long = 'a long question '.repeat(300);
    let code = '';
    for (let turn = 0; turn < 2000 && code === ''; turn++) {
      say(long);
      const event = await socket.nextOf(['conversation.item.added', 'error']);
      if (event.type === 'error') ({ code } = event.error);
    }
    assert.equal(code, 'disk_full');
    await alive();
    await disk.empty();
    say('after');
    await socket.next('conversation.item.added');
    const answer = await socket.ask('Say yes.');
    assert.ok(['completed', 'incomplete'].includes(answer.response.status), JSON.stringify(answer.response));
    await socket.close();
    const again = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
    const { items } = (await again.next('session.created')).conversation;
    const texts = items.map(({ content }) => content.map((part) => ('text' in part ? part.text : '')).join(''));
    assert.equal(texts[0], 'before');
    assert.ok(texts.includes('after') && texts.at(-2) === 'Say yes.', JSON.stringify(texts.map((text) => text.slice(0, 20))));
    await again.close();
  });

  test('that is full at a restart after a kill: the server starts with everything, and goes on once there is room', async () => {
    const ready = await upload(server.url, clip, 'ready.mp4');
    await untilVideo(server.url, ready, ({ state }) => state === 'ready');
    const cut = await upload(server.url, clip, 'cut.mp4');
    await untilVideo(server.url, cut, ({ progress }) => progress !== null);
    await server.kill();
    await disk.fill();
    await server.start();
    await alive();
    assert.equal((await getVideo(server.url, ready)).state, 'ready');
    assert.notEqual((await getVideo(server.url, cut)).state, 'ready');
    await disk.empty();
    await untilVideo(server.url, cut, ({ state }) => state === 'ready');
  });

  test('that is full: videos, uploads and messages can be deleted, which makes room for what waits', async () => {
    const first = await upload(server.url, clip, 'first.mp4');
    await untilVideo(server.url, first, ({ state }) => state === 'ready');
    const second = await upload(server.url, clip, 'second.mp4');
    const created = await createUpload(server.url, { length: clip.length });
    const third = created.headers.get('location')?.split('/').pop() ?? '';
    await disk.fill();
    assert.equal((await fetch(`${server.url}/v1/videos/${first}`, { method: 'DELETE' })).status, 204);
    await disk.fill();
    assert.equal((await fetch(`${server.url}/v1/videos/${second}`, { method: 'DELETE' })).status, 204);
    await disk.fill();
    assert.equal((await fetch(`${server.url}/v1/uploads/${third}`, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } })).status, 204);
    assert.deepEqual(((await (await fetch(`${server.url}/v1/videos`)).json()) as { data: unknown[] }).data, []);
    await alive();
  });

  test('whose folder of a video becomes read-only in training: the encode waits, says why, and ends by itself once it can be written', async () => {
    const id = await upload(server.url, clip, 'readonly.mp4');
    await untilVideo(server.url, id, ({ progress }) => progress?.stage === 'training');
    const giveBack = disk.protect(path.join(disk.data, 'videos', id));
    const stalled = await untilVideo(server.url, id, ({ error }) => error !== null);
    assert.deepEqual([stalled.state, stalled.error?.code, stalled.askable], ['failed', 'disk_read_only', true]);
    await alive();
    giveBack();
    assert.equal((await untilVideo(server.url, id, ({ state }) => state === 'ready')).error, null);
  });
});
