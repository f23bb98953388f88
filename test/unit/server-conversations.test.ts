/** Stored conversations: what they may take, and how they are read, removed and grow old. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { KeyFile } from '../../server/access/keys.js';
import { startServer, type RunningServer, type ServerOptions } from '../../server/index.js';
import { newId } from '../../server/ids.js';
import { Inbox } from '../../server/realtime/inbox.js';
import type { ClientEvent, Item } from '../../server/realtime/protocol.js';
import { Tap } from '../../server/realtime/tap.js';
import { Conversations } from '../../server/store/conversations.js';
import { Store } from '../../server/store/database.js';
import { PacedWrites } from '../../server/store/paced.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';

let folder: TestFolder;
let server: RunningServer;
let keyed: RunningServer;
let secrets: string[];

const limits = { questionChars: 100, conversationBytes: 1000, conversationBytesPerKey: 1500, conversationsPerKey: 3 };
const options = (name: string): ServerOptions => ({ port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' });
const bearer = (key: string): { authorization: string } => ({ authorization: `Bearer ${key}` });

before(async () => {
  folder = await TestFolder.make();
  const keys = new KeyFile(path.join(folder.path, 'keyed'));
  secrets = [(await keys.add({ name: 'ann' })).secret, (await keys.add({ name: 'bob' })).secret];
  server = await startServer({ ...options('open'), limits: { questionChars: 100 } });
  keyed = await startServer({ ...options('keyed'), limits });
});
after(async () => {
  await server.close();
  await keyed.close();
  await folder.remove();
});

const say = (...texts: string[]): ClientEvent => ({ type: 'conversation.item.create', item: { role: 'user', content: texts.map((text) => ({ type: 'input_text', text })) } });

/** A socket with one message stored; gives its conversation too. */
async function begun(to: RunningServer, text = 'Hello.', headers: Record<string, string> = {}): Promise<{ socket: TestSocket; id: string }> {
  const socket = await TestSocket.open(to.url, '', { headers });
  const { conversation } = await socket.next('session.created');
  socket.send(say(text));
  await socket.next('conversation.item.added');
  return { socket, id: conversation.id };
}

test('the text of a message is limited in sum over its parts', async () => {
  const socket = await TestSocket.open(server.url);
  socket.send(say('x'.repeat(60), 'y'.repeat(60)));
  const { error } = await socket.next('error');
  assert.deepEqual([error.code, error.param], ['question_too_long', 'item.content']);
  socket.send(say('x'.repeat(50), 'y'.repeat(50)));
  await socket.next('conversation.item.added');
  await socket.close();
});

test('a conversation has room for so many bytes, and has it again when a message is deleted', async () => {
  const { socket } = await begun(keyed, 'x'.repeat(100), bearer(secrets[0] ?? ''));
  let last = '';
  for (;;) {
    socket.send(say('x'.repeat(100)));
    const event = await socket.nextOf(['conversation.item.added', 'error']);
    if (event.type === 'conversation.item.added') last = event.item.id;
    else {
      assert.ok(event.type === 'error' && event.error.code === 'conversation_full', JSON.stringify(event));
      break;
    }
  }
  socket.send({ type: 'conversation.item.delete', item_id: last });
  await socket.next('conversation.item.deleted');
  socket.send(say('x'.repeat(100)));
  await socket.next('conversation.item.added');
  await socket.close();
});

test('a key has room for so many conversations, and for so many bytes of them; another key has its own', async () => {
  const key = bearer(secrets[1] ?? '');
  const sockets = [await begun(keyed, 'one', key), await begun(keyed, 'two', key), await begun(keyed, 'three', key)];
  const fourth = await TestSocket.open(keyed.url, '', { headers: key });
  fourth.send(say('four'));
  assert.equal(await fourth.errorCode(), 'conversation_quota');
  const [first] = sockets;
  assert.equal((await fetch(`${keyed.url}/v1/conversations/${first?.id}`, { method: 'DELETE', headers: key })).status, 200);
  fourth.send(say('four'));
  await fourth.next('conversation.item.added');
  for (let index = 0, refused = ''; refused !== 'conversation_quota'; index++) {
    const { socket } = sockets[1 + (index % 2)] as (typeof sockets)[number];
    socket.send(say('x'.repeat(100)));
    const event = await socket.nextOf(['conversation.item.added', 'error']);
    refused = event.type === 'error' ? event.error.code : '';
    assert.ok(index < 100 && ['', 'conversation_quota'].includes(refused), refused);
  }
  for (const { socket } of [...sockets, { socket: fourth }]) await socket.close();
});

