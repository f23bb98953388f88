/** The realtime socket's documents and its behaviour under strain: AsyncAPI, idle and half-open sockets, floods. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Static } from 'typebox';
import { startServer, type RunningServer } from '../../server/index.js';
import { closeTable } from '../../server/realtime/asyncapi.js';
import { clientEvents, closeCodes } from '../../server/realtime/events.js';
import type { ServerEvent } from '../../server/realtime/protocol.js';
import { serverEvents } from '../../server/realtime/server-events.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';

type Mutable<T> = T extends readonly (infer E)[] ? Mutable<E>[] : T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Type = ServerEvent['type'];
/** Some members of the union stand for two types of event. */
type EventOf<T extends Type, Event = ServerEvent> = Event extends { readonly type: Type } ? (T extends Event['type'] ? Omit<Event, 'type'> : never) : never;
type Checked = { readonly [T in Type]: Same<Mutable<EventOf<T>>, Omit<Static<(typeof serverEvents)[T]>, 'type'>> };

/** Fails to compile where a schema says something else than protocol.ts. */
const sameAsProtocol: Checked = {
  'session.created': true,
  'session.updated': true,
  'conversation.created': true,
  'conversation.retrieved': true,
  'conversation.item.added': true,
  'conversation.item.done': true,
  'conversation.item.deleted': true,
  'conversation.deleted': true,
  'response.created': true,
  'response.queued': true,
  'response.output_item.added': true,
  'response.content_part.added': true,
  'response.output_text.delta': true,
  'response.output_text.done': true,
  'response.content_part.done': true,
  'response.output_item.done': true,
  'response.done': true,
  'video.progress': true,
  'video.deleted': true,
  'video.subscribed': true,
  'video.unsubscribed': true,
  error: true,
};

let folder: TestFolder;
let server: RunningServer;
const options = (name: string) => ({ port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' as const });

before(async () => {
  folder = await TestFolder.make();
  server = await startServer({ ...options('plain'), limits: { heartbeat_s: 0.2, idle_s: 1 } });
});
after(async () => {
  await server.close();
  await folder.remove();
});

test('the AsyncAPI document has every event of both sides, as the code checks them, and every close code', async () => {
  assert.deepEqual(Object.keys(sameAsProtocol), Object.keys(serverEvents));
  const document = (await (await fetch(`${server.url}/asyncapi.json`)).json()) as {
    asyncapi: string;
    info: { description: string };
    channels: { realtime: { address: string; messages: Record<string, { $ref: string }> } };
    operations: Record<'receive' | 'send', { action: string; messages: { $ref: string }[] }>;
    components: { messages: Record<string, { payload: object }> };
  };
  assert.equal(document.asyncapi, '3.0.0');
  const { messages } = document.components;
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  for (const [type, schema] of Object.entries({ ...clientEvents, ...serverEvents })) assert.deepEqual(messages[type]?.payload, plain(schema), type);
  const resolve = (reference: string): unknown => reference.replace('#/', '').split('/').reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], document);
  for (const [action, types] of [['receive', clientEvents], ['send', serverEvents]] as const) {
    const operation = document.operations[action];
    assert.equal(operation.action, action);
    assert.deepEqual(operation.messages.map(({ $ref }) => $ref.split('/').pop()), Object.keys(types));
    for (const { $ref } of operation.messages) assert.ok(resolve((resolve($ref) as { $ref: string }).$ref), $ref);
  }
  for (const code of [...Object.values(closeCodes), 1009]) {
    assert.ok(closeTable.some(([known, reason]) => known === code && reason.length > 10), String(code));
    assert.ok(document.info.description.includes(String(code)));
  }
});

test('a socket on which nothing is asked is closed with 4002, one that is used stays', async () => {
  const [idle, used] = await Promise.all([TestSocket.open(server.url), TestSocket.open(server.url)]);
  const using = setInterval(() => used.send({ type: 'session.update', session: {} }), 200);
  assert.equal(await idle.closed, closeCodes.idle);
  used.send({ type: 'conversation.create' });
  await used.next('conversation.created');
  clearInterval(using);
  await used.close();
});

test('a half-open socket, which answers no heartbeat, is closed with 4000', async () => {
  const patient = await startServer({ ...options('half-open'), limits: { heartbeat_s: 0.1 } });
  try {
    const gone = await TestSocket.open(patient.url, '', { autoPong: false });
    const there = await TestSocket.open(patient.url);
    const started = performance.now();
    // The server ends the connection without waiting for a handshake that would never come.
    const code = await gone.closed;
    assert.ok([closeCodes.noHeartbeat, 1006].includes(code as never), String(code));
    assert.ok(performance.now() - started < 3000);
    there.send({ type: 'conversation.create' });
    await there.next('conversation.created');
    await there.close();
  } finally {
    await patient.close();
  }
});

test('ten thousand events a second end their own socket only: others are answered meanwhile and memory stays', async (context) => {
  const flooded = await startServer(options('flooded'));
  context.after(() => flooded.close());
  const [flood, other] = await Promise.all([TestSocket.open(flooded.url), TestSocket.open(flooded.url)]);
  const memory = process.memoryUsage().rss;
  const started = performance.now();
  const event = JSON.stringify({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: 'x'.repeat(200) }] } });
  let slowest = 0;
  for (let sent = 0; sent < 10_000; sent++) {
    flood.sendRaw(event);
    if (sent % 1000 !== 0) continue;
    const asked = performance.now();
    other.send({ type: 'session.update', session: {} });
    await other.next('session.updated');
    slowest = Math.max(slowest, performance.now() - asked);
  }
  const seconds = (performance.now() - started) / 1000;
  assert.equal(await flood.closed, closeCodes.flooding);
  const grown = (process.memoryUsage().rss - memory) / 2 ** 20;
  context.diagnostic(`10,000 events in ${seconds.toFixed(2)} s; the other socket waited ${slowest.toFixed(0)} ms at most; ${grown.toFixed(0)} MiB more`);
  assert.ok(grown < 200, `${grown} MiB`);
  await other.close();
});
