/** The tools of the Model Context Protocol, called by the SDK's own client over both transports. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import { openFrames } from '../../model/frames/open.node.js';
import { KeyFile } from '../../server/index.js';
import { errorOf } from '../helpers/api.js';
import { cliMain, withoutTestRunner } from '../helpers/cli.js';
import { DemoServer, demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { until } from '../helpers/eventually.js';

const bunny = path.join(demoDir, 'bunny.linr');
/** Seconds of the demo video. */
const length_s = 5.28;

let demo: DemoServer;

before(async () => {
  demo = await DemoServer.start({ threads: 1 });
});
after(() => demo.stop());

/** A connected client; listing the tools first makes it hold every result to its output schema. */
async function connected(transport: Transport): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  await client.listTools();
  return client;
}

const overHttp = (url: string, key?: string): Transport =>
  // Its optional members are declared otherwise than the interface's.
  new StreamableHTTPClientTransport(new URL(`${url}/mcp`), key === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${key}` } } }) as Transport;

const overStdio = (...args: readonly string[]): Transport =>
  new StdioClientTransport({ command: process.execPath, args: [cliMain, 'mcp', ...args], env: withoutTestRunner() as Record<string, string>, stderr: 'inherit' });

/** The structured result of a call that succeeds. */
async function call<T>(client: Client, name: string, input: Record<string, unknown> = {}): Promise<T> {
  const result = await client.callTool({ name, arguments: input });
  assert.ok(!result.isError, JSON.stringify(result.content));
  assert.deepEqual(JSON.parse((result.content as [{ text: string }])[0].text), result.structuredContent, 'the text says the same');
  return result.structuredContent as T;
}

/** The sentence of a call that fails. */
async function refused(client: Client, name: string, input: Record<string, unknown>): Promise<string> {
  const result = await client.callTool({ name, arguments: input });
  assert.equal(result.isError, true, JSON.stringify(result));
  return (result.content as [{ text: string }])[0].text;
}

interface Moment {
  readonly start_s: number;
  readonly end_s: number;
}

function assertWithin({ start_s, end_s }: Moment): void {
  assert.ok(start_s >= 0 && start_s < end_s && end_s <= length_s + 0.1, `${start_s} to ${end_s} s`);
}

/** Seconds that an MP4 file shows, by its path or address. */
async function lengthOf(clip: string): Promise<number> {
  const folder = await TestFolder.make();
  const bytes = clip.startsWith('http') ? Buffer.from(await (await fetch(clip)).arrayBuffer()) : await readFile(clip);
  const source = await openFrames(await folder.write('clip.mp4', bytes));
  await source.close();
  await folder.remove();
  return source.info.duration_s;
}

/** Everything a model would do with the demo video. */
async function useTools(client: Client): Promise<void> {
  const { videos, total } = await call<{ videos: { id: string; name: string; askable: boolean }[]; total: number }>(client, 'list_videos');
  const [video] = videos;
  assert.ok(video?.askable && total === 1 && /^bunny\./.test(video.name), JSON.stringify(videos));

  const found = await call<{ moments: (Moment & { video: string; score: number })[] }>(client, 'search', { query: 'a field of grass', limit: 3 });
  assert.ok(found.moments.length > 0);
  for (const moment of found.moments) {
    assert.equal(moment.video, video.id);
    assertWithin(moment);
  }

  const answered = await call<{ answer: string; moments: Moment[]; complete: boolean }>(client, 'ask', { video: video.name, question: 'What happens between 1 and 3 seconds?' });
  assert.match(answered.answer, /^From \d\.\d s to \d\.\d s: \w/);
  assert.equal(answered.moments.length, 1);
  assertWithin(answered.moments[0] as Moment);
  const short = await call<{ complete: boolean }>(client, 'ask', { video: video.id, question: 'Tell me everything that you see, at length.', max_tokens: 3 });
  assert.equal(short.complete, false);

  const whole = await call<Moment & { caption: string }>(client, 'caption', { video: video.id });
  assert.match(whole.caption, /^[A-Z].*\w/);
  assert.ok(whole.start_s === 0 && Math.abs(whole.end_s - length_s) < 0.1, JSON.stringify(whole));
  const part = await call<Moment & { caption: string }>(client, 'caption', { video: video.id, from_s: 2, to_s: 4 });
  assert.ok(Math.abs(part.start_s - 2) < 0.5 && Math.abs(part.end_s - 4) < 0.5, JSON.stringify(part));
  assert.doesNotMatch(part.caption, /^From/);

  const heard: Progress[] = [];
  const told = await client.callTool({ name: 'moments', arguments: { video: video.id } }, undefined, { onprogress: (progress) => heard.push(progress) });
  const { moments, more } = told.structuredContent as { moments: (Moment & { caption: string })[]; more: boolean };
  assert.equal(more, false);
  assert.equal(moments[0]?.start_s, 0);
  moments.forEach(assertWithin);
  assert.ok(heard[0]?.progress === 0 && heard[0].total === moments.length, JSON.stringify(heard));

  const { clip } = await call<{ clip: string }>(client, 'cut_clip', { video: video.id, from_s: 1, to_s: 1.6 });
  assert.match(clip, /bunny-1s-1\.6s.*\.mp4$|^http:.*clip\?from=1&to=1\.6$/);
  assert.ok(Math.abs((await lengthOf(clip)) - 0.6) < 0.01);
  assert.match(await refused(client, 'cut_clip', { video: video.id, from_s: 90, to_s: 91 }), /ends at 5\.\d s/);

  assert.match(await refused(client, 'ask', { video: 'nobody', question: 'Who?' }), /no video "nobody".*list_videos/);
  assert.match(await refused(client, 'ask', { video: video.id }), /"question" is missing/);
  assert.match(await refused(client, 'ask', { video: video.id, question: 'What?', tempo: 1 }), /"tempo" is not supported/);
  assert.match(await refused(client, 'caption', { video: video.id, from_s: 99 }), /ends at 5\.\d s/);
  assert.match(await refused(client, 'caption', { video: video.id, from_s: 3, to_s: 2 }), /to_s must be after from_s/);
  await assert.rejects(client.callTool({ name: 'transcribe', arguments: {} }), /no tool "transcribe".*list_videos/);
}

test('a server offers its tools at /mcp', async () => {
  const client = await connected(overHttp(demo.process.url));
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name), ['list_videos', 'search', 'ask', 'caption', 'moments', 'cut_clip']);
  for (const { description, inputSchema, outputSchema } of tools) {
    assert.ok((description ?? '').length > 50);
    assert.equal(inputSchema.type, 'object');
    assert.equal(outputSchema?.type, 'object');
  }
  await useTools(client);
  await client.close();
});

test('a caller that hangs up has its answer stopped', async () => {
  const { url } = demo.process;
  const metric = async (name: string): Promise<number> => Number(new RegExp(`^latentchat:${name}\\S* (\\d+)`, 'm').exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0);
  const ended = await metric('request_success_total');
  const hangUp = new AbortController();
  const question = 'Write a poem of forty lines about everything that you see.';
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'ask', arguments: { video: demo.demo, question } } };
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const answer = fetch(`${url}/mcp`, { method: 'POST', headers, body: JSON.stringify(body), signal: hangUp.signal }).then((response) => response.text());
  answer.catch(() => undefined);
  await until(async () => (await metric('num_requests_running')) === 1, 'the answer is being written');
  hangUp.abort();
  await assert.rejects(answer);
  await until(async () => (await metric('num_requests_running')) === 0, 'nothing is being written');
  assert.equal(await metric('request_success_total'), ended, 'the answer did not come to its end');
});

test('latentchat mcp FILE serves files without a server, and ends with its client', async () => {
  const transport = overStdio(bunny, '--threads', '1', '--clips', demo.folder.path) as StdioClientTransport;
  const client = await connected(transport);
  await useTools(client);
  await client.close();
});

test('latentchat mcp --server serves the videos of a server', async () => {
  const client = await connected(overStdio('--server', demo.process.url, '--clips', demo.folder.path));
  await useTools(client);
  await client.close();
});

test('a file that cannot be read is told by its tool, and the others are found all the same', async () => {
  const folder = await TestFolder.make();
  const broken = await folder.write('broken.mp4', 'not a video');
  const client = await connected(overStdio(bunny, broken));
  const { videos } = await call<{ videos: { id: string; name: string }[] }>(client, 'list_videos');
  assert.equal(videos.length, 2);
  assert.match(await refused(client, 'caption', { video: 'broken.mp4' }), /broken\.mp4/);
  const { moments } = await call<{ moments: { name: string }[] }>(client, 'search', { query: 'grass' });
  assert.ok(moments.length > 0 && moments.every(({ name }) => name === 'bunny.linr'));
  await client.close();
  await folder.remove();
});

test('/mcp asks for a key as the API does, keeps foreign pages out, and a data folder is served without a port', async () => {
  const folder = await TestFolder.make();
  const keys = new KeyFile(folder.path);
  const { secret } = await keys.add({ name: 'test' });
  const server = new ServerProcess(folder.path, { demoDir, threads: 1, logLevel: 'error' });
  await server.start();
  const message = { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }) };
  assert.deepEqual((await errorOf(await fetch(`${server.url}/mcp`, message))).code, 'missing_key');
  const foreign = { ...message, headers: { ...message.headers, authorization: `Bearer ${secret}`, origin: 'https://example.com' } };
  assert.equal((await errorOf(await fetch(`${server.url}/mcp`, foreign))).code, 'forbidden_origin');
  assert.equal((await fetch(`${server.url}/mcp`)).status, 401);
  const client = await connected(overHttp(server.url, secret));
  assert.equal((await call<{ total: number }>(client, 'list_videos')).total, 1);
  await client.close();
  await server.stop();

  const local = await connected(overStdio('--data', folder.path, '--key', secret));
  assert.equal((await call<{ total: number }>(local, 'list_videos')).total, 1);
  await local.close();
  const keyless = await connected(overStdio('--data', folder.path));
  assert.match(await refused(keyless, 'list_videos', {}), /needs an API key/);
  await keyless.close();
  await folder.remove();
});
