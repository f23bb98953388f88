/** The realtime socket without a model: refusals, conversations, subscriptions, and readers that do not read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { Video } from '../../server/api/schemas.js';
import { defaultLimits } from '../../server/config.js';
import { newId } from '../../server/ids.js';
import { startServer, type RunningServer } from '../../server/index.js';
import { Outbox } from '../../server/realtime/outbox.js';
import { Tap } from '../../server/realtime/tap.js';
import type { ServerEvent } from '../../server/realtime/protocol.js';
import { untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { upload } from '../helpers/tus.js';
import { eventually } from '../helpers/eventually.js';

let folder: TestFolder;
let server: RunningServer;
const limits = { messageBytes: 200_000, messageHardBytes: 1_000_000, eventsPerSecond: 20, eventsBurst: 60, conversationsPerSocket: 3 };
const options = () => ({ port: 0, dataDir: path.join(folder.path, 'data'), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' as const, limits });

before(async () => {
  folder = await TestFolder.make();
  server = await startServer(options());
});
after(async () => {
  await server.close();
  await folder.remove();
});

test('a socket begins with its session and an empty conversation', async () => {
  const socket = await TestSocket.open(server.url);
  const { session, conversation, event_id } = await socket.next('session.created');
  assert.match(session.id, /^sess_/);
  assert.deepEqual([conversation.items, conversation.response], [[], null]);
  assert.match(event_id, /^event_/);
  socket.send({ type: 'session.update', session: { instructions: 'Be brief.', temperature: 0.5 } });
  const updated = (await socket.next('session.updated')).session;
  assert.deepEqual([updated.instructions, updated.temperature, updated.id], ['Be brief.', 0.5, session.id]);
  await socket.close();
});

const long = 'why '.repeat(25_000);
const nobody = newId('vid');
const refusals: readonly (readonly [string, string | Buffer, string])[] = [
  ['no JSON', '{"type":', 'invalid_json'],
  ['a binary frame', Buffer.from('{"type":"conversation.create"}'), 'invalid_json'],
  ['a message above the limit', JSON.stringify({ type: 'session.update', session: { instructions: 'x'.repeat(300_000) } }), 'message_too_large'],
  ['a list', '[]', 'invalid_request'],
  ['an unknown event', '{"type":"input_audio_buffer.append"}', 'unknown_event'],
  ['an unknown field', '{"type":"response.create","tools":[]}', 'unsupported_parameter'],
  ['a question with no text', '{"type":"conversation.item.create","item":{"role":"user","content":[{"type":"input_text","text":" \\n"}]}}', 'empty_question'],
  ['a question of 100,000 characters', JSON.stringify({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: long }] } }), 'question_too_long'],
  ['instructions of 100,000 characters', JSON.stringify({ type: 'session.update', session: { instructions: long } }), 'question_too_long'],
  ['an answer of no tokens', '{"type":"session.update","session":{"max_output_tokens":0}}', 'invalid_request'],
  ['an unknown video', JSON.stringify({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_video', video_id: nobody }] } }), 'video_not_found'],
  ['an unknown video by address', JSON.stringify({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_video', video: `video://${nobody}` }] } }), 'video_not_found'],
  ['a remote video', JSON.stringify({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_video', video: 'https://example.com/a.mp4' }] } }), 'unsupported_video_url'],
  ['a video part without a video', '{"type":"conversation.item.create","item":{"role":"user","content":[{"type":"input_video"}]}}', 'invalid_request'],
  ['an answer to nothing', '{"type":"response.create"}', 'empty_question'],
  ['cancelling nothing', '{"type":"response.cancel"}', 'response_not_found'],
  ['an unknown conversation', '{"type":"response.create","conversation":"conv_1"}', 'conversation_not_found'],
  ['deleting an unknown item', '{"type":"conversation.item.delete","item_id":"item_1"}', 'item_not_found'],
  ['following an unknown video', JSON.stringify({ type: 'video.subscribe', video_id: nobody }), 'video_not_found'],
];

for (const [name, message, code] of refusals) {
  test(`${name} is refused with ${code}, and the socket goes on`, async () => {
    const socket = await TestSocket.open(server.url);
    socket.sendRaw(message);
    const { error } = await socket.next('error');
    assert.equal(error.code, code, error.message);
    assert.deepEqual(Object.keys(error), ['code', 'message', 'type', 'param', 'event_id']);
    socket.send({ type: 'session.update', session: {} });
    await socket.next('session.updated');
    await socket.close();
  });
}

test('what OpenAI\'s clients set, without effect here, is taken; null is as if it was left out', async () => {
  const socket = await TestSocket.open(server.url, '', { headers: { 'OpenAI-Beta': 'realtime=v1' } });
  const session = {
    type: 'realtime', instructions: 'Be brief.', output_modalities: ['text'], modalities: ['text'], max_output_tokens: 'inf', tools: [], tool_choice: 'auto', tracing: null,
    audio: { input: { turn_detection: null } }, voice: 'alloy', turn_detection: { type: 'server_vad' }, input_audio_format: 'pcm16', truncation: 'auto', prompt: null, seed: null,
  };
  socket.sendRaw(JSON.stringify({ type: 'session.update', session }));
  const updated = (await socket.next('session.updated')).session;
  assert.deepEqual([updated.type, updated.output_modalities, updated.max_output_tokens, updated.instructions], ['realtime', ['text'], defaultLimits.answerTokens, 'Be brief.']);
  socket.sendRaw(JSON.stringify({ type: 'session.update', session: { max_response_output_tokens: 7 } }));
  assert.equal((await socket.next('session.updated')).session.max_output_tokens, 7);
  socket.sendRaw(JSON.stringify({ type: 'session.update', session: { max_output_tokens: 100_000 } }));
  assert.equal((await socket.next('session.updated')).session.max_output_tokens, defaultLimits.answerTokens);
  socket.sendRaw(JSON.stringify({ type: 'conversation.item.create', previous_item_id: null, item: { type: 'message', object: 'realtime.item', status: 'completed', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] } }));
  const { item } = await socket.next('conversation.item.added');
  assert.deepEqual((await socket.next('conversation.item.done')).item, item);
  socket.sendRaw(JSON.stringify({ type: 'conversation.item.create', previous_item_id: item.id, item: { role: 'user', content: [{ type: 'input_text', text: 'You' }] } }));
  assert.equal((await socket.next('conversation.item.added')).previous_item_id, item.id);
  await socket.close();
});

const content = [{ type: 'input_text', text: 'Hi' }];
for (const [name, event, param, sentence] of [
  ['a photo as a part', { type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_image', image_url: 'data:,x' }] } }, 'item.content[0]', /is of type "input_image"; it must be one of input_text, output_text, text, input_video/],
  ['sound as a part', { type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_audio', audio: 'AAAA' }] } }, 'item.content[0]', /is of type "input_audio"; it must be one of/],
  ['a place in the middle', { type: 'conversation.item.create', previous_item_id: 'item_1', item: { role: 'user', content } }, 'previous_item_id', /messages are added at the end/],
  ['a name for a message', { type: 'conversation.item.create', item: { id: 'mine', role: 'user', content } }, 'item.id', /the server names messages/],
  ['sound as the answer', { type: 'session.update', session: { output_modalities: ['audio'] } }, 'session.output_modalities', /writes text only/],
  ['tools', { type: 'session.update', session: { tools: [{ type: 'function', name: 'look' }] } }, 'session.tools', /calls no tools/],
  ['an answer beside the conversation', { type: 'response.create', response: { conversation: 'none' } }, 'response.conversation', /must be "auto"/],
  ['messages in response.create', { type: 'response.create', response: { input: [] } }, 'response.input', /conversation\.item\.create/],
] as const) {
  test(`${name} is refused in plain words that name the field`, async () => {
    const socket = await TestSocket.open(server.url);
    socket.sendRaw(JSON.stringify(event));
    const { error } = await socket.next('error');
    assert.equal(error.param, param, error.message);
    assert.match(error.message, sentence);
    await socket.close();
  });
}

test('an error names the client event that led to it', async () => {
  const socket = await TestSocket.open(server.url);
  socket.sendRaw('{"type":"response.create","event_id":"mine","x":1}');
  assert.equal((await socket.next('error')).error.event_id, 'mine');
  await socket.close();
});

test('a message far above the limit closes the socket with 1009 and nobody else', async () => {
  const [victim, other] = await Promise.all([TestSocket.open(server.url), TestSocket.open(server.url)]);
  victim.sendRaw('x'.repeat(2_000_000));
  assert.equal(await victim.closed, 1009);
  other.send({ type: 'session.update', session: {} });
  await other.next('session.updated');
  await other.close();
});

test('without a model a response is refused in words', async () => {
  const socket = await TestSocket.open(server.url);
  const status = async (): Promise<string> => ((await (await fetch(`${server.url}/health`)).json()) as { model: { status: string } }).model.status;
  await eventually(status, (seen) => seen === 'failed', 'the model to fail');
  socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Hello?' }] } });
  await socket.next('conversation.item.added');
  socket.send({ type: 'response.create' });
  assert.equal(await socket.errorCode(), 'model_unavailable');
  await socket.close();
});

test('messages are stored, a later socket finds them, and two sockets hear of one conversation', async () => {
  const first = await TestSocket.open(server.url);
  const { conversation } = await first.next('session.created');
  first.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Remember me' }] } });
  const { item } = await first.next('conversation.item.added');
  await first.close();
  const second = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
  assert.deepEqual((await second.next('session.created')).conversation.items, [item]);
  const third = await TestSocket.open(server.url);
  third.send({ type: 'conversation.retrieve', conversation: conversation.id });
  assert.deepEqual((await third.next('conversation.retrieved')).conversation.items, [item]);
  third.send({ type: 'conversation.item.delete', conversation: conversation.id, item_id: item.id });
  assert.equal((await second.next('conversation.item.deleted')).item_id, item.id);
  await second.close();
  await third.close();
});

test('an unknown conversation in the address gives a new one and says so', async () => {
  const socket = await TestSocket.open(server.url, '?conversation=conv_gone');
  assert.deepEqual((await socket.next('session.created')).conversation.items, []);
  assert.equal(await socket.errorCode(), 'conversation_not_found');
  await socket.close();
});

test('one socket holds several conversations, up to a limit', async () => {
  const socket = await TestSocket.open(server.url);
  const { conversation: own } = await socket.next('session.created');
  socket.send({ type: 'conversation.create' });
  const { conversation: other } = await socket.next('conversation.created');
  assert.notEqual(own.id, other.id);
  socket.send({ type: 'conversation.item.create', conversation: other.id, item: { role: 'user', content: [{ type: 'text', text: 'Hi' }] } });
  assert.equal((await socket.next('conversation.item.added')).conversation, other.id);
  socket.send({ type: 'conversation.create' });
  await socket.next('conversation.created');
  socket.send({ type: 'conversation.create' });
  assert.equal(await socket.errorCode(), 'too_many_conversations');
  await socket.close();
});

test('sockets hear of every video, or of those they name', async () => {
  const [all, named] = await Promise.all([TestSocket.open(server.url), TestSocket.open(server.url)]);
  const settled = (video: Video): boolean => video.state === 'failed';
  const before = await upload(server.url, Buffer.from('not a film'), 'before.mp4');
  await untilVideo(server.url, before, settled);
  named.send({ type: 'video.subscribe', video_id: before });
  await named.next('video.subscribed');
  assert.equal((await named.next('video.progress')).video.id, before);
  const id = await upload(server.url, Buffer.from('not a film either'), 'after.mp4');
  await untilVideo(server.url, id, settled);
  await fetch(`${server.url}/v1/videos/${id}`, { method: 'DELETE' });
  assert.equal((await all.next('video.deleted')).video_id, id);
  const heard = all.events.flatMap((event) => (event.type === 'video.progress' && event.video.id === id ? [event.video.state] : []));
  assert.deepEqual([heard[0], heard.at(-1)], ['reading', 'failed']);
  assert.ok(!named.events.some((event) => event.type === 'video.progress' && event.video.id === id));
  await all.close();
  await named.close();
});

test('far too many events are refused, then the socket is closed, and others are served', async () => {
  const socket = await TestSocket.open(server.url);
  for (let index = 0; index < 3000; index++) socket.sendRaw('{"type":"nothing"}');
  assert.equal(await socket.closed, 4029);
  assert.ok(socket.events.some((event) => event.type === 'error' && event.error.code === 'rate_limited'));
  assert.ok(socket.events.length < 200, `${socket.events.length} events`);
  const other = await TestSocket.open(server.url);
  await other.next('session.created');
  await other.close();
});

test('a page of another origin gets no socket', async () => {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/realtime`, { origin: 'https://evil.example' });
  const [error] = (await once(socket, 'error')) as [Error];
  assert.match(error.message, /403/);
});

/** A socket pair whose client does not read until told to, and an outbox on the server's side of it. */
async function slowPair(context: TestContext, bufferedBytes: number, slowReader_s: number): Promise<{ outbox: Outbox; client: WebSocket; serverSide: WebSocket; events: ServerEvent[] }> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const connected = once(sockets, 'connection');
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  const events: ServerEvent[] = [];
  client.on('message', (data) => events.push(JSON.parse(String(data)) as ServerEvent));
  client.on('error', () => undefined);
  const [serverSide] = (await connected) as [WebSocket];
  await once(client, 'open');
  client.pause();
  const outbox = new Outbox(serverSide, new Tap(serverSide), { ...defaultLimits, bufferedBytes, slowReader_s }, 'event_test');
  context.after(() => {
    client.terminate();
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    http.close();
  });
  return { outbox, client, serverSide, events };
}

