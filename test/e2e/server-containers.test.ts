/** Uploaded containers, and what a power cut can leave of them: bytes under one name or the other, or none. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { getVideo, untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { withSections } from '../helpers/sections.js';
import { ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';
import { makeVideo } from '../helpers/videos.js';

const bunny = new Uint8Array(readFileSync(new URL('../../../weights/demo/bunny.linr', import.meta.url)));

let folder: TestFolder;
let server: ServerProcess;

beforeEach(async () => {
  folder = await TestFolder.make();
  server = new ServerProcess(folder.path, { encode: { preset: 'draft', seconds: 2 }, logLevel: 'fatal' });
  await server.start();
});
afterEach(async () => {
  await server.stop();
  await folder.remove();
});

const ready = (id: string) => untilVideo(server.url, id, ({ state }) => state === 'ready' || state === 'failed');
const inFolder = (id: string, name: string): string => path.join(folder.path, 'videos', id, name);

test('a container whose networks were made for another size is refused, naming what does not fit', async () => {
  const misfit = withSections(bunny, ([meta]) => {
    if (!meta) return;
    const json = JSON.parse(new TextDecoder().decode(meta.bytes)) as { width: number };
    meta.bytes = new TextEncoder().encode(JSON.stringify({ ...json, width: json.width * 2 }));
  });
  const { state, askable, error } = await ready(await upload(server.url, misfit, 'misfit.linr'));
  assert.deepEqual([state, askable, error?.code], ['failed', false, 'invalid_container']);
  assert.match(error?.message ?? '', /made for width \d+, the container says \d+/);
});

test('an uploaded container whose new name was lost in a power cut is found under its old one', async () => {
  const id = await upload(server.url, bunny, 'bunny.linr');
  assert.equal((await ready(id)).state, 'ready');
  await server.kill();
  await rename(inFolder(id, 'video.linr'), inFolder(id, 'source.linr'));
  await server.start();
  const video = await ready(id);
  assert.deepEqual([video.state, video.askable], ['ready', true]);
  const container = await fetch(`${server.url}/v1/videos/${id}/container`);
  assert.deepEqual(new Uint8Array(await container.arrayBuffer()), bunny);
});

test('an encoded video whose container is gone is encoded again from its original', async () => {
  const id = await upload(server.url, await makeVideo({ width: 96, height: 64 }), 'clip.mp4');
  assert.equal((await ready(id)).state, 'ready');
  await server.kill();
  await rm(inFolder(id, 'video.linr'));
  await server.start();
  const { state, askable, container_stage } = await ready(id);
  assert.deepEqual([state, askable, container_stage], ['ready', true, 'final']);
});

test('a video of which nothing is left says so', async () => {
  const id = await upload(server.url, bunny, 'bunny.linr');
  assert.equal((await ready(id)).state, 'ready');
  await server.kill();
  await rm(inFolder(id, 'video.linr'));
  await server.start();
  const { state, askable, error } = await getVideo(server.url, id);
  assert.deepEqual([state, askable], ['failed', false]);
  assert.match(error?.message ?? '', /is gone/);
});
