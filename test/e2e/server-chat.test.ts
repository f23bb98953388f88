/** The server with the default model pack: encode, ask, stream, cancel, share; over real sockets. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { readContainer, writeContainer } from '../../model/container/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import type { Video } from '../../server/api/schemas.js';
import { errorOf, getVideo, untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { ServerProcess } from '../helpers/server-process.js';
import { createUpload, sendBytes, upload } from '../helpers/tus.js';
import { grey, makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let server: ServerProcess;
let clip: Uint8Array;
/** A video that is ready. */
let ready: Video;

before(async () => {
  folder = await TestFolder.make();
  clip = await makeVideo({ width: 128, height: 96, times: Array.from({ length: 24 }, (_, index) => index / 8), picture: (frame, width, height) => grey(frame * 10, width, height) });
  // The published preset trains, so that there is a time in which a video can be asked about and is not ready yet.
  server = new ServerProcess(folder.path, { encode: { preset: 'paper', seconds: 4 } });
});
after(async () => {
  await server.stop();
  await folder.remove();
});

const post = (body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...(signal ? { signal } : {}) });
const about = (id: string, text: string) => [{ role: 'user', content: [{ type: 'video_url', video_url: { url: `video://${id}` } }, { type: 'text', text }] }];

test('a cold server answers a question soon after its start', async (context) => {
  const started = performance.now();
  await server.start();
  const socket = await TestSocket.open(server.url);
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Name a colour.' }] } });
  socket.send({ type: 'response.create', response: { max_output_tokens: 4 } });
  await socket.next('response.output_text.delta');
  const seconds = (performance.now() - started) / 1000;
  context.diagnostic(`first token ${seconds.toFixed(2)} s after the process was started`);
  assert.ok(seconds < 20, `${seconds} s`);
  await socket.close();
});

test('an upload can be asked about while it is in training, and is ready later', async (context) => {
  const sent = performance.now();
  const socket = await TestSocket.open(server.url);
  const id = await upload(server.url, clip, 'greys.mp4');
  const askable = await untilVideo(server.url, id, (video) => video.askable);
  context.diagnostic(`askable ${((performance.now() - sent) / 1000).toFixed(2)} s after the upload began`);
  assert.notEqual(askable.state, 'ready');
  const answer = await socket.ask('What do you see?', id);
  assert.equal(answer.response.status, 'completed', JSON.stringify(answer.response));
  ready = await untilVideo(server.url, id, (video) => video.state === 'ready');
  assert.deepEqual([ready.container_stage, ready.encoded_width, ready.encoded_height, ready.encoded_frames, ready.kind], ['final', 128, 96, 24, 'video']);
  assert.ok((ready.psnr_db ?? 0) > 8, `${ready.psnr_db} dB`);
  const stages = new Set(socket.events.flatMap((event) => (event.type === 'video.progress' && event.video.progress ? [event.video.progress.stage] : [])));
  assert.ok(stages.has('training'), [...stages].join());
  await socket.close();
  assert.deepEqual((await readdir(path.join(folder.path, 'videos', id))).sort(), ['source.media', 'video.linr']);
});

test('an answer streams: its deltas are its text, and it is stored in its conversation', async () => {
  const socket = await TestSocket.open(server.url);
  const { conversation } = await socket.next('session.created');
  const { text, response } = await socket.ask('What do you see?', ready.id);
  const deltas = socket.events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
  assert.equal(deltas.join(''), text);
  assert.ok(deltas.length > 1);
  assert.equal(response.conversation, conversation.id);
  await socket.close();
  const later = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
  const { items } = (await later.next('session.created')).conversation;
  assert.deepEqual(items.map(({ role, status }) => [role, status]), [['user', 'completed'], ['assistant', 'completed']]);
  assert.deepEqual(items[1]?.content, [{ type: 'output_text', text, annotations: [], confidence: null }]);
  await later.close();
});

test('a second question costs only its own tokens', async (context) => {
  const socket = await TestSocket.open(server.url);
  await socket.ask('What do you see?', ready.id);
  const second = await socket.ask('Which colour is it?', ready.id);
  const { input_tokens = 0, cached_tokens = 0 } = second.response.usage ?? {};
  context.diagnostic(`second question: first token after ${second.response.seconds?.first_token.toFixed(3)} s, ${cached_tokens} of ${input_tokens} tokens cached`);
  // 8 frames of 5 tokens with their times are some 110 tokens; what is left is the first answer and the new question.
  assert.ok(cached_tokens > 100 && input_tokens - cached_tokens < 80, `${cached_tokens} of ${input_tokens} cached`);
  await socket.close();
});

