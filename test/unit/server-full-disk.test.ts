/** Room on the disk: what is promised, what is looked at while bytes come, and what waits until the disk can be written. Without a model. */
import assert from 'node:assert/strict';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { startServer, type RunningServer, type ServerOptions } from '../../server/index.js';
import { newId } from '../../server/ids.js';
import { Store } from '../../server/store/database.js';
import { Disk } from '../../server/store/disk.js';
import { DataFolder } from '../../server/store/files.js';
import { Settlements } from '../../server/store/settlements.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { silentLog } from '../helpers/log.js';
import { TestSocket } from '../helpers/realtime.js';
import { cannotMount, SmallDisk } from '../helpers/small-disk.js';
import { createUpload, sendBytes, uploadOffset } from '../helpers/tus.js';

const MB = 1024 * 1024;
const limits = { freeBytes: 8 * MB, diskRetry_s: 0.05, claim_s: 3600 };
const idOf = (answer: Response): string => answer.headers.get('location')?.split('/').pop() ?? '';

describe('on a small disk', { skip: cannotMount ?? false }, () => {
  let small: SmallDisk;
  let server: RunningServer | null = null;

  beforeEach(async () => {
    small = await SmallDisk.make(48 * MB);
  });
  afterEach(async () => {
    await server?.close();
    server = null;
    await small.remove();
  });

  async function start(options: Partial<ServerOptions> = {}): Promise<string> {
    server = await startServer({
      port: 0, dataDir: small.data, packDir: path.join(small.data, 'no-pack'), demoDir: path.join(small.data, 'no-demos'), logLevel: 'silent', ...options,
      limits: { ...limits, ...options.limits },
    });
    return server.url;
  }
  const disk = (changed: Partial<typeof limits> = {}): Disk => new Disk({ folder: new DataFolder(small.data), limits: { ...limits, ...changed }, log: silentLog });

  test('uploads that fit one by one but not together are refused when they begin, until one has ended', async () => {
    const url = await start();
    const first = await createUpload(url, { length: 20 * MB });
    assert.equal(first.status, 201);
    const second = await errorOf(await createUpload(url, { length: 20 * MB }));
    assert.deepEqual([second.status, second.code], [507, 'disk_full']);
    assert.equal((await createUpload(url, { length: 10 * MB })).status, 201);
    assert.equal((await fetch(`${url}/v1/uploads/${idOf(first)}`, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } })).status, 204);
    assert.equal((await createUpload(url, { length: 20 * MB })).status, 201);
  });

  test('room promised before a restart is promised after it', async () => {
    let url = await start();
    const first = idOf(await createUpload(url, { length: 20 * MB }));
    assert.equal((await sendBytes(url, first, 0, Buffer.alloc(5 * MB))).status, 204);
    await server?.close();
    url = await start();
    assert.equal((await createUpload(url, { length: 20 * MB })).status, 507);
    assert.equal((await createUpload(url, { length: 10 * MB })).status, 201);
  });

  test('an upload stops at what must stay free when others have taken the room it was promised, and goes on afterwards', async () => {
    const url = await start();
    const id = idOf(await createUpload(url, { length: 24 * MB }));
    await small.fill(14 * MB);
    const refused = await errorOf(await sendBytes(url, id, 0, Buffer.alloc(24 * MB, 1)));
    assert.deepEqual([refused.status, refused.code], [507, 'disk_full']);
    assert.ok((await small.freeBytes()) >= limits.freeBytes, `${await small.freeBytes()} bytes are free`);
    await small.empty();
    const offset = await uploadOffset(url, id);
    assert.ok(typeof offset === 'number' && offset > 0, String(offset));
    assert.equal((await sendBytes(url, id, offset, Buffer.alloc(24 * MB - offset, 1))).status, 204);
  });

  test('a video in a data: address is refused before it takes the room that is promised to an upload', async () => {
    const url = await start({ limits: { bodyBytes: 40 * MB } });
    assert.equal((await createUpload(url, { length: 26 * MB })).status, 201);
    const content = [{ type: 'video_url', video_url: { url: `data:video/mp4;base64,${Buffer.alloc(12 * MB).toString('base64')}` } }, { type: 'text', text: 'What?' }];
    const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ messages: [{ role: 'user', content }] }) });
    const { status, code } = await errorOf(answer);
    assert.deepEqual([status, code], [507, 'disk_full']);
    assert.equal((await readdir(path.join(small.data, 'uploads'))).length, 1, 'the upload alone');
  });

  test('a claim of unknown length is held to what is promised to others, one of known length to what must stay free', async () => {
    const room = disk();
    const known = await room.claim(20 * MB);
    const unknown = await room.claim(0);
    await unknown.take(10 * MB);
    await assert.rejects(unknown.take(21 * MB), { code: 'disk_full' });
    await known.take(20 * MB);
    assert.equal(room.promised, 0);
    await room.claim(30 * MB);
    await assert.rejects(room.claim(30 * MB), { code: 'disk_full' });
    known.release();
  });

  test('room that nobody has used for long is free for others', async () => {
    const room = disk({ claim_s: 0.05 });
    await room.claim(30 * MB);
    await assert.rejects(room.claim(30 * MB), { code: 'disk_full' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await room.claim(30 * MB);
  });

  test('a transaction on a full disk throws what went wrong first, and the store goes on when there is room', async () => {
    const store = Store.open(path.join(small.data, 'store.db'));
    await small.fill();
    const insert = (): number => store.transaction(() => store.run('INSERT INTO facts (name, value) VALUES (?, ?)', newId('req'), 'x'.repeat(MB)));
    assert.throws(insert, { code: 'SQLITE_FULL' });
    await small.empty();
    insert();
    store.close();
  });

  test('what a kill left of the reserve is removed at the next start, and nothing else', async () => {
    for (const name of ['reserve.12.part', 'trial.3.part', 'keys.json.4.part']) await writeFile(path.join(small.data, name), 'half');
    await disk().fillReserve();
    assert.deepEqual((await readdir(small.data)).filter((name) => name.includes('.') || name === 'reserve'), ['keys.json.4.part', 'reserve']);
  });

  test('deletions take the reserve on a full disk, which is made again when there is room', async () => {
    const room = disk();
    await room.fillReserve();
    const reserve = path.join(small.data, 'reserve');
    const { size, blocks } = await stat(reserve);
    assert.ok(blocks * 512 >= size, 'its room is really taken');
    const store = Store.open(path.join(small.data, 'store.db'), { giveReserve: () => room.giveReserve() });
    store.run("INSERT INTO facts (name, value) VALUES ('a', 'b')");
    await small.fill();
    assert.equal(store.remove('DELETE FROM facts'), 1);
    await small.empty();
    while (!(await readdir(small.data)).includes('reserve')) await new Promise((resolve) => setTimeout(resolve, 20));
    store.close();
    room.close();
  });

  test('what has happened is stored in order when the disk can be written again, and nothing is thrown meanwhile', async () => {
    const room = disk();
    const settlements = new Settlements(room, silentLog);
    const store = Store.open(path.join(small.data, 'store.db'));
    const note = (name: string, size: number) => (): void => void store.run('INSERT INTO facts (name, value) VALUES (?, ?)', name, 'x'.repeat(size));
    await small.fill();
    settlements.settle('a', note('first', MB));
    settlements.settle('a', note('second', 1));
    settlements.settle('b', note('third', MB));
    let ran = false;
    settlements.whenRoom('c', 'disk_full', () => {
      ran = true;
    });
    assert.deepEqual([settlements.problemOf('a'), settlements.problemOf('b'), settlements.problemOf('d')], ['disk_full', 'disk_full', null]);
    await small.empty();
    await small.fill(6 * MB);
    while (settlements.size > 1) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(store.all<{ name: string }>('SELECT name FROM facts ORDER BY rowid').map(({ name }) => name).slice(0, 2), ['first', 'second']);
    assert.equal(ran, false, 'what writes much waits until what must stay free is free');
    await small.empty();
    while (settlements.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(ran, true);
    settlements.stop();
    room.close();
    store.close();
  });

  test('a complete upload that could not become a video does so by itself, without its client', async () => {
    // Messages are taken to the last byte here: with a reserve they would end before the database's own room does.
    const url = await start({ limits: { freeBytes: 0 } });
    const bytes = Buffer.alloc(3 * MB, 'no film');
    const id = idOf(await createUpload(url, { length: bytes.length }));
    assert.equal((await sendBytes(url, id, 0, bytes.subarray(0, bytes.length - 1))).status, 204);
    // Room for the last byte, and for nothing in the database, whose log may have some left.
    await small.fill();
    const socket = await TestSocket.open(url);
    for (const words of [1000, 1]) {
      for (let type = ''; type !== 'error'; ) {
        socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: 'word '.repeat(words) }] } });
        ({ type } = await socket.nextOf(['conversation.item.added', 'error']));
      }
    }
    await socket.close();
    const { status, code } = await errorOf(await sendBytes(url, id, bytes.length - 1, bytes.subarray(-1)));
    assert.deepEqual([status, code], [507, 'disk_full']);
    assert.equal(await uploadOffset(url, id), 'status 507', 'it is neither gone nor complete');
    await small.empty();
    for (let there = 404; there !== 200; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      ({ status: there } = await fetch(`${url}/v1/videos/${id}`));
    }
    assert.equal(await uploadOffset(url, id), bytes.length);
  });
});

