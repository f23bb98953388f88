/** A data folder that cannot be written, by a real read-only mount, and a clock that jumps. Without a model. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newId } from '../../server/ids.js';
import { startServer, type RunningServer, type ServerOptions } from '../../server/index.js';
import { Store } from '../../server/store/database.js';
import { Uploads, type UploadRow } from '../../server/store/uploads.js';
import { cliMain } from '../helpers/cli.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { createUpload, sendBytes, uploadOffset } from '../helpers/tus.js';

const year_ms = 365 * 24 * 3600 * 1000;
const canMount = process.platform === 'linux' && spawnSync('unshare', ['-m', 'true']).status === 0;
const skip = !canMount && 'needs to mount';

let folder: TestFolder;

beforeEach(async () => {
  folder = await TestFolder.make();
});
afterEach(() => folder.remove());

function options(): ServerOptions {
  return { port: 0, dataDir: path.join(folder.path, 'data'), packDir: path.join(folder.path, 'no-pack'), demoDir: path.join(folder.path, 'no-demos'), logLevel: 'silent' };
}

const idOf = (answer: Response): string => answer.headers.get('location')?.split('/').pop() ?? '';

test('a server whose data folder is read-only says so in one line and ends', { skip }, async () => {
  const data = path.join(folder.path, 'data');
  await mkdir(data);
  const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" "$3" serve --port 0 --data "$1"';
  const { status, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', data, process.execPath, cliMain], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^[^\n]*data folder[^\n]*cannot be written[^\n]*\n$/);
});

test('a disk that becomes read-only is told as such, nothing is lost, and uploads go on once it can be written again', { skip }, async () => {
  const data = path.join(folder.path, 'data');
  const uploads = path.join(data, 'uploads');
  await mkdir(uploads, { recursive: true });
  const runner = fileURLToPath(new URL('../helpers/server-runner.js', import.meta.url));
  const script = 'mount --bind "$1" "$1" && exec "$2" "$3" "$4"';
  const child: ChildProcess = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', uploads, process.execPath, runner, JSON.stringify(options())], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    const [url] = (await once(child, 'message')) as [string];
    const remount = (mode: 'ro' | 'rw'): void => {
      const { status, stderr } = spawnSync('nsenter', ['-t', String(child.pid), '-m', 'mount', '-o', `remount,bind,${mode}`, uploads], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    };
    const bytes = Buffer.from('still no film');
    const id = idOf(await createUpload(url, { length: bytes.length }));
    assert.equal((await sendBytes(url, id, 0, bytes.subarray(0, 5))).status, 204);
    remount('ro');
    for (const answer of [await createUpload(url, { length: 10 }), await sendBytes(url, id, 5, bytes.subarray(5))]) {
      const error = await errorOf(answer);
      assert.deepEqual([error.status, error.code], [507, 'disk_read_only']);
    }
    assert.equal((await fetch(`${url}/health`)).status, 200);
    assert.equal(await uploadOffset(url, id), 5);
    remount('rw');
    // Not to its end: what is complete is renamed, which no bind mount allows.
    assert.equal((await sendBytes(url, id, 5, bytes.subarray(5, 8))).status, 204);
    assert.equal(await uploadOffset(url, id), 8);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('a clock that jumps a year back and then two ahead loses nothing: uploads go on, sockets stay, the order of messages is kept', async () => {
  const start = Date.now();
  const server: RunningServer = await startServer(options());
  mock.timers.enable({ apis: ['Date'], now: start });
  try {
    const bytes = Buffer.from('no film either');
    const id = idOf(await createUpload(server.url, { length: bytes.length }));
    await sendBytes(server.url, id, 0, bytes.subarray(0, 4));
    const socket = await TestSocket.open(server.url);
    const { conversation } = await socket.next('session.created');
    const say = async (text: string): Promise<void> => {
      socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text }] } });
      await socket.next('conversation.item.added');
    };
    await say('before');
    mock.timers.setTime(start - year_ms);
    await say('a year back');
    const { uptime_s } = (await (await fetch(`${server.url}/health`)).json()) as { uptime_s: number };
    assert.ok(uptime_s >= 0 && uptime_s < 60, `up for ${uptime_s} s`);
    mock.timers.setTime(start + year_ms);
    await say('a year ahead');
    assert.equal(await uploadOffset(server.url, id), 4);
    assert.equal((await sendBytes(server.url, id, 4, bytes.subarray(4))).status, 204);
    await socket.close();
    const again = await TestSocket.open(server.url, `?conversation=${conversation.id}`);
    const { items } = (await again.next('session.created')).conversation;
    assert.deepEqual(items.map(({ content }) => content.map((part) => ('text' in part ? part.text : '')).join('')), ['before', 'a year back', 'a year ahead']);
    await again.close();
  } finally {
    mock.timers.reset();
    await server.close();
  }
});

test('a start ten years later removes nothing: uploads and files age while the server runs', async () => {
  const start = Date.now();
  let server: RunningServer = await startServer(options());
  try {
    const bytes = Buffer.from('no film to this day');
    const id = idOf(await createUpload(server.url, { length: bytes.length }));
    await sendBytes(server.url, id, 0, bytes.subarray(0, 4));
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new Blob(['{}\n']), 'questions.jsonl');
    const file = (await (await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })).json()) as { id: string };
    await server.close();
    mock.timers.enable({ apis: ['Date'], now: start + 10 * year_ms });
    server = await startServer(options());
    assert.equal(await uploadOffset(server.url, id), 4);
    assert.equal((await fetch(`${server.url}/v1/files/${file.id}`)).status, 200);
    assert.equal((await sendBytes(server.url, id, 4, bytes.subarray(4))).status, 204);
  } finally {
    mock.timers.reset();
    await server.close();
  }
});

test('an upload is idle for as long as the server ran and no byte came', () => {
  const store = Store.open(path.join(folder.path, 'uploads.db'));
  const uploads = new Uploads(store);
  const id = newId('vid');
  uploads.put({ id, owner: null, size: 100, metadata: {} });
  const count = (bytes: number, elapsed_s: number): number => uploads.count(uploads.find(id) as UploadRow, bytes, elapsed_s);
  assert.deepEqual([count(0, 3600), count(0, 3600), count(10, 3600), count(10, 60), count(10, 60)], [3600, 7200, 0, 60, 120]);
  store.close();
});