test('a response can be cancelled, what it had is kept as incomplete, and the next one runs', async () => {
  const socket = await TestSocket.open(server.url);
  const { conversation } = await socket.next('session.created');
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Count from one to one thousand in words.' }] } });
  socket.send({ type: 'response.create', response: { max_output_tokens: 512 } });
  await socket.next('response.output_text.delta');
  socket.send({ type: 'response.create' });
  assert.equal(await socket.errorCode(), 'response_in_progress');
  const asked = performance.now();
  socket.send({ type: 'response.cancel' });
  const { response } = await socket.next('response.done');
  assert.equal(response.status, 'cancelled');
  assert.ok(performance.now() - asked < 3000);
  socket.send({ type: 'conversation.retrieve', conversation: conversation.id });
  const { items } = (await socket.next('conversation.retrieved')).conversation;
  assert.equal(items.at(-1)?.status, 'incomplete');
  assert.equal((await socket.ask('Say yes.')).response.status, 'completed');
  await socket.close();
});

test('several conversations on one socket and several sockets are all served', async () => {
  const sockets = await Promise.all([1, 2, 3].map(() => TestSocket.open(server.url)));
  const [first] = sockets;
  assert.ok(first);
  first.send({ type: 'conversation.create' });
  const other = (await first.next('conversation.created')).conversation.id;
  const own = first.events.find((event) => event.type === 'session.created')?.conversation.id ?? '';
  for (const conversation of [own, other]) {
    first.send({ type: 'conversation.item.create', conversation, item: { role: 'user', content: [{ type: 'input_video', video: `video://${ready.id}` }, { type: 'input_text', text: 'What is it?' }] } });
    first.send({ type: 'response.create', conversation, response: { max_output_tokens: 24 } });
  }
  const others = sockets.slice(1).map((socket) => socket.ask('What is it?', ready.id));
  const done = [await first.next('response.done'), await first.next('response.done')];
  assert.deepEqual(done.map(({ response }) => response.conversation).sort(), [own, other].sort());
  const texts = first.events.flatMap((event) => (event.type === 'response.output_text.done' ? [event.text] : []));
  assert.equal(texts[0], texts[1], 'the same question about the same video, greedily');
  for (const { response } of await Promise.all(others)) assert.ok(['completed', 'incomplete'].includes(response.status));
  await Promise.all(sockets.map((socket) => socket.close()));
});

test('who comes back in the middle of an answer hears the rest of it', async () => {
  const socket = await TestSocket.open(server.url);
  const { conversation } = await socket.next('session.created');
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Count from one to one hundred in words.' }] } });
  socket.send({ type: 'response.create', response: { max_output_tokens: 200 } });
  const { response_id } = await socket.next('response.output_text.delta');
  await socket.close();
  const again = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
  const state = (await again.next('session.created')).conversation;
  assert.equal(state.response?.id, response_id);
  const sofar = state.items.at(-1);
  assert.equal(sofar?.status, 'in_progress');
  const head = sofar.content[0]?.type === 'output_text' ? sofar.content[0].text : '';
  const { text } = await again.next('response.output_text.done', 60);
  const rest = again.events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
  assert.equal(head + rest.join(''), text);
  await again.close();
});

test('the server answers others while the model works', async (context) => {
  const socket = await TestSocket.open(server.url);
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Count from one to one hundred in words.' }] } });
  socket.send({ type: 'response.create', response: { max_output_tokens: 100 } });
  await socket.next('response.output_text.delta');
  const times: number[] = [];
  while (!socket.events.some((event) => event.type === 'response.done')) {
    const asked = performance.now();
    await fetch(`${server.url}/health`);
    times.push(performance.now() - asked);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  context.diagnostic(`/health while the model works: median ${median.toFixed(1)} ms, worst ${times.at(-1)?.toFixed(0)} ms, ${times.length} requests`);
  assert.ok(times.length >= 5, `${times.length} requests`);
  assert.ok(median < 200, `${median} ms`);
  await socket.close();
});

test('HTTP: the streamed answer is the whole one, and hanging up cancels', async () => {
  const body = { messages: about(ready.id, 'What do you see?'), max_tokens: 40 };
  const whole = (await (await post(body)).json()) as { choices: { message: { content: string }; finish_reason: string }[]; usage: { completion_tokens: number } };
  const text = whole.choices[0]?.message.content ?? '';
  assert.ok(text.length > 0);
  const events = (await (await post({ ...body, stream: true })).text()).split('\n\n').filter((line) => line !== '');
  assert.equal(events.at(-1), 'data: [DONE]');
  const chunks = events.slice(0, -1).map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] });
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), text);

  const abort = new AbortController();
  const long = { messages: [{ role: 'user', content: 'Count from one to one thousand in words.' }], max_tokens: 512, stream: true };
  const reader = (await post(long, abort.signal)).body?.getReader();
  await reader?.read();
  abort.abort();
  const asked = performance.now();
  assert.equal((await post({ messages: [{ role: 'user', content: 'Say yes.' }], max_tokens: 2 })).status, 200);
  assert.ok(performance.now() - asked < 5000, 'the abandoned answer does not hold the next one up');
});

