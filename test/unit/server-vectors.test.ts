/** The file in which search keeps a video's vectors. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { packVectors, type IndexedVideo } from '../../model/retrieval/index.js';
import { parseVectors, readVectors, writeVectors } from '../../server/search/vectors-file.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers } from '../helpers/random.js';

const key = { version: 'a-1', towers: 'b'.repeat(64) };
const random = randomNumbers(11);
const video: IndexedVideo = {
  vectors: packVectors(Float32Array.from({ length: 7 * 24 }, () => random.normal()), 24),
  times_s: Float64Array.from({ length: 7 }, (_, t) => t / 3),
  duration_s: 2.5,
  shots: [0, 4],
};
let folder: TestFolder;
let file: string;
before(async () => {
  folder = await TestFolder.make();
  file = path.join(folder.path, 'video.vectors');
  await writeVectors(file, key, video);
});
after(() => folder.remove());

test('what was written is read back, number for number', async () => {
  assert.deepEqual(await readVectors(file, key), video);
});

test('it counts for one version of the container and one pair of towers', async () => {
  assert.equal(await readVectors(file, { ...key, version: 'a-2' }), null);
  assert.equal(await readVectors(file, { ...key, towers: 'c' }), null);
  assert.equal(await readVectors(path.join(folder.path, 'none'), key), null);
});

test('it is not written for a video that was deleted meanwhile', async () => {
  const gone = path.join(folder.path, 'gone');
  await assert.rejects(writeVectors(path.join(gone, 'video.vectors'), key, video), { code: 'ENOENT' });
  await rm(gone, { recursive: true, force: true });
});

test('a file that is cut off or altered anywhere is made anew or holds what it says, and never more', async () => {
  const whole = await readFile(file);
  for (let length = 0; length < whole.length; length += 3) assert.equal(parseVectors(whole.subarray(0, length), key), null);
  for (let i = 0; i < 3000; i++) {
    const bytes = new Uint8Array(whole);
    for (let n = 0; n < 1 + i % 3; n++) bytes[Math.floor(random.uniform() * (i % 2 === 0 ? 200 : bytes.length))] = Math.floor(random.uniform() * 256);
    const read = parseVectors(bytes, key);
    if (read !== null) assert.deepEqual([read.times_s.length, read.vectors.numbers.length], [7, 7 * 24]);
  }
  await writeFile(file, 'something else');
  assert.equal(await readVectors(file, key), null);
});
