/** What connections may take: bodies are counted before they are read, what stalls or may not ask is ended, upgrades are answered for what they are. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import Fastify from 'fastify';
import { WebSocket } from 'ws';
import { BodyRoom } from '../../server/access/bodies.js';
import { KeyFile } from '../../server/access/keys.js';
import type { App } from '../../server/api/typed.js';
import { defaultLimits } from '../../server/config.js';
import { startServer, type RunningServer, type ServerOptions } from '../../server/index.js';
import { bodies } from '../../server/plugins/bodies.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { createUpload, uploadOffset } from '../helpers/tus.js';

const KiB = 1024;
let folder: TestFolder;
let server: RunningServer;
let keyed: RunningServer;
let secret: string;

const limits = { smallBodyBytes: 4 * KiB, bodiesBytes: 1500 * KiB, bodiesBytesPerClient: 1000 * KiB, body_s: 1.2, bodyIdle_s: 0.6, socketsPerKey: 2, messageHardBytes: 300 * KiB, unfinishedBytes: 500 * KiB };
const options = (name: string): ServerOptions => ({ port: 0, dataDir: path.join(folder.path, name), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent', limits });

before(async () => {
  folder = await TestFolder.make();
  secret = (await new KeyFile(path.join(folder.path, 'keyed')).add({ name: 'tests' })).secret;
  server = await startServer(options('open'));
  keyed = await startServer(options('keyed'));
});
after(async () => {
  await server.close();
  await keyed.close();
  await folder.remove();
});

/** A bare connection that has sent `text`; `answer` is all it gets until the server ends it. */
async function connection(to: RunningServer, text: string): Promise<{ socket: Socket; answer: Promise<string>; soFar: () => string }> {
  const { hostname, port } = new URL(to.url);
  const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  let received = '';
  socket.on('data', (data: Buffer) => (received += data.toString('latin1')));
  socket.on('error', () => undefined);
  const answer = Promise.race([once(socket, 'end'), once(socket, 'close')]).then(() => received);
  await once(socket, 'connect');
  socket.write(text);
  return { socket, answer, soFar: () => received };
}

const head = (to: RunningServer, first: string, ...headers: string[]): string => [first, `Host: ${new URL(to.url).host}`, ...headers, '', ''].join('\r\n');
const chatHead = (to: RunningServer, ...headers: string[]): string => head(to, 'POST /v1/chat/completions HTTP/1.1', 'Content-Type: application/json', ...headers);

/** Sends a byte now and then, as long as the connection is there. */
function dribble(socket: Socket): void {
  const timer = setInterval(() => socket.write(' '), 100);
  socket.once('close', () => clearInterval(timer));
}

test('a client without a key gets its 401 and loses its connection, though it goes on sending', async () => {
  const { socket, answer } = await connection(keyed, chatHead(keyed, 'Content-Length: 1000000'));
  dribble(socket);
  assert.match(await answer, /^HTTP\/1\.1 401 .*connection: close.*missing_key/is);
  // Errors of its writes are expected.
  while (!socket.closed) await new Promise((resolve) => setTimeout(resolve, 20));
});

test('a page of another origin loses its connection too', async () => {
  const { socket, answer } = await connection(server, head(server, 'GET /v1/videos HTTP/1.1', 'Origin: https://evil.example'));
  assert.match(await answer, /^HTTP\/1\.1 403 .*connection: close.*forbidden_origin/is);
  socket.destroy();
});

test('a body that stops coming, and one that never ends, are answered with 408 and their connections closed', async () => {
  const stalled = await connection(server, `${chatHead(server, 'Content-Length: 1000')}{`);
  assert.match(await stalled.answer, /^HTTP\/1\.1 408 .*connection: close.*request_timeout/is);
  const endless = await connection(server, `${chatHead(server, 'Content-Length: 1000')}{`);
  dribble(endless.socket);
  assert.match(await endless.answer, /^HTTP\/1\.1 408 .*request_timeout/is);
  for (const { socket } of [stalled, endless]) socket.destroy();
});