const delta = (text: string) => ({ type: 'response.output_text.delta', response_id: 'r', conversation: 'c', item_id: 'i', output_index: 0, content_index: 0, delta: text }) as const;

test('for a slow reader text is joined and progress replaced, so memory stays small and nothing is lost', async (context) => {
  const { outbox, client, serverSide, events } = await slowPair(context, 64 * 1024, 60);
  const piece = 'x'.repeat(1000);
  const pieces = 20_000;
  for (let index = 0; index < pieces; index++) {
    outbox.send(delta(piece));
    outbox.send({ type: 'video.progress', video: { id: 'v', created: index } as Video });
    if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  outbox.send({ ...delta(''), type: 'response.output_text.done', text: 'end' });
  assert.ok(serverSide.bufferedAmount < 4 * 64 * 1024, `${serverSide.bufferedAmount} bytes wait in the socket`);
  assert.ok(serverSide.isPaused, 'a client that does not read cannot ask for more');
  client.resume();
  await eventually(() => events.at(-1)?.type, (type) => type === 'response.output_text.done', 'the last event');
  const text = events.reduce((length, event) => length + (event.type === 'response.output_text.delta' ? event.delta.length : 0), 0);
  assert.equal(text, pieces * piece.length);
  assert.equal(events.at(-1)?.type, 'response.output_text.done');
  const progress = events.filter((event) => event.type === 'video.progress');
  assert.ok(progress.length < pieces / 3, `${progress.length} progress events`);
  assert.equal(progress.at(-1)?.video.created, pieces - 1);
  assert.ok(!serverSide.isPaused);
});

test('a reader that never reads is let go', async (context) => {
  const { outbox, serverSide } = await slowPair(context, 16 * 1024, 0.2);
  const closed = once(serverSide, 'close');
  for (let index = 0; index < 4000; index++) outbox.send({ ...delta('x'.repeat(5000)), response_id: `r${index % 20}` });
  await closed;
  assert.equal(serverSide.readyState, WebSocket.CLOSED);
});
