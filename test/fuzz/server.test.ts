/** Every route and every event with values made from its schema: answers are of the documented shapes, and nothing breaks. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { InjectOptions } from 'fastify';
import { WebSocket } from 'ws';
import type { App } from '../../server/api/typed.js';
import { buildApp, errorTable, startServer, type RunningServer } from '../../server/index.js';
import { clientEvents } from '../../server/realtime/events.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers } from '../helpers/random.js';
import { TestSocket } from '../helpers/realtime.js';
import { fuzzed, pick, type FuzzSchema } from '../helpers/schema-fuzz.js';

const cases = Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 60);
const seed = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);
/** What a server without a model, or one that is told nonsense about space, may say beside refusals. */
const allowedFailures = new Set(['model_unavailable', 'model_loading']);

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: FuzzSchema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: FuzzSchema }>> };
}

let folder: TestFolder;
let app: App;
let server: RunningServer;

const options = (name: string) => ({
  dataDir: path.join(folder.path, name),
  packDir: path.join(folder.path, 'no-pack'),
  logLevel: 'silent' as const,
  limits: { arrival_s: 1, eventsPerSecond: 100_000, eventsBurst: 100_000 },
});

before(async () => {
  folder = await TestFolder.make();
  app = await buildApp(options('routes'));
  await app.ready();
  server = await startServer({ ...options('events'), port: 0 });
});
after(async () => {
  await app.close();
  await server.close();
  await folder.remove();
});