test('folders of the data are for their user alone, files too, whatever an earlier version left', { skip: process.platform === 'win32' && 'has no modes' }, async () => {
  const folder = await TestFolder.make();
  const dataDir = path.join(folder.path, 'data');
  const options = { port: 0, dataDir, packDir: path.join(folder.path, 'no-pack'), demoDir: path.join(folder.path, 'no-demos'), logLevel: 'silent' } as const;
  let server = await startServer(options);
  try {
    await createUpload(server.url, { length: 10 });
    const modes = async (): Promise<string[]> => {
      const open: string[] = [];
      for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
        const file = path.join(entry.parentPath, entry.name);
        const { mode } = await stat(file);
        if ((mode & 0o077) !== 0) open.push(`${file} ${(mode & 0o777).toString(8)}`);
      }
      return open;
    };
    assert.deepEqual(await modes(), []);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
    await server.close();
    for (const name of ['uploads', 'videos', 'files']) await chmod(path.join(dataDir, name), 0o755);
    for (const name of ['latentchat.db', 'keys.json']) {
      await writeFile(path.join(dataDir, name), '', { flag: 'a' });
      await chmod(path.join(dataDir, name), 0o644);
    }
    await writeFile(path.join(dataDir, 'keys.json'), '{"keys": []}');
    server = await startServer(options);
    assert.deepEqual(await modes(), []);
  } finally {
    await server.close();
    await folder.remove();
  }
});
