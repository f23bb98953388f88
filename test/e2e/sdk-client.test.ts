import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { LatentChat, LatentChatError, type ServerEvent, type UploadProgress } from '../../client/sdk/index.js';
import { readContainer } from '../../model/container/index.js';
import { DemoServer } from '../helpers/demo-server.js';
import { makeVideo } from '../helpers/videos.js';
import type { ServerProcess } from '../helpers/server-process.js';

const question = 'What is happening?';

let site: DemoServer;
let server: ServerProcess;
let client: LatentChat;
let demo: string;

before(async () => {
  site = await DemoServer.start({ encode: { preset: 'draft', seconds: 6 } });
  ({ process: server, demo } = site);
  client = new LatentChat({ baseUrl: server.url });
});

after(() => site.stop());

test('lists the demo video and reads its container', async () => {
  const video = await client.videos.get(demo);
  assert.equal(video.askable, true);
  const bytes = await client.containerBytes(demo);
  assert.equal(bytes.length, video.container_bytes);
  assert.equal(readContainer(bytes).meta.frames, video.encoded_frames);
});

test('a question is answered piece by piece, and the pieces are the whole answer', async () => {
  const pieces: string[] = [];
  const answer = client.chat(demo, question);
  let step = await answer.next();
  for (; !step.done; step = await answer.next()) pieces.push(step.value);
  assert.ok(pieces.length > 1, `${pieces.length} pieces`);
  assert.equal(step.value.status, 'completed');
  assert.ok((step.value.usage?.output_tokens ?? 0) >= pieces.length / 2);
  assert.match(pieces.join(''), /\w+ \w+/);
});

test('aborting an answer rejects with the signal’s reason and cancels it on the server', async () => {
  const socket = client.realtime();
  const conversation = await first(socket, 'session.created').then((event) => event.conversation.id);
  await socket.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello' }] } });
  await first(socket, 'conversation.item.added');
  const abort = new AbortController();
  const answer = client.chat(demo, 'Tell a long story about everything in it.', { signal: abort.signal, conversation });
  const done = first(socket, 'response.done');
  const created = first(socket, 'response.created');
  const reading = assert.rejects(async () => {
    for await (const piece of answer) void piece;
  }, /enough/);
  await created;
  abort.abort(new Error('enough'));
  await reading;
  assert.equal((await done).response.status, 'cancelled');
  socket.close();
});

test('an upload tells its progress, becomes askable, can be asked about, and is gone once deleted', async () => {
  const socket = client.realtime();
  const askable = new Promise<string>((resolve) => {
    void (async () => {
      for await (const event of socket) if (event.type === 'video.progress' && event.video.name === 'corners.mp4' && event.video.askable) return resolve(event.video.id);
    })();
  });
  const progress: UploadProgress[] = [];
  const bytes = await makeVideo();
  const started: string[] = [];
  const video = await client.upload(Buffer.from(bytes), { name: 'corners.mp4', chunkSize: 1000, onProgress: (now) => progress.push(now), onStart: (id) => started.push(id) });
  assert.deepEqual(started, [video.id]);
  assert.equal(video.name, 'corners.mp4');
  assert.deepEqual(progress.at(-1), { sent: bytes.length, total: bytes.length });
  assert.ok(progress.length >= Math.floor(bytes.length / 1000), 'one report a chunk at least');
  assert.equal(await askable, video.id);
  socket.close();
  let text = '';
  for await (const piece of client.chat(video.id, question)) text += piece;
  assert.match(text, /\w/);
  await client.videos.delete(video.id);
  await assert.rejects(client.videos.get(video.id), (error) => error instanceof LatentChatError && error.code === 'video_not_found' && error.status === 404);
});

test('what the server refuses rejects with its code and its sentence', async () => {
  await assert.rejects(client.upload(Buffer.alloc(0), { name: 'nothing.mp4' }), { code: 'empty_file' });
  await assert.rejects(client.chat('vid_none', question).next(), { code: 'video_not_found' });
  await assert.rejects(client.chat(demo, '  ').next(), { code: 'empty_question' });
  assert.throws(() => new LatentChat({ baseUrl: 'localhost:8080' }), /baseUrl must start with http/);
  const nobody = new LatentChat({ baseUrl: 'http://127.0.0.1:1' });
  await assert.rejects(nobody.videos.list(), { code: 'connection_failed', status: null });
});

test('a socket reconnects by itself after the server was killed, and the conversation is still there', async () => {
  const statuses: string[] = [];
  const socket = client.realtime({ onStatus: (status) => statuses.push(status) });
  const { conversation } = await first(socket, 'session.created');
  const added = first(socket, 'conversation.item.added');
  await socket.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Remember me' }] } });
  const { item } = await added;

  const again = first(socket, 'session.created');
  await server.kill();
  await server.start();
  await again;
  assert.ok(statuses.includes('waiting'));
  const retrieved = first(socket, 'conversation.retrieved');
  await socket.send({ type: 'conversation.retrieve', conversation: conversation.id });
  assert.deepEqual((await retrieved).conversation.items.map(({ id }) => id), [item.id]);
  socket.close();
  await assert.rejects(socket.send({ type: 'response.create' }), { code: 'connection_lost' });
});

test('an answer whose connection breaks goes on where it was, and nothing of it is lost or said twice', async () => {
  const sockets: WebSocket[] = [];
  const fragile = new LatentChat({
    baseUrl: server.url,
    webSocket: (url, protocols) => {
      const socket = new WebSocket(url, [...protocols]);
      sockets.push(socket);
      return socket;
    },
  });
  const story = 'Tell a long story about everything in it.';
  const pieces: string[] = [];
  const answer = fragile.chat(demo, story, { maxTokens: 80 });
  let step = await answer.next();
  for (; step.done !== true; step = await answer.next()) {
    pieces.push(step.value);
    if (pieces.length === 5) sockets[0]?.terminate();
  }
  assert.equal(sockets.length, 2);
  assert.ok(['completed', 'incomplete'].includes(step.value.status), step.value.status);
  let whole = '';
  for await (const piece of client.chat(demo, story, { maxTokens: 80 })) whole += piece;
  assert.equal(pieces.join(''), whole);
});

test('a video that becomes askable is waited for, one that cannot be read is told with its reason', async () => {
  const bad = await client.upload(Buffer.from('no film at all'), { name: 'bad.mp4' });
  await assert.rejects(client.videos.untilAskable(bad.id), { code: 'unsupported_media' });
  assert.equal((await client.videos.untilAskable(demo)).id, demo);
  await client.videos.delete(bad.id);
  await assert.rejects(client.videos.untilAskable(bad.id), { code: 'video_not_found' });
});

test('a chat with a server that is not there ends at once', async () => {
  const nobody = new LatentChat({ baseUrl: 'http://127.0.0.1:1' });
  const started = performance.now();
  await assert.rejects(nobody.chat(demo, question).next(), { code: 'connection_lost' });
  assert.ok(performance.now() - started < 5000);
});

/** The next event of a type. */
async function first<T extends ServerEvent['type']>(socket: AsyncIterable<ServerEvent>, type: T): Promise<ServerEvent & { type: T }> {
  for await (const event of socket) if (event.type === type) return event as ServerEvent & { type: T };
  throw new Error(`the socket closed before ${type}`);
}