test('a container is fetched whole, in parts and not at all when it is known', async () => {
  const place = `${server.url}/v1/videos/${ready.id}/container`;
  const answer = await fetch(place);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  assert.equal(bytes.length, ready.container_bytes);
  assert.equal(readContainer(bytes).meta.frames, 24);
  const etag = answer.headers.get('etag') ?? '';
  assert.equal(etag, `"${ready.container_version}"`);
  assert.equal((await fetch(place, { headers: { 'if-none-match': etag } })).status, 304);
  const part = await fetch(place, { headers: { range: 'bytes=10-19', 'if-range': etag } });
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 10-19/${bytes.length}`]);
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), bytes.slice(10, 20));
  assert.equal((await fetch(place, { headers: { range: 'bytes=10-19', 'if-range': '"older"' } })).status, 200);
  const beyond = await errorOf(await fetch(place, { headers: { range: `bytes=${bytes.length}-` } }));
  assert.deepEqual([beyond.status, beyond.code], [416, 'range_not_satisfiable']);
  const head = await fetch(place, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytes.length)]);
});

test('frames come as PNG, JPEG and WebP at the width that is asked for', async () => {
  const place = `${server.url}/v1/videos/${ready.id}/frames`;
  for (const [format, width] of [['png', 128], ['jpeg', 64], ['webp', 256]] as const) {
    const answer = await fetch(`${place}/12?width=${width}&format=${format}`);
    assert.equal(answer.headers.get('content-type'), `image/${format}`);
    const picture = await sharp(Buffer.from(await answer.arrayBuffer())).metadata();
    assert.deepEqual([picture.format, picture.width, picture.height], [format, width, (width * 96) / 128]);
    assert.equal((await fetch(`${place}/12?width=${width}&format=${format}`, { headers: { 'if-none-match': answer.headers.get('etag') ?? '' } })).status, 304);
  }
  const decoder = new LinrDecoder(`${server.url}/v1/videos/${ready.id}/container`, nodeRuntime({ threads: 1 }));
  const served = await sharp(Buffer.from(await (await fetch(`${place}/7`)).arrayBuffer())).raw().toBuffer();
  assert.deepEqual(new Uint8Array(served), (await decoder.frame(7)).data, 'the picture is the decoder’s own, to the bit');
  await decoder.release();
  assert.equal((await errorOf(await fetch(`${place}/24`))).code, 'frame_not_found');
  assert.deepEqual((await errorOf(await fetch(`${place}/0?width=3000`))).param, 'width');
});

test('an uploaded container can be asked about at once; one of another pack is refused by name', async () => {
  const bytes = new Uint8Array(await (await fetch(`${server.url}/v1/videos/${ready.id}/container`)).arrayBuffer());
  const id = await upload(server.url, bytes, 'shared.linr');
  const video = await untilVideo(server.url, id, ({ state }) => state === 'ready');
  assert.deepEqual([video.askable, video.encoded_frames, video.source_bytes], [true, 24, clip.length]);
  const socket = await TestSocket.open(server.url);
  const other = await TestSocket.open(server.url);
  const original = await socket.ask('What do you see?', ready.id);
  assert.equal((await other.ask('What do you see?', id)).text, original.text);
  await socket.close();
  await other.close();

  const container = readContainer(bytes);
  const foreign = writeContainer({ ...container, meta: { ...container.meta, pack: { id: 'other-pack', feature_space: 'other-space' } } });
  const refused = await untilVideo(server.url, await upload(server.url, foreign, 'foreign.linr'), ({ state }) => state === 'failed');
  assert.equal(refused.error?.code, 'pack_mismatch');
  assert.match(refused.error.message, /other-pack/);
});

test('deleting a video that is being encoded ends its process and leaves nothing', { skip: process.platform !== 'linux' && 'needs /proc' }, async () => {
  const created = await createUpload(server.url, { length: clip.length, name: 'doomed.mp4' });
  const id = created.headers.get('location')?.split('/').pop() ?? '';
  await sendBytes(server.url, id, 0, clip);
  await untilVideo(server.url, id, (video) => video.progress !== null);
  assert.equal(server.children().length, 1);
  assert.equal((await fetch(`${server.url}/v1/videos/${id}`, { method: 'DELETE' })).status, 204);
  assert.deepEqual(server.children(), []);
  assert.ok(!(await readdir(path.join(folder.path, 'videos'))).includes(id));
  const question = await errorOf(await post({ messages: about(id, 'What is it?') }));
  assert.deepEqual([question.status, question.code], [404, 'video_not_found']);
  assert.equal((await getVideo(server.url, ready.id)).state, 'ready');
});
