/** Search over HTTP, in the SDK and on the command line, and answers that say when; over the demo and a container of random latents. */
import assert from 'node:assert/strict';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { writeContainer } from '../../model/container/index.js';
import { openPack } from '../../model/pack/open.node.js';
import { LatentChat, type SearchRequest } from '../../client/sdk/index.js';
import { errorOf, untilVideo } from '../helpers/api.js';
import { runCli } from '../helpers/cli.js';
import { sampleContainer } from '../helpers/containers.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';

let folder: TestFolder;
let server: ServerProcess;
let client: LatentChat;
let demo: string;
let other: string;

before(async () => {
  folder = await TestFolder.make();
  server = new ServerProcess(path.join(folder.path, 'data'), { demoDir, logLevel: 'silent' });
  await server.start();
  client = new LatentChat({ baseUrl: server.url });
  demo = (await client.videos.list())[0]?.id ?? '';
  const { manifest } = await openPack();
  const sample = sampleContainer({ latentDim: manifest.latent.dim, network: false });
  const bytes = writeContainer({ ...sample, meta: { ...sample.meta, pack: { id: manifest.id, feature_space: manifest.feature_space } } });
  other = await upload(server.url, bytes, 'random.linr');
  await untilVideo(server.url, other, ({ askable }) => askable);
});
after(async () => {
  await server.stop();
  await folder.remove();
});

const post = (body: unknown): Promise<Response> =>
  fetch(`${server.url}/v1/search`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

test('words find moments of all videos, best first, in seconds', async () => {
  const hits = await client.search({ text: 'An animal in the grass' });
  assert.ok(hits.length > 0 && hits.length <= 10);
  assert.equal(hits[0]?.video, demo, 'the demo shows just that, the other video nothing at all');
  assert.ok(hits[0]?.name.length > 0);
  for (const [i, { start_s, end_s, frame, score }] of hits.entries()) {
    assert.ok(start_s >= 0 && end_s >= start_s && Number.isInteger(frame) && frame >= 0);
    assert.ok(score !== undefined && score >= -1 && score <= (hits[i - 1]?.score ?? 1));
  }
});

test('scope and limit say what is found and how much of it', async () => {
  const frames = await client.search({ text: 'grass', scope: 'frames', videos: [demo], limit: 1000 });
  const video = await client.videos.get(demo);
  assert.equal(frames.length, video.encoded_frames);
  assert.equal(new Set(frames.map(({ frame }) => frame)).size, frames.length);
  const videos = await client.search({ text: 'grass', scope: 'videos' });
  assert.deepEqual(new Set(videos.map(({ video: id }) => id)), new Set([demo, other]));
  assert.equal((await client.search({ text: 'grass', limit: 1 })).length, 1);
});

test('a frame finds what is like it, and not itself', async () => {
  const near = await client.search({ like: { video: demo, frame: 40 }, scope: 'frames', limit: 5 });
  assert.ok(near.every(({ video, frame, score }) => video === demo && frame !== 40 && score > 0.5));
  const videos = await client.search({ like: { video: demo, frame: 40 }, scope: 'videos' });
  assert.deepEqual(videos.map(({ video }) => video), [other]);
});

test('the same search gives the same answer from what it kept on the disk, and a deleted video is found no more', async () => {
  const request: SearchRequest = { text: 'a rabbit', scope: 'frames', limit: 50 };
  const first = await client.search(request);
  await access(path.join(folder.path, 'data', 'videos', demo, 'video.vectors'));
  await server.kill();
  await server.start();
  client = new LatentChat({ baseUrl: server.url });
  assert.deepEqual(await client.search(request), first);
  await client.videos.delete(other);
  assert.ok((await client.search({ text: 'anything' })).every(({ video }) => video === demo));
  await assert.rejects(stat(path.join(folder.path, 'data', 'videos', other)), { code: 'ENOENT' });
});

test('what is wrong with a search is named', async () => {
  const wrong: readonly (readonly [unknown, number, string, string | null])[] = [
    [{}, 400, 'invalid_request', 'text'],
    [{ text: 'a', like: { video: demo, frame: 0 } }, 400, 'invalid_request', 'text'],
    [{ text: ' ?! ' }, 400, 'empty_question', 'text'],
    [{ text: 'x'.repeat(7000) }, 400, 'question_too_long', 'text'],
    [{ text: 'a', videos: ['vid_000000000000000000000000'] }, 404, 'video_not_found', 'videos[0]'],
    [{ like: { video: demo, frame: 100_000 } }, 404, 'frame_not_found', 'like.frame'],
    [{ text: 'a', limit: 1001 }, 400, 'invalid_request', 'limit'],
    [{ text: 'a', scope: 'words' }, 400, 'invalid_request', 'scope'],
    [{ text: 'a', top: 3 }, 400, 'unsupported_parameter', 'top'],
  ];
  for (const [body, status, code, param] of wrong) {
    const error = await errorOf(await post(body));
    assert.deepEqual([error.status, error.code, error.param], [status, code, param], JSON.stringify(body));
  }
});

test('an answer that says when carries its moments, over the socket and over HTTP', async () => {
  const chat = client.chat(demo, 'When is a rabbit in the grass?', { maxTokens: 8 });
  let text = '';
  for (;;) {
    const next = await chat.next();
    if (next.done !== true) {
      text += next.value;
      continue;
    }
    const content = next.value.output[0]?.content[0];
    assert.ok(content?.type === 'output_text');
    assert.equal(content.text, text);
    check(text, content.annotations);
    break;
  }
  const message = await complete('When is a rabbit in the grass?');
  assert.equal(message.content, text);
  check(message.content, message.annotations);
  assert.ok(message.annotations.every(({ score }) => score !== undefined));
});

test('an answer about a part of the video names its seconds, and only those of the video', async () => {
  const [first, last, past] = [await complete('What happens first?'), await complete('What happens at the end?'), await complete('What happens at 2:00:00?')];
  check(first.content, first.annotations);
  check(last.content, last.annotations);
  assert.equal(first.annotations[0]?.start_s, 0);
  assert.ok((first.annotations[0]?.end_s ?? Infinity) <= (last.annotations[0]?.start_s ?? -1));
  assert.match(past.content, /^The video ends at \d+\.\d s: there is nothing at 2:00:00\.$/);
  assert.deepEqual(past.annotations, []);
});

interface Answer {
  readonly content: string;
  readonly annotations: readonly { readonly type: string; readonly video: string; readonly start_s: number; readonly end_s: number; readonly score?: number | undefined }[];
}

async function complete(question: string): Promise<Answer> {
  const messages = [{ role: 'user', content: [{ type: 'video_url', video_url: { url: `video://${demo}` } }, { type: 'text', text: question }] }];
  const answer = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ messages, max_tokens: 8 }) });
  return ((await answer.json()) as { choices: { message: Answer }[] }).choices[0]?.message ?? assert.fail();
}