test('an upload may take long, but not stall: its connection ends, and what came is kept', async () => {
  const created = await createUpload(server.url, { length: 1000 });
  const id = (created.headers.get('location') ?? '').split('/').pop() ?? '';
  const headers = ['Tus-Resumable: 1.0.0', 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream', 'Content-Length: 1000'];
  const { socket, answer } = await connection(server, head(server, `PATCH /v1/uploads/${id} HTTP/1.1`, ...headers));
  // Longer than any other body may take.
  for (let sent = 0; sent < 20; sent++) {
    socket.write('x');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(socket.destroyed || socket.readableEnded, false, `it was ended after ${sent} bytes`);
  }
  await answer;
  assert.equal(await uploadOffset(server.url, id), 20);
  socket.destroy();
});

test('the bodies of a client are counted before they are read: what finds no room is refused at once, and told when to come again', async () => {
  const first = await connection(server, `${chatHead(server, `Content-Length: ${800 * KiB}`)}{`);
  const second = await connection(server, chatHead(server, `Content-Length: ${800 * KiB}`));
  assert.match(await second.answer, /^HTTP\/1\.1 429 (?=.*retry-after: \d)(?=.*connection: close).*too_many_bodies/is);
  // A client that sends all before it reads has its answer too.
  const refused = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'x'.repeat(800 * KiB) });
  assert.deepEqual([(await errorOf(refused)).code, Number(refused.headers.get('retry-after')) > 0], ['too_many_bodies', true]);
  // A small one needs no room.
  assert.notEqual((await fetch(`${server.url}/v1/search`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"a dog"}' })).status, 429);
  first.socket.destroy();
  const free = async (): Promise<boolean> => (await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"x":"${'x'.repeat(800 * KiB)}"}` })).status === 400;
  while (!(await free()));
});

test('a body without a length takes its room as it comes', async () => {
  const first = await connection(server, `${chatHead(server, `Content-Length: ${800 * KiB}`)}{`);
  const chunked = await connection(server, chatHead(server, 'Transfer-Encoding: chunked'));
  const piece = 'x'.repeat(64 * KiB);
  for (let sent = 0; sent < 4; sent++) chunked.socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  assert.match(await chunked.answer, /^HTTP\/1\.1 429 .*too_many_bodies/is);
  for (const { socket } of [first, chunked]) socket.destroy();
});

test('what is above the limit of its route is refused by its length alone', async () => {
  const { socket, answer } = await connection(server, chatHead(server, 'Content-Length: 900000000'));
  assert.match(await answer, /^HTTP\/1\.1 413 .*connection: close.*body_too_large/is);
  socket.destroy();
});

test('a request that the server makes to itself is not ended for its body, which has come whole', async () => {
  const app = Fastify() as unknown as App;
  bodies(app, { ...defaultLimits, bodyIdle_s: 0.05, body_s: 0.05 });
  app.post('/', async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return 'late';
  });
  const answer = await app.inject({ method: 'POST', url: '/', payload: { a: 1 } });
  assert.deepEqual([answer.statusCode, answer.body], [200, 'late']);
  await app.close();
});

test('bodies have room in all and for each client, and give it back', () => {
  const room = new BodyRoom({ bodiesBytes: 10, bodiesBytesPerClient: 6 });
  const [a, b, other] = [room.place('ann'), room.place('ann'), room.place('bob')];
  a.grow(4);
  a.grow(5);
  assert.throws(() => b.grow(2), { code: 'too_many_bodies' });
  other.grow(5);
  assert.throws(() => room.place('cid').grow(1), { code: 'too_many_bodies' });
  a.free();
  a.free();
  b.grow(5);
});

test('a socket is refused before its handshake wherever there is none', async () => {
  for (const [place, status] of [['/', 400], ['/v1/videos', 400], ['/v1/nothing', 404]] as const) {
    const [error] = (await once(new WebSocket(server.url.replace('http', 'ws') + place), 'error')) as [Error];
    assert.match(error.message, new RegExp(String(status)), place);
  }
});

const java = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA'];

test('a client that would rather speak HTTP/2 is answered by HTTP/1.1, on one connection, with a body or without', async () => {
  const { socket, soFar } = await connection(server, head(server, 'GET /health HTTP/1.1', ...java));
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(soFar())) await once(socket, 'data');
  };
  await until(/^HTTP\/1\.1 200 .*"status":"ok"/is);
  const body = JSON.stringify({ messages: [] });
  // The body comes after the head, as it does over a network.
  socket.write(chatHead(server, ...java, `Content-Length: ${body.length}`) + body.slice(0, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.write(body.slice(5));
  await until(/HTTP\/1\.1 400 .*"param":"messages"/is);
  socket.destroy();
});

test('a key has no more than its number of sockets, and a closed one makes room', async () => {
  const open = async (): Promise<[WebSocket, Promise<[number]>]> => {
    const socket = new WebSocket(`${keyed.url.replace('http', 'ws')}/v1/realtime`, { headers: { authorization: `Bearer ${secret}` } });
    const closed = once(socket, 'close') as Promise<[number]>;
    await once(socket, 'open');
    return [socket, closed];
  };
  const sockets = [await open(), await open()];
  assert.equal((await (await open())[1])[0], 1013);
  sockets[0]?.[0].close();
  await sockets[0]?.[1];
  const again = await open();
  again[0].send('{"type":"session.update","session":{}}');
  await once(again[0], 'message');
  for (const [socket] of [...sockets, again]) socket.terminate();
});

test('when sockets hold too much of unfinished messages together, the one with most is closed and the others stay', async () => {
  const url = `${server.url.replace('http', 'ws')}/v1/realtime`;
  const [greedy, modest, last] = [new WebSocket(url), new WebSocket(url), new WebSocket(url)];
  await Promise.all([greedy, modest, last].map((socket) => once(socket, 'message')));
  const closed = once(greedy, 'close');
  greedy.send('x'.repeat(280 * KiB), { fin: false });
  modest.send('x'.repeat(100 * KiB), { fin: false });
  await new Promise((resolve) => setTimeout(resolve, 100));
  last.send('x'.repeat(150 * KiB), { fin: false });
  assert.ok([1006, 1013].includes(((await closed) as [number])[0]));
  const answered = once(modest, 'message');
  modest.send('x', { fin: true });
  assert.match(String((await answered)[0]), /invalid_json|message_too_large/);
  for (const socket of [modest, last]) socket.terminate();
});
