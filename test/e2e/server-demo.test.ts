/** Containers that came with the server, and containers from strangers. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { writeContainer, type Container } from '../../model/container/index.js';
import { openPack } from '../../model/pack/open.node.js';
import type { Video } from '../../server/api/schemas.js';
import { errorOf, untilVideo } from '../helpers/api.js';
import { decodableContainer, sampleContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';

let folder: TestFolder;
let server: ServerProcess;
let bytes: Uint8Array;
/** A container of the pack whose network is none that a frame can be drawn with. */
let senseless: Uint8Array;

before(async () => {
  folder = await TestFolder.make();
  const { manifest } = await openPack();
  const { id, feature_space } = manifest;
  const ofPack = (container: Container): Uint8Array => writeContainer({ ...container, meta: { ...container.meta, pack: { id, feature_space } } });
  bytes = ofPack(decodableContainer({ latentDim: manifest.latent.dim, frames: 12 }));
  senseless = ofPack(sampleContainer({ latentDim: manifest.latent.dim }));
  const demoDir = path.join(folder.path, 'demo');
  await mkdir(demoDir);
  await writeFile(path.join(demoDir, 'stück.linr'), bytes);
  await writeFile(path.join(demoDir, 'broken.linr'), bytes.subarray(0, 100));
  await writeFile(path.join(demoDir, 'senseless.linr'), senseless);
  await writeFile(path.join(demoDir, 'README.md'), 'not a container');
  server = new ServerProcess(path.join(folder.path, 'data'), { demoDir, logLevel: 'silent' });
  await server.start();
});
after(async () => {
  await server.stop();
  await folder.remove();
});

const list = async (): Promise<Video[]> => ((await (await fetch(`${server.url}/v1/videos`)).json()) as { data: Video[] }).data;

test('a server with an empty data folder opens with the demos that are whole', async () => {
  const videos = await list();
  assert.deepEqual(videos.map(({ name, demo, state, askable, encoded_frames }) => [name, demo, state, askable, encoded_frames]), [['stück – 1.mp4', true, 'ready', true, 12]]);
  const container = await fetch(`${server.url}/v1/videos/${videos[0]?.id}/container`);
  assert.deepEqual(new Uint8Array(await container.arrayBuffer()), bytes);
});

test('demos are not doubled by a restart, and one that was deleted stays deleted', async () => {
  await server.kill();
  await server.start();
  const [demo, ...others] = await list();
  assert.deepEqual(others, []);
  await fetch(`${server.url}/v1/videos/${demo?.id}`, { method: 'DELETE' });
  await server.kill();
  await server.start();
  assert.deepEqual(await list(), []);
});

test('a container whose network makes no sense is refused', async () => {
  const id = await upload(server.url, senseless, 'stranger.linr');
  const { error } = await untilVideo(server.url, id, ({ state }) => state === 'failed');
  assert.equal(error?.code, 'invalid_container');
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
});

test('a container of latents alone can be asked about and has no pictures yet', async () => {
  const { manifest } = await openPack();
  const sample = sampleContainer({ latentDim: manifest.latent.dim, network: false });
  const young = writeContainer({ ...sample, meta: { ...sample.meta, pack: { id: manifest.id, feature_space: manifest.feature_space } } });
  const id = await upload(server.url, young, 'young.linr');
  const video = await untilVideo(server.url, id, ({ state }) => state === 'ready');
  assert.deepEqual([video.askable, video.container_stage], [true, 'latents']);
  const error = await errorOf(await fetch(`${server.url}/v1/videos/${id}/frames/0`));
  assert.deepEqual([error.status, error.code], [409, 'pictures_not_ready']);
});
