/** Encoders that hang, are slow, or take too long: others are read all the same, and nothing waits for ever. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Limits } from '../../server/index.js';
import { getVideo, untilVideo } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';
import { isRunning, ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';
import { makeVideo } from '../helpers/videos.js';

/** A silence that no test waits for. */
const patient: Partial<Limits> = { childSilence_s: 600 };

describe('with encoders that are stopped', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  let clip: Uint8Array;
  let folder: TestFolder;
  let server: ServerProcess;

  before(async () => {
    clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 16 }, (_, index) => index / 8) });
  });
  beforeEach(async () => {
    folder = await TestFolder.make();
  });
  afterEach(async () => {
    for (const pid of server.children()) process.kill(pid, 'SIGCONT');
    await server.stop();
    await folder.remove();
  });

  async function start(limits: Partial<Limits>): Promise<void> {
    server = new ServerProcess(folder.path, { encode: { preset: 'draft', seconds: 2 }, logLevel: 'fatal', limits });
    await server.start();
  }

  /** Uploads a video and stops its encoder, a process that was not there before, while it reads. */
  async function stopReading(name: string): Promise<{ id: string; pid: number }> {
    const before = new Set(server.children());
    const id = await upload(server.url, clip, name);
    await untilVideo(server.url, id, ({ progress }) => progress !== null);
    const pid = server.children().find((child) => !before.has(child)) ?? 0;
    process.kill(pid, 'SIGSTOP');
    assert.notEqual((await getVideo(server.url, id)).progress?.stage, 'training');
    return { id, pid };
  }

  test('one that gives no sign of life is ended and its video encoded all the same', async () => {
    // On a busy machine an encoder that is well may be silent for as long, and is then begun again.
    await start({ childSilence_s: 12, encodeCrashes: 50 });
    const { id, pid } = await stopReading('hangs.mp4');
    assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim(), '500', 'it goes before the server when memory runs out');
    const video = await untilVideo(server.url, id, ({ state }) => state === 'ready');
    assert.equal(video.error, null);
    assert.ok(!isRunning(pid));
  });

  test('a video that is slow to read lets the next ones go first, and is encoded beside them', async () => {
    await start({ ...patient, readingTurn_s: 1 });
    const slow = await stopReading('slow.mp4');
    const next = await upload(server.url, clip, 'next.mp4');
    await untilVideo(server.url, next, ({ state }) => state === 'ready');
    assert.ok(isRunning(slow.pid), 'what it has read is not thrown away');
    process.kill(slow.pid, 'SIGCONT');
    await untilVideo(server.url, slow.id, ({ state }) => state === 'ready');
  });

  test('several that are slow keep no other from being read, and each is encoded in the end', async () => {
    await start({ ...patient, readingTurn_s: 1 });
    const first = await stopReading('first.mp4');
    const second = await stopReading('second.mp4');
    const next = await upload(server.url, clip, 'next.mp4');
    await untilVideo(server.url, next, ({ state }) => state === 'ready');
    process.kill(first.pid, 'SIGCONT');
    for (const { id } of [first, second]) await untilVideo(server.url, id, ({ state }) => state === 'ready');
  });

  test('one that reads longer than it may has failed and says so', async () => {
    await start({ ...patient, reading_s: 2 });
    const { id } = await stopReading('endless.mp4');
    const { error } = await untilVideo(server.url, id, ({ state }) => state === 'failed');
    assert.equal(error?.code, 'encode_timeout');
  });
});
