/** Clips of videos and containers: on the command line, over HTTP, and by a tool. */
import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openFrames } from '../../model/frames/open.node.js';
import { errorOf, untilVideo } from '../helpers/api.js';
import { runCli } from '../helpers/cli.js';
import { DemoServer, demoDir } from '../helpers/demo-server.js';
import { upload } from '../helpers/tus.js';
import { grey, makeVideo } from '../helpers/videos.js';
import { until } from '../helpers/eventually.js';

const bunny = path.join(demoDir, 'bunny.linr');
/** Frames of the made videos. Frame i is a grey that tells i, up to multiples of `SHADES`; encoding changes it by less than half a step. */
const COUNT = 60;
const SHADES = 16;
const STEP = 14;
const shade = (frame: number, width: number, height: number): Uint8Array => grey(20 + STEP * (frame % SHADES), width, height);
/** 25 a second; a key frame only every two seconds, so that most clips begin between two. */
const even = { width: 64, height: 48, times: Array.from({ length: COUNT }, (_, i) => i / 25), lastDuration: 0.04, keyFrameInterval: 2, picture: shade } as const;
/** Frames that are shown longer and longer. */
const uneven = { ...even, times: Array.from({ length: COUNT }, (_, i) => 0.01 * i + 0.0005 * i ** 2), lastDuration: 0.07 } as const;

let demo: DemoServer;
let evenFile: string;
let video: string;

before(async () => {
  demo = await DemoServer.start({ threads: 1, logLevel: 'error', encode: { preset: 'draft', seconds: 2 }, limits: { clip_s: 2 } });
  evenFile = await demo.folder.write('even.mp4', await makeVideo(even));
  video = await upload(demo.process.url, await readFile(evenFile), 'even – 1.mp4');
  await untilVideo(demo.process.url, video, ({ state }) => state !== 'reading' && state !== 'queued');
});
after(() => demo.stop());

interface Shown {
  /** Its number, up to multiples of SHADES. */
  readonly frame: number;
  readonly time_s: number;
}

/** Which frames of a made video a clip shows, and when. */
async function shown(file: string): Promise<{ frames: Shown[]; duration_s: number }> {
  const source = await openFrames(file);
  const frames: Shown[] = [];
  for await (const { data, time_s } of source.frames()) frames.push({ frame: Math.abs(Math.round(((data[0] as number) - 20) / STEP)), time_s });
  await source.close();
  return { frames, duration_s: source.info.duration_s };
}

/** Holds a clip to what was on screen between two seconds. */
async function assertShows(file: string, times: readonly number[], from: number, to: number): Promise<void> {
  const { frames, duration_s } = await shown(file);
  const first = times.findLastIndex((time) => time <= from);
  const wanted = times.map((time, frame) => ({ frame, time_s: Math.max(time - from, 0) })).filter(({ frame }) => frame >= first && (times[frame] as number) < to);
  assert.deepEqual(frames.map(({ frame }) => frame), wanted.map(({ frame }) => frame % SHADES));
  frames.forEach(({ time_s }, i) => assert.ok(Math.abs(time_s - (wanted[i] as Shown).time_s) < 0.0015, `frame ${i} at ${time_s}`));
  // MP4 tells the length of all but the last frame by the beginning of the next.
  assert.ok(Math.abs(duration_s - (to - from)) <= 0.04, `${duration_s} s`);
}

test('a clip of a video shows exactly the frames between its times, wherever key frames lie', async () => {
  const out = path.join(demo.folder.path, 'clip.mp4');
  for (const [from, to] of [['0.5', '1.1'], ['0', '0:02'], ['0:01.01', '0:01.02']] as const) {
    const { code, stdout, stderr } = await runCli(['clip', evenFile, '--from', from, '--to', to, '-o', out]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /clip\.mp4: \d\.\d\d s, \d+ frames of 64 x 48/);
    await assertShows(out, even.times, Number(from.split(':').pop()), Number(to.split(':').pop()));
  }
});

test('a clip of a video of uneven rate keeps the time of each frame', async () => {
  const file = await demo.folder.write('uneven.mkv', await makeVideo({ ...uneven, container: 'mkv' }));
  const out = path.join(demo.folder.path, 'uneven.mp4');
  const { code, stderr } = await runCli(['clip', file, '--from', '0.4', '--to', '1.7', '-o', out]);
  assert.equal(code, 0, stderr);
  const times = uneven.times.map((time) => Math.round(time * 1000) / 1000);
  await assertShows(out, times, 0.4, 1.7);
});