/** Every moment the text names has its annotation. */
function check(text: string, annotations: Answer['annotations']): void {
  assert.ok(annotations.length > 0, text);
  for (const { type, video, start_s, end_s, score } of annotations) {
    assert.deepEqual([type, video], ['moment', demo]);
    assert.ok(text.toLowerCase().includes(`from ${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s`), text);
    assert.ok(end_s > start_s && (score === undefined || (score > 0 && score <= 1)));
  }
}

test('the command line searches files and servers alike', async () => {
  const container = path.join(demoDir, 'bunny.linr');
  const local = await runCli(['search', 'a rabbit', container, '--json', '--limit', '3']);
  assert.equal(local.code, 0, local.stderr);
  const hits = local.stdout.trim().split('\n').map((line) => JSON.parse(line) as { source: string; score: number; start_s: number; frame: number });
  assert.ok(hits.length > 0 && hits.length <= 3 && hits.every(({ source }) => source === container));
  const remote = await runCli(['search', 'a rabbit', demo, '--server', server.url, '--json', '--limit', '3']);
  assert.equal(remote.code, 0, remote.stderr);
  assert.deepEqual(remote.stdout.trim().split('\n').map((line) => (JSON.parse(line) as { frame: number }).frame), hits.map(({ frame }) => frame));

  const table = await runCli(['search', '--like', container, '--frame', '40', demoDir, '--scope', 'frames', '--limit', '2']);
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /^ +\d+\.\d - +\d+\.\d s +0\.\d{3} {2}.*bunny\.linr\n/);
  for (const [args, message] of [
    [['search', 'a dog'], /Name the files or folders/],
    [['search', '?!', container], /nothing to look for/],
    [['search', '--like', container, '--frame', '9999', container], /there is no frame 9999/],
    [['search', 'a dog', '--frame', '3', container], /needs --like/],
  ] as const) {
    const { code, stderr } = await runCli(args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, message);
  }
});