test('every route answers made-up requests with a success or an error of the table', async (context) => {
  const random = randomNumbers(seed);
  const paths = ((await app.inject('/openapi.json')).json() as { paths: Record<string, Record<string, Operation>> }).paths;
  const seen = new Map<string, number>();
  for (const [place, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      for (let count = 0; count < cases; count++) {
        const request = madeUp(place, method, operation, random);
        const answer = await app.inject(request);
        const told = `${method} ${String(request.url)} ${JSON.stringify(request.headers)} ${JSON.stringify(request.payload)?.slice(0, 600)} -> ${answer.statusCode} ${answer.body.slice(0, 300)}`;
        seen.set(`${method} ${answer.statusCode}`, (seen.get(`${method} ${answer.statusCode}`) ?? 0) + 1);
        if (answer.statusCode < 400 || method === 'head') continue;
        if (place === '/mcp' && 'jsonrpc' in (answer.json() as object)) {
          // What the protocol itself refuses is told in the protocol's own form.
          assert.ok(answer.statusCode < 500, told);
          continue;
        }
        const { error } = answer.json() as { error: { code: keyof typeof errorTable; message: string } };
        assert.ok(Object.hasOwn(errorTable, error.code), told);
        assert.equal(errorTable[error.code][0], answer.statusCode, told);
        assert.ok(answer.statusCode < 500 || allowedFailures.has(error.code), told);
        assert.doesNotMatch(error.message, /node_modules|\.js:\d|at .*\(|undefined|\[object/, told);
      }
    }
  }
  context.diagnostic([...seen].map(([kind, count]) => `${kind}: ${count}`).join(', '));
  assert.equal((await app.inject('/health')).statusCode, 200);
});

function madeUp(place: string, method: string, operation: Operation, random: ReturnType<typeof randomNumbers>): InjectOptions {
  const wildness = pick([0, 0.1, 0.4], random);
  const text = (schema: FuzzSchema): string => {
    const value = fuzzed(schema, random, wildness);
    return encodeURIComponent(typeof value === 'string' ? Buffer.from(value).toString() : JSON.stringify(value)).slice(0, 1000);
  };
  const query: string[] = [];
  let url = place;
  for (const { name, in: where, schema } of operation.parameters ?? []) {
    if (where === 'path') url = url.replace(`{${name}}`, text(schema) || 'x');
    if (where === 'query' && random.uniform() < 0.6) query.push(`${name}=${text(schema)}`);
  }
  url = url.replace(/\{\w+\}/g, () => text({ type: 'string' }) || 'x');
  if (random.uniform() < wildness) query.push('extra=1');
  const headers: Record<string, string> = {};
  if (place.startsWith('/v1/uploads')) {
    for (const [name, values] of Object.entries(tusHeaders)) if (random.uniform() < 0.8) headers[name] = pick(values, random);
  }
  for (const [name, values] of Object.entries(anyHeaders)) if (random.uniform() < 0.1) headers[name] = pick(values, random);
  const body = operation.requestBody?.content['application/json'];
  let payload: string | undefined;
  if (body) {
    headers['content-type'] = pick(['application/json', 'application/json', 'application/json', 'text/plain'], random);
    payload = JSON.stringify(fuzzed(body.schema, random, wildness));
    if (random.uniform() < wildness / 2) payload = payload.slice(0, payload.length / 2);
  } else if (method === 'post' || method === 'patch') payload = 'some bytes';
  return { url: query.length > 0 ? `${url}?${query.join('&')}` : url, method: method.toUpperCase() as 'GET', headers, ...(payload === undefined ? {} : { payload }) };
}

const tusHeaders: Readonly<Record<string, readonly string[]>> = {
  'tus-resumable': ['1.0.0', '1.0.0', '1.0.0', '0.2', ''],
  'upload-length': ['10', '0', '-1', '1e9', '99999999999999999999', 'x'],
  'upload-offset': ['0', '3', '-1', 'x'],
  'upload-metadata': ['filename eA==', 'filename', 'filename !!!', ',,,', 'a b c', 'filename eA==,filename eQ=='],
  'content-type': ['application/offset+octet-stream', 'application/json', ''],
  'upload-concat': ['partial', 'final;/v1/uploads/a /v1/uploads/b'],
  'upload-defer-length': ['1', '2'],
  'x-http-method-override': ['DELETE', 'PATCH'],
};
const anyHeaders: Readonly<Record<string, readonly string[]>> = {
  range: ['bytes=0-', 'bytes=-5', 'bytes=9-1', 'bytes=0-1,3-4', 'x'],
  'if-none-match': ['*', '"x"', 'W/"x"'],
  accept: ['image/webp', '*/*', 'x'],
  authorization: ['Bearer', 'Bearer x', 'Basic eDp5'],
  origin: ['null', 'https://evil.example', 'x'],
};

test('every event, made up, is answered by an event of its schema, and the socket stays open', async (context) => {
  const random = randomNumbers(seed + 1);
  const socket = await TestSocket.open(server.url);
  const codes = new Map<string, number>();
  const schemas = Object.values(clientEvents) as FuzzSchema[];
  for (let count = 0; count < cases * schemas.length; count++) {
    const event = fuzzed(schemas[count % schemas.length], random, pick([0, 0.1, 0.4], random));
    let text = JSON.stringify(event);
    if (random.uniform() < 0.03) text = text.slice(0, text.length / 2);
    socket.sendRaw(text);
    // In step, so that what fails names the event that did it.
    socket.sendRaw('{"type":"video.unsubscribe","video_id":"mark"}');
    while ((await answer(socket)).type !== 'video.unsubscribed') continue;
    assert.equal(socket.socket.readyState, WebSocket.OPEN, text);
    const [refusal] = socket.events.splice(0).flatMap((sent) => (sent.type === 'error' ? [sent.error] : []));
    socket.rewind();
    if (!refusal) continue;
    assert.ok(Object.hasOwn(errorTable, refusal.code), text);
    const [status] = errorTable[refusal.code as keyof typeof errorTable];
    assert.ok(status < 500 || allowedFailures.has(refusal.code), `${text} -> ${JSON.stringify(refusal)}`);
    codes.set(refusal.code, (codes.get(refusal.code) ?? 0) + 1);
  }
  context.diagnostic([...codes].map(([code, count]) => `${code}: ${count}`).join(', '));
  assert.ok(codes.size >= 5, [...codes.keys()].join());
  await socket.close();
});

async function answer(socket: TestSocket) {
  return socket.nextOf(['video.unsubscribed', 'error', 'session.updated', 'conversation.created', 'conversation.retrieved', 'conversation.item.added']);
}
