// Captioning from end to end with the default model pack: stretches, formats, jobs, and what a kill leaves.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { readContainer, writeContainer } from '../../model/container/index.js';
import { defaultPackFolder, ModelPack } from '../../model/pack/open.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { cliMain, runCli, withoutTestRunner } from '../helpers/cli.js';
import { sampleContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { discScene, makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let clip: string;
let photo: string;
let film: string;
const at = (name: string): string => path.join(folder.path, name);

/** A container of the default pack's feature space: two shots of random latents, half a second a frame. */
async function twoShots(): Promise<Uint8Array> {
  const { manifest } = await ModelPack.open(defaultPackFolder());
  const { dim } = manifest.latent;
  const random = seededRandom('two shots');
  const shot = (): number[][] => {
    const still = Array.from({ length: dim }, () => normal(random));
    return Array.from({ length: 10 }, () => still.map((value) => value + 0.02 * normal(random)));
  };
  const { meta } = sampleContainer();
  const { id, feature_space } = manifest;
  return writeContainer({
    meta: { ...meta, frames: 20, segments: [20], duration_s: 10, times_s: Float64Array.from({ length: 20 }, (_, i) => i / 2), pack: { id, feature_space } },
    latents: Float32Array.from([...shot(), ...shot()].flat()),
    latentDim: dim,
    networks: [null],
  });
}

before(async () => {
  folder = await TestFolder.make();
  clip = await folder.write('clip.mp4', await makeVideo({ width: 96, height: 64, picture: discScene }));
  photo = at('photo.png');
  await sharp(discScene(4, 120, 80), { raw: { width: 120, height: 80, channels: 3 } }).png().toFile(photo);
  film = await folder.write('film.linr', await twoShots());
  await folder.write('broken.mp4', 'this is a text');
});
after(() => folder.remove());

type Line = Readonly<Record<string, unknown>>;
const linesOf = async (file: string): Promise<Line[]> => (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as Line);
/** A line without the seconds it took. */
const timeless = ({ seconds: _, ...line }: Line): Line => line;

describe('latentchat caption', () => {
  test('writes a line for each input, an error line for a bad one, and goes on where it stopped', async () => {
    const out = at('captions.jsonl');
    const first = await runCli(['caption', photo, at('broken.mp4'), '--out', out]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /1 written, 1 failed/);
    const second = await runCli(['caption', photo, at('broken.mp4'), clip, '--out', out]);
    assert.match(second.stdout, /1 written, 2 were there already/);
    const lines = await linesOf(out);
    assert.deepEqual(lines.map(({ id }) => id), [photo, at('broken.mp4'), clip]);
    assert.ok(typeof lines[0]?.['caption'] === 'string' && lines[0]['caption'].length > 5);
    assert.deepEqual(Object.keys(lines[1]?.['error'] as object), ['code', 'message']);
    assert.deepEqual([lines[2]?.['start_s'], lines[2]?.['end_s']], [0, 1]);
    const other = await folder.write('other-pack.jsonl', `${JSON.stringify({ ...lines[0], pack: 'another' })}\n`);
    assert.match((await runCli(['caption', photo, '--out', other])).stderr, /begun with the model pack another/);
    assert.match((await runCli(['caption', photo, '--out', out, '--prompt', 'What is this?'])).stderr, /begun with other options/);
  });

  test('gives shots and stretches their own times, and writes subtitles and tables', async () => {
    const shots = await runCli(['caption', film, '--per', 'shot', '--out', at('shots.vtt'), '--format', 'vtt']);
    assert.equal(shots.code, 0, shots.stderr);
    assert.match(await readFile(at('shots.vtt'), 'utf8'), /^WEBVTT\n\n00:00:00\.000 --> 00:00:05\.000\n.+\n\n00:00:05\.000 --> 00:00:10\.000\n.+\n$/);
    const every = await runCli(['caption', film, photo, '--per', 'every 4s', '--out', at('every'), '--format', 'srt']);
    assert.equal(every.code, 0, every.stderr);
    assert.deepEqual((await readdir(at('every'))).sort(), ['film.linr.srt', 'photo.png.srt']);
    assert.match(await readFile(at('every/film.linr.srt'), 'utf8'), /\n\n3\n00:00:08,000 --> 00:00:10,000\n.+\n$/);
    assert.deepEqual((await linesOf(at('every.jsonl'))).map(({ id, part, parts }) => [path.basename(String(id)), part, parts]), [
      ['film.linr#1', 1, 3],
      ['film.linr#2', 2, 3],
      ['film.linr#3', 3, 3],
      ['photo.png#1', 1, 1],
    ]);
    const table = await runCli(['caption', film, at('broken.mp4'), '--out', at('table.csv'), '--format', 'csv']);
    assert.equal(table.code, 0, table.stderr);
    const rows = (await readFile(at('table.csv'), 'utf8')).split('\r\n');
    assert.equal(rows[0], 'id,source,start_s,end_s,caption,pack,tokens,seconds,error');
    assert.match(rows[2] ?? '', /broken\.mp4.*neither a photo nor a video/);
  });

  test('gives the same lines in the same order with one job and with two, drawn from a seed', async () => {
    const inputs = [film, photo, clip, at('broken.mp4'), at('*.png')];
    const options = ['--per', 'every 3s', '--temperature', '1', '--max-tokens', '12'];
    for (const [name, more] of [['one', []], ['two', ['--jobs', '2']], ['seeded', ['--seed', '2']]] as const) {
      const { code, stderr } = await runCli(['caption', ...inputs, ...options, ...more, '--threads', '1', '--out', at(`${name}.jsonl`)]);
      assert.equal(code, 0, stderr);
    }
    const [one, two, seeded] = await Promise.all(['one', 'two', 'seeded'].map((name) => linesOf(at(`${name}.jsonl`))));
    assert.deepEqual(two?.map(timeless), one?.map(timeless));
    assert.notDeepEqual(seeded?.map(({ caption }) => caption), one?.map(({ caption }) => caption));
  });

  test('killed again and again, it ends with the lines of a run that nothing disturbed', async () => {
    await mkdir(at('many'), { recursive: true });
    const bytes = await readFile(film);
    const container = readContainer(bytes);
    const random = seededRandom('kills');
    for (let i = 0; i < 5; i++) {
      const latents = container.latents.map((value) => value + 0.3 * normal(random));
      await writeFile(at(`many/${i}.linr`), writeContainer({ ...container, latents }));
    }
    await writeFile(at('many/3.mp4'), 'not a video');
    const command = (out: string): string[] => ['caption', at('many'), '--per', 'every 2s', '--beams', '1', '--max-tokens', '16', '--out', out];
    const whole = await runCli(command(at('whole.jsonl')));
    assert.equal(whole.code, 0, whole.stderr);
    const out = at('killed.jsonl');
    let [kills, before] = [0, 0];
    for (let attempt = 0; ; attempt++) {
      assert.ok(attempt < 60, 'it never came to an end');
      // Long enough to load the model, then at any moment while lines are written.
      const end = await killedAfter(command(out), out, before + Math.floor(random() * 8), 60 * random());
      if (end === 'finished') break;
      kills++;
      before = (await readFile(out, 'utf8')).split('\n').length - 1;
    }
    assert.ok(kills >= 3, `killed ${kills} times only`);
    assert.deepEqual((await linesOf(out)).map(timeless), (await linesOf(at('whole.jsonl'))).map(timeless));
  });

  test('captions a server\'s videos by their ids, and all of them', async () => {
    const server = new ServerProcess(at('data'));
    await server.start();
    try {
      const { LatentChat } = await import('../../client/sdk/index.js');
      const client = new LatentChat({ baseUrl: server.url });
      const { id } = await client.upload(await readFile(film), { name: 'film.linr' });
      for (let look = 0; !(await client.videos.get(id)).askable; look++) {
        assert.ok(look < 300);
        await wait(100);
      }
      const { code, stderr } = await runCli(['caption', `video://${id}`, 'video://*', '--server', server.url, '--out', at('served.jsonl')]);
      assert.equal(code, 0, stderr);
      const [line, ...rest] = await linesOf(at('served.jsonl'));
      assert.deepEqual([line?.['source'], line?.['end_s'], rest.length], [`video://${id}`, 10, 0]);
      assert.match((await runCli(['caption', `video://${id}`, '--out', at('x.jsonl')])).stderr, /add --server/);
    } finally {
      await server.stop();
      await rm(at('data'), { recursive: true, force: true });
    }
  });
});

/** Runs the command and kills it `later_ms` after its output holds more than `lines` lines. */
async function killedAfter(args: readonly string[], out: string, lines: number, later_ms: number): Promise<'killed' | 'finished'> {
  const child = spawn(process.execPath, [cliMain, ...args], { stdio: 'ignore', env: withoutTestRunner() });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const written = await readFile(out, 'utf8').then((text) => text.split('\n').length - 1, () => 0);
    if (over || written > lines) break;
    await wait(5);
  }
  await wait(later_ms);
  child.kill('SIGKILL');
  const [code] = await ended;
  return code === 0 ? 'finished' : 'killed';
}
