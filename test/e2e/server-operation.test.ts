/** Running a server: readiness, metrics, logs, and a stop that lets answers end. With the default model pack. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { eventually } from '../helpers/eventually.js';

const main = fileURLToPath(new URL('../../client/cli/main.js', import.meta.url));
const secretWord = 'xylophonist';

let folder: TestFolder;
let child: ChildProcess;
let url: string;
let output = '';

async function start(): Promise<void> {
  child = spawn(process.execPath, [main, 'serve', '--port', '0', '--data', path.join(folder.path, 'data'), '--log-level', 'info', '--limit-answer-tokens', '200'], { stdio: ['ignore', 'pipe', 'inherit'] });
  url = await new Promise<string>((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const found = /latentchat is at (\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error('the server ended')));
  });
}

before(async () => {
  folder = await TestFolder.make();
  await start();
});
after(async () => {
  child.kill('SIGKILL');
  await folder.remove();
});

/** Metrics by name and labels, without the model's. */
async function metrics(): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')).replace(/,?model_name="[^"]*"/, '').replace('{}', ''), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

test('a server that still loads its model is up but not ready, and then it is', async () => {
  const first = await fetch(`${url}/ready`);
  if (first.status !== 200) {
    assert.equal(first.headers.get('retry-after'), '1');
    assert.equal((await errorOf(first)).code, 'model_loading');
  }
  assert.equal((await fetch(`${url}/health`)).status, 200);
  await eventually(async () => (await fetch(`${url}/ready`)).status, (status) => status === 200, 'the model', { every_ms: 100 });
  assert.deepEqual(await (await fetch(`${url}/ready`)).json(), { status: 'ready' });
});

test('metrics count what a chat does, under the names vLLM users know', async () => {
  const earlier = await metrics();
  const socket = await TestSocket.open(url);
  const asked = [await socket.ask(`Who is the ${secretWord}?`), await socket.ask('And why?')].map(({ response }) => response.usage);
  const now = await metrics();
  const grown = (name: string): number => (now.get(`latentchat:${name}`) ?? Number.NaN) - (earlier.get(`latentchat:${name}`) ?? 0);
  const sum = (field: 'input_tokens' | 'cached_tokens' | 'output_tokens'): number => asked.reduce((total, usage) => total + (usage?.[field] ?? 0), 0);
  assert.equal(grown('prompt_tokens_total'), sum('input_tokens'));
  assert.equal(grown('generation_tokens_total'), sum('output_tokens'));
  assert.equal(grown('prefix_cache_queries_total'), sum('input_tokens'));
  assert.equal(grown('prefix_cache_hits_total'), sum('cached_tokens'));
  assert.ok(sum('cached_tokens') > 0);
  for (const name of ['time_to_first_token_seconds_count', 'request_queue_time_seconds_count', 'e2e_request_latency_seconds_count']) assert.equal(grown(name), 2, name);
  const ends = [...now].filter(([name]) => name.startsWith('latentchat:request_success_total')).reduce((total, [, count]) => total + count, 0);
  assert.equal(ends, 2);
  assert.ok((now.get('latentchat:avg_generation_throughput_toks_per_s') ?? 0) > 0);
  for (const [name, value] of [['num_requests_running', 0], ['num_requests_waiting', 0], ['encode_seconds_left', 0], ['num_sockets', 1]] as const) {
    assert.equal(now.get(`latentchat:${name}`), value, name);
  }
  assert.ok([...now.keys()].some((name) => name.startsWith('latentchat:http_request_duration_seconds_count{') && name.includes('route="/metrics"')));
  assert.ok(now.has('process_resident_memory_bytes'));
  await socket.close();
});

test('logs are JSON lines with request ids and without what users write', async () => {
  const answer = await fetch(`${url}/v1/videos?secret=${secretWord}`);
  const id = answer.headers.get('x-request-id') ?? '';
  await new Promise((resolve) => setTimeout(resolve, 200));
  const lines = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as { reqId?: string; path?: string; msg?: string });
  assert.ok(lines.some((line) => line.reqId === id && line.path === '/v1/videos' && line.msg === 'request'));
  assert.ok(!output.includes(secretWord));
});

test('a stop lets the running answer end, parks what waits, and both questions are there afterwards', async () => {
  const [first, second] = await Promise.all([TestSocket.open(url), TestSocket.open(url)]);
  const ids: string[] = [];
  for (const socket of [first, second]) {
    ids.push((await socket.next('session.created')).conversation.id);
    socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'text', text: 'Count from one to one hundred in words.' }] } });
  }
  first.send({ type: 'response.create', response: { max_output_tokens: 60 } });
  await first.next('response.output_text.delta');
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const done = await first.next('response.done');
  // Ended by the model or by its limit, but not by the stop.
  assert.ok(['completed', 'incomplete'].includes(done.response.status), done.response.status);
  assert.ok((done.response.usage?.output_tokens ?? 0) > 1);
  assert.equal(await first.closed, 1001);
  assert.equal(await second.closed, 1001);
  assert.deepEqual((await exited) as [number, string | null], [0, null]);
  await start();
  const roles: string[][] = [];
  for (const id of ids) {
    const socket = await TestSocket.open(url, `?conversation=${id}`);
    roles.push((await socket.next('session.created')).conversation.items.map(({ role }) => role));
    await socket.close();
  }
  assert.deepEqual(roles, [['user', 'assistant'], ['user']]);
});