test('OpenAI\'s client reads and removes conversations', async () => {
  const { socket, id } = await begun(server, 'What is this?');
  socket.send(say('And that?'));
  await socket.next('conversation.item.added');
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none' });
  const found = await client.conversations.retrieve(id);
  assert.deepEqual([found.id, found.object, found.metadata], [id, 'conversation', {}]);
  const texts: string[] = [];
  for await (const item of client.conversations.items.list(id, { order: 'asc', limit: 1 })) texts.push(JSON.stringify(item));
  assert.deepEqual(texts.map((text) => /What is this\?|And that\?/.exec(text)?.[0]), ['What is this?', 'And that?']);
  const listed = (await (await fetch(`${server.url}/v1/conversations`)).json()) as { data: { id: string; messages: number }[] };
  assert.equal(listed.data.find((entry) => entry.id === id)?.messages, 2);
  assert.deepEqual(await client.conversations.delete(id), { id, object: 'conversation.deleted', deleted: true });
  await assert.rejects(client.conversations.retrieve(id), { status: 404 });
  // Who looks at it is told, and can add nothing.
  assert.equal((await socket.next('conversation.deleted')).conversation, id);
  socket.send(say('Still there?'));
  assert.equal(await socket.errorCode(), 'conversation_not_found');
  assert.equal((await fetch(`${server.url}/v1/conversations/${id}`)).status, 404);
  await socket.close();
});

test('a key lists, reads and removes its own conversations only', async () => {
  const { socket, id } = await begun(keyed, 'A secret.', bearer(secrets[0] ?? ''));
  const [hers, his] = secrets.map(bearer);
  const listed = async (headers = {}): Promise<string> => JSON.stringify(await (await fetch(`${keyed.url}/v1/conversations?limit=100`, { headers })).json());
  assert.ok((await listed(hers)).includes(id) && !(await listed(his)).includes(id));
  for (const [method, rest] of [['GET', ''], ['GET', '/items'], ['DELETE', '']] as const) {
    const foreign = await errorOf(await fetch(`${keyed.url}/v1/conversations/${id}${rest}`, { method, headers: his ?? {} }));
    assert.deepEqual([foreign.status, foreign.code], [404, 'conversation_not_found']);
  }
  await socket.close();
});

test('below the reserve of free space no message is taken', async () => {
  const full = await startServer({ ...options('full'), limits: { freeBytes: 2 ** 60 } });
  try {
    const socket = await TestSocket.open(full.url);
    socket.send(say('Hello.'));
    assert.equal(await socket.errorCode(), 'disk_full');
    await socket.close();
  } finally {
    await full.close();
  }
});

test('a conversation grows old while the server runs, and young with each message', () => {
  const store = Store.open(path.join(folder.path, 'ages.db'));
  const conversations = new Conversations(store);
  const [kept, left] = [{ id: newId('conv'), owner: null }, { id: newId('conv'), owner: null }];
  const item = (): Item => ({ id: newId('item'), object: 'realtime.item', type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'x' }] });
  for (const conversation of [kept, left]) conversations.addItem(conversation, item());
  conversations.age(10);
  conversations.addItem(kept, item());
  conversations.age(5);
  assert.deepEqual([conversations.find(kept.id)?.idle_s, conversations.find(left.id)?.idle_s], [5, 15]);
  assert.deepEqual([conversations.find(kept.id)?.messages, conversations.owned(null).conversations], [2, 2]);
  conversations.remove(left.id);
  assert.deepEqual(conversations.items(left.id), []);
  store.close();
});

test('slow writes take a quarter of the time at most, clients in turn, and one that fails holds up no other', async () => {
  let now = 0;
  const pauses: number[] = [];
  const after = (pause_ms: number, work: () => void): void => {
    pauses.push(pause_ms);
    setImmediate(work);
  };
  const paced = new PacedWrites({ clock: () => now, after });
  const order: string[] = [];
  const write = (client: string, name: string): Promise<void> => paced.run(client, () => {
    now += 10;
    order.push(name);
    if (name === 'a2') throw new Error('no');
  });
  const all = await Promise.allSettled([write('a', 'a1'), write('a', 'a2'), write('a', 'a3'), write('b', 'b1')]);
  assert.deepEqual(order, ['a1', 'a2', 'b1', 'a3']);
  assert.deepEqual(all.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  assert.deepEqual(pauses.slice(0, 3), [30, 30, 30]);
});

test('a socket is not read while its message is stored, and its events keep their order', async () => {
  const read: boolean[] = [];
  const socket = { pause: () => read.push(false), resume: () => read.push(true), close: () => undefined };
  const done: string[] = [];
  let finish = (): void => undefined;
  const inbox = new Inbox({
    socket: socket as never,
    tap: new Tap(socket),
    limits: { eventsPerSecond: 100, eventsBurst: 100, messageBytes: 1000 },
    admits: () => true,
    handle: (event) => {
      done.push(event.type);
      return event.type === 'conversation.item.create' ? new Promise((resolve) => (finish = resolve)) : undefined;
    },
    refuse: (error) => assert.fail(String(error)),
  });
  for (const event of [say('a'), { type: 'conversation.create' }, say('b')]) inbox.receive(Buffer.from(JSON.stringify(event)), false);
  assert.deepEqual([done, read], [['conversation.item.create'], [false]]);
  finish();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(done, ['conversation.item.create', 'conversation.create', 'conversation.item.create']);
  assert.deepEqual(read, [false, true, false]);
  finish();
});

test('a socket that is held for two reasons is read when both are gone', () => {
  const calls: string[] = [];
  const tap = new Tap({ pause: () => calls.push('pause'), resume: () => calls.push('resume') });
  tap.close('a');
  tap.close('b');
  tap.open('a');
  assert.deepEqual(calls, ['pause']);
  tap.open('b');
  tap.open('b');
  assert.deepEqual(calls, ['pause', 'resume']);
});