test('a clip of a container is drawn from its latents', async () => {
  const out = path.join(demo.folder.path, 'bunny.mp4');
  const { code, stderr } = await runCli(['clip', bunny, '--from', '1', '--to', '2', '-o', out]);
  assert.equal(code, 0, stderr);
  const source = await openFrames(out);
  assert.deepEqual({ ...source.info, duration_s: Number(source.info.duration_s.toFixed(2)), fps: Math.round(source.info.fps ?? 0) }, { width: 320, height: 180, duration_s: 1, frames: 25, fps: 25, kind: 'video' });
  await source.close();
});

test('what cannot be cut is told in one line', async () => {
  const out = path.join(demo.folder.path, 'none.mp4');
  const photo = await demo.folder.write('photo.bmp', 'BM');
  for (const [args, told] of [
    [[evenFile, '--from', '9', '-o', out], /even\.mp4 ends at 2\.40 s/],
    [[evenFile, '--from', '2', '--to', '1', '-o', out], /--to must be after --from/],
    [[evenFile, '-o', 'clip.avi'], /ends in \.mp4/],
    [[photo, '-o', out], /photo\.bmp/],
  ] as const) {
    const { code, stderr } = await runCli(['clip', ...args]);
    assert.equal(code, 1);
    assert.match(stderr, told);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
  assert.equal((await runCli(['clip', evenFile, '--from', 'soon', '-o', out])).code, 2);
  assert.ok(!(await readdir(demo.folder.path)).some((name) => name.startsWith('none')));
});

const clipUrl = (id: string, query: string): string => `${demo.process.url}/v1/videos/${id}/clip${query}`;

test('a server cuts from the original it was given, and from the latents where it has none', async () => {
  const answers = await Promise.all([fetch(clipUrl(video, '?from=0.5&to=1.1')), fetch(clipUrl(demo.demo, '?from=4.9')), fetch(clipUrl(video, '?from=0.5&to=1.1'))]);
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'video/mp4');
  }
  assert.match(answers[0].headers.get('content-disposition') ?? '', /filename\*=UTF-8''even%20%E2%80%93%201\.mp4$/);
  const bytes = await Promise.all(answers.map(async (answer) => Buffer.from(await answer.arrayBuffer())));
  assert.equal(bytes[0]?.length, Number(answers[0].headers.get('content-length')));
  const out = path.join(demo.folder.path, 'served.mp4');
  await writeFile(out, bytes[0] as Buffer);
  await assertShows(out, even.times, 0.5, 1.1);
  await writeFile(out, bytes[1] as Buffer);
  const source = await openFrames(out);
  assert.equal(source.info.width, 320);
  await source.close();
  assert.deepEqual((await readdir(path.join(demo.folder.path, 'videos', video))).filter((name) => name.startsWith('clip')), [], 'nothing is left over');
});

test('a server names what is wrong with the times of a clip', async () => {
  const errors = await Promise.all(['?from=7', '?from=1&to=0.5', '?from=0', '?from=-1', '?from=x', '?until=3'].map(async (query) => errorOf(await fetch(clipUrl(video, query)))));
  assert.deepEqual(errors.map(({ code }) => code), ['clip_out_of_range', 'clip_out_of_range', 'clip_too_long', 'invalid_request', 'invalid_request', 'unsupported_parameter']);
  assert.match(errors[0]?.message ?? '', /^"even – 1\.mp4" ends at 2\.40 s/);
  assert.match(errors[2]?.message ?? '', /limit of 2 s/);
  assert.equal((await errorOf(await fetch(clipUrl('vid_000000000000000000000000', '')))).code, 'video_not_found');
});

test('cutting ends with the client that asked', async () => {
  const before = new Set(demo.process.children());
  const news = (): number[] => demo.process.children().filter((pid) => !before.has(pid));
  const hangUp = new AbortController();
  const answer = fetch(clipUrl(demo.demo, '?from=0&to=2'), { signal: hangUp.signal });
  answer.catch(() => undefined);
  await until(() => news().length > 0, 'the cutting begins');
  hangUp.abort();
  await assert.rejects(answer);
  await until(() => news().length === 0, 'its process ends');
  await until(async () => (await readdir(path.join(demo.folder.path, 'videos', demo.demo))).every((name) => !name.startsWith('clip')), 'what it wrote is gone');
  assert.equal((await fetch(clipUrl(video, '?from=0&to=0.2'))).status, 200, 'the next one is cut');
});

test('latentchat clip --server writes the clip as the server cuts it', async () => {
  const out = path.join(demo.folder.path, 'remote.mp4');
  const { code, stderr } = await runCli(['clip', 'even – 1.mp4', '--from', '0.2', '--to', '0.4', '-o', out, '--server', demo.process.url]);
  assert.equal(code, 0, stderr);
  await assertShows(out, even.times, 0.2, 0.4);
});
