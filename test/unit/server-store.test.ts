import assert from 'node:assert/strict';
import { mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'libsql';
import { moveDurably, writeAtomically } from '../../model/runtime/durable.node.js';
import { newId } from '../../server/ids.js';
import { Conversations } from '../../server/store/conversations.js';
import { migrations, Store } from '../../server/store/database.js';
import { DataFolder, fileBytes, versionOf } from '../../server/store/files.js';
import { Jobs } from '../../server/store/jobs.js';
import { Uploads } from '../../server/store/uploads.js';
import { presentVideo, Videos } from '../../server/store/videos.js';
import type { Item } from '../../server/realtime/protocol.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

let opened = 0;
const freshFile = (): string => path.join(folder.path, `store-${opened++}.db`);
const videoId = newId('vid');
const conversationId = newId('conv');
const idle = { progressOf: () => null, problemOf: () => null };

test('what was stored is there after the store is opened again', () => {
  const file = freshFile();
  const id = newId('vid');
  let store = Store.open(file);
  new Videos(store).add({ id, owner: null, name: 'clip.mp4', kind: 'video', status: 'queued', sourceFile: 'source.mp4', sourceBytes: 7 });
  new Jobs(store).add(id);
  store.close();
  store = Store.open(file);
  assert.equal(new Videos(store).get(id).name, 'clip.mp4');
  assert.deepEqual(new Jobs(store).list().map(({ videoId, sequence, crashes }) => [videoId, sequence, crashes]), [[id, 1, 0]]);
  store.close();
});

test('a second server on the same data folder is refused in words', () => {
  const file = freshFile();
  const store = Store.open(file);
  assert.throws(() => Store.open(file), /Another server is using .*store-.*--data/);
  store.close();
  Store.open(file).close();
});

test('a data folder of a newer program is refused', () => {
  const file = freshFile();
  const store = Store.open(file);
  store.run('PRAGMA user_version = 999');
  store.close();
  assert.throws(() => Store.open(file), /newer version/);
});

test('a data folder from before things had owners is brought up to date, and what it holds is nobody\'s', () => {
  const file = freshFile();
  const before = new Database(file);
  for (const sql of migrations.slice(0, 2)) before.exec(sql);
  before.exec(`PRAGMA user_version = 2;
    INSERT INTO videos (id, name, kind, status, created_s) VALUES ('${videoId}', 'old.mp4', 'video', 'ready', 1);
    INSERT INTO uploads (id, metadata, created_s) VALUES ('${videoId}', '{}', 1);
    INSERT INTO conversations (id, created_s) VALUES ('${conversationId}', 1);`);
  before.close();
  const store = Store.open(file);
  const owners = [new Videos(store).find(videoId), new Uploads(store).find(videoId), new Conversations(store).find(conversationId)].map((row) => row?.owner);
  assert.deepEqual(owners, [null, null, null]);
  store.close();
});

test('a transaction that fails leaves nothing behind', () => {
  const store = Store.open(freshFile());
  assert.throws(() =>
    store.transaction(() => {
      store.run("INSERT INTO facts (name, value) VALUES ('a', 'b')");
      throw new Error('stop');
    }),
  );
  assert.equal(store.get('SELECT * FROM facts'), null);
  store.close();
});

test('jobs keep their order, count crashes, and go with their video', () => {
  const store = Store.open(freshFile());
  const videos = new Videos(store);
  const jobs = new Jobs(store);
  const ids = [newId('vid'), newId('vid'), newId('vid')];
  for (const id of ids) {
    videos.add({ id, owner: null, name: id, kind: 'video', status: 'queued', sourceFile: null, sourceBytes: null });
    jobs.add(id);
    jobs.add(id);
  }
  assert.deepEqual(jobs.list().map((job) => job.videoId), ids);
  const [first = '', second = ''] = ids;
  assert.equal(jobs.crashed(first), 1);
  assert.equal(jobs.crashed(first), 2);
  videos.remove(second);
  assert.deepEqual(jobs.list().map((job) => job.videoId), [first, ids[2]]);
  store.close();
});

test('a video shows its state from its row and its encode', () => {
  const store = Store.open(freshFile());
  const videos = new Videos(store);
  const id = newId('vid');
  videos.add({ id, owner: null, name: 'a.mp4', kind: 'video', status: 'checking', sourceFile: 'source.mp4', sourceBytes: 9 });
  assert.equal(presentVideo(videos.get(id), idle).state, 'reading');
  videos.setStatus(id, 'queued');
  assert.equal(presentVideo(videos.get(id), idle).state, 'queued');
  const progress = { stage: 'training', done: 1, total: 2, unit: 'seconds', psnr_db: 31, frames_per_s: null, eta_s: 1 } as const;
  const training = presentVideo(videos.get(id), { ...idle, progressOf: () => progress });
  assert.deepEqual([training.state, training.psnr_db, training.askable], ['training', 31, false]);
  videos.setContainer(id, { version: 'v', stage: 'latents', bytes: 5, width: 2, height: 3, frames: 4, psnr_db: null });
  videos.fail(id, 'encode_failed', 'The encoder failed.');
  const failed = presentVideo(videos.get(id), idle);
  assert.deepEqual([failed.state, failed.askable, failed.error?.code, failed.encoded_frames], ['failed', true, 'encode_failed', 4]);
  assert.throws(() => videos.get(newId('vid')), { code: 'video_not_found' });
  assert.throws(() => videos.get("' OR 1=1 --"), { code: 'video_not_found' });
  store.close();
});

test('a conversation begins to exist with its first message and keeps the order', () => {
  const file = freshFile();
  let store = Store.open(file);
  const conversation = { id: newId('conv'), owner: 'key_1' };
  const { id } = conversation;
  const item = (text: string): Item => ({
    id: newId('item'),
    object: 'realtime.item',
    type: 'message',
    role: 'user',
    status: 'completed',
    content: [{ type: 'input_text', text }],
  });
  const conversations = new Conversations(store);
  assert.equal(conversations.find(id), null);
  const items = [item('one'), item('two'), item('three')];
  for (const entry of items) conversations.addItem(conversation, entry);
  assert.equal(conversations.removeItem(id, items[1]?.id ?? ''), true);
  assert.equal(conversations.removeItem(newId('conv'), items[0]?.id ?? ''), false);
  conversations.addItem(conversation, item('four'));
  store.close();
  store = Store.open(file);
  assert.equal(new Conversations(store).find(id)?.owner, 'key_1');
  const texts = new Conversations(store).items(id).flatMap((entry) => entry.content.map((part) => (part.type === 'input_text' ? part.text : '')));
  assert.deepEqual(texts, ['one', 'three', 'four']);
  store.close();
});

test('an upload keeps its metadata and remembers that it is finished', () => {
  const store = Store.open(freshFile());
  const uploads = new Uploads(store);
  const id = newId('vid');
  uploads.put({ id, owner: null, size: null, metadata: { filename: 'Käse.mp4', empty: null } });
  uploads.put({ id, owner: null, size: 10, metadata: { filename: 'Käse.mp4', empty: null } });
  uploads.finish(id);
  const row = uploads.find(id);
  assert.deepEqual([row?.size, row?.finished, row?.metadata], [10, true, { filename: 'Käse.mp4', empty: null }]);
  uploads.remove(id);
  assert.equal(uploads.find(id), null);
  store.close();
});

test('a file is replaced whole, and a failed write leaves the old one and no litter', async () => {
  const place = path.join(folder.path, 'atomic');
  const file = path.join(place, 'video.linr');
  await writeAtomically(file, Buffer.from('old'), { makeFolder: true });
  const before = versionOf(await stat(file, { bigint: true }));
  await writeAtomically(file, Buffer.from('newer'));
  const after = versionOf(await stat(file, { bigint: true }));
  assert.notEqual(before, after);
  assert.equal(await readFile(file, 'utf8'), 'newer');
  await mkdir(path.join(place, 'taken'));
  await assert.rejects(writeAtomically(path.join(place, 'taken'), Buffer.from('x')));
  assert.deepEqual((await readdir(place)).sort(), ['taken', 'video.linr']);
});

test('a write to a full device fails with ENOSPC and keeps the old file', { skip: process.platform !== 'linux' && 'needs /dev/full' }, async () => {
  const file = path.join(folder.path, 'full', 'video.linr');
  await writeAtomically(file, Buffer.from('old'), { makeFolder: true });
  await symlink('/dev/full', `${file}.${process.pid}.part`);
  await assert.rejects(writeAtomically(file, Buffer.from('new')), { code: 'ENOSPC' });
  assert.equal(await readFile(file, 'utf8'), 'old');
});

test('a version belongs to the open file, even when another takes its place', async () => {
  const file = path.join(folder.path, 'versions', 'video.linr');
  await writeAtomically(file, Buffer.from('first'), { makeFolder: true });
  const handle = await open(file, 'r');
  const version = versionOf(await handle.stat({ bigint: true }));
  await writeAtomically(file, Buffer.from('second'));
  assert.equal(versionOf(await handle.stat({ bigint: true })), version);
  assert.equal((await handle.readFile()).toString(), 'first');
  await handle.close();
});

test('the data folder makes paths from ids alone', async () => {
  const data = new DataFolder(path.join(folder.path, 'data'));
  const id = newId('vid');
  assert.equal(data.container(id), path.join(data.root, 'videos', id, 'video.linr'));
  for (const wrong of ['..', '../../etc', 'vid_', `${id}/..`]) assert.throws(() => data.video(wrong), /is not an id that begins with vid_/);
  await writeFile(data.upload(id), 'bytes');
  await moveDurably(data.upload(id), data.source(id, 'source.mp4'));
  assert.equal(await fileBytes(data.upload(id)), null);
  assert.equal(await data.findSource(id), 'source.mp4');
  assert.deepEqual(await data.videoFolders(), [id]);
  assert.equal(await data.containerVersion(id), null);
  assert.ok((await data.freeBytes()) > 0);
});
