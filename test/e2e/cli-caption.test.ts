// Captioning from end to end: with the default model pack what the model says, with one of random weights stretches, formats, kills and servers.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { LatentChat } from '../../client/sdk/index.js';
import { readContainer, writeContainer } from '../../model/container/index.js';
import { defaultPackFolder } from '../../model/pack/open.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { startServer } from '../../server/index.js';
import { captionUnderKills } from '../helpers/caption-kills.js';
import { runCli, runHere, SharedModels } from '../helpers/cli.js';
import { twoShots } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { writeTinyPack } from '../helpers/tiny-pack.js';
import { discScene, makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let clip: string;
let photo: string;
let film: string;
/** Folder of a pack of random weights, and a film of its feature space. */
let tiny: string;
let tinyFilm: string;
const shared = new SharedModels();
const at = (name: string): string => path.join(folder.path, name);
const run = (...args: readonly string[]): ReturnType<typeof runHere> => runHere(['caption', ...args], shared);

before(async () => {
  folder = await TestFolder.make();
  clip = await folder.write('clip.mp4', await makeVideo({ width: 96, height: 64, times: [0, 0.5], picture: discScene }));
  photo = at('photo.png');
  await sharp(discScene(4, 120, 80), { raw: { width: 120, height: 80, channels: 3 } }).png().toFile(photo);
  film = await folder.write('film.linr', await twoShots(defaultPackFolder()));
  tiny = await writeTinyPack(folder.path);
  tinyFilm = await folder.write('tiny.linr', await twoShots(tiny));
  await folder.write('broken.mp4', 'this is a text');
});
after(async () => {
  await shared.release();
  await folder.remove();
});

type Line = Readonly<Record<string, unknown>>;
const linesOf = async (file: string): Promise<Line[]> => (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as Line);
/** A line without the seconds it took. */
const timeless = ({ seconds: _, ...line }: Line): Line => line;

describe('latentchat caption', () => {
  test('writes a line for each input, an error line for a bad one, and goes on where it stopped', async () => {
    const out = at('captions.jsonl');
    // As a process of its own, as a user runs it.
    const first = await runCli(['caption', photo, at('broken.mp4'), '--threads', '1', '--out', out]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /1 written, 1 failed/);
    const second = await run(photo, at('broken.mp4'), clip, '--out', out);
    assert.match(second.stdout, /1 written, 2 were there already/);
    const lines = await linesOf(out);
    assert.deepEqual(lines.map(({ id }) => id), [photo, at('broken.mp4'), clip]);
    assert.ok(typeof lines[0]?.['caption'] === 'string' && lines[0]['caption'].length > 5);
    assert.deepEqual(Object.keys(lines[1]?.['error'] as object), ['code', 'message']);
    assert.equal(lines[2]?.['start_s'], 0);
    assert.ok(Number(lines[2]?.['end_s']) >= 0.5 && typeof lines[2]?.['caption'] === 'string');
    const other = await folder.write('other-pack.jsonl', `${JSON.stringify({ ...lines[0], pack: 'another' })}\n`);
    assert.match((await run(photo, '--out', other)).stderr, /begun with the model pack another/);
    assert.match((await run(photo, '--out', out, '--prompt', 'What is this?')).stderr, /begun with other options/);
  });

  test('gives shots and stretches their own times, and writes subtitles and tables', async () => {
    const shots = await run(tinyFilm, '--pack', tiny, '--per', 'shot', '--out', at('shots.vtt'), '--format', 'vtt');
    assert.equal(shots.code, 0, shots.stderr);
    assert.match(await readFile(at('shots.vtt'), 'utf8'), /^WEBVTT\n\n00:00:00\.000 --> 00:00:05\.000\n.+\n\n00:00:05\.000 --> 00:00:10\.000\n.+\n$/);
    await folder.write('other.linr', await readFile(tinyFilm));
    const every = await run(tinyFilm, at('other.linr'), '--pack', tiny, '--per', 'every 4s', '--jobs', '4', '--out', at('every'), '--format', 'srt');
    assert.equal(every.code, 0, every.stderr);
    assert.deepEqual((await readdir(at('every'))).sort(), ['other.linr.srt', 'tiny.linr.srt']);
    assert.match(await readFile(at('every/tiny.linr.srt'), 'utf8'), /\n\n3\n00:00:08,000 --> 00:00:10,000\n.+\n$/);
    assert.deepEqual((await linesOf(at('every.jsonl'))).map(({ id, part, parts }) => [path.basename(String(id)), part, parts]), [
      ['tiny.linr#1', 1, 3],
      ['tiny.linr#2', 2, 3],
      ['tiny.linr#3', 3, 3],
      ['other.linr#1', 1, 3],
      ['other.linr#2', 2, 3],
      ['other.linr#3', 3, 3],
    ]);
    const table = await run(film, at('broken.mp4'), '--out', at('table.csv'), '--format', 'csv', '--beams', '1', '--max-tokens', '8');
    assert.equal(table.code, 0, table.stderr);
    const rows = (await readFile(at('table.csv'), 'utf8')).split('\r\n');
    assert.equal(rows[0], 'id,source,start_s,end_s,caption,pack,tokens,seconds,error');
    assert.match(rows[2] ?? '', /broken\.mp4.*neither a photo nor a video/);
  });

  test('gives the same lines in the same order however many are written at once, searched or drawn from a seed', async () => {
    const inputs = [film, photo, at('broken.mp4'), at('*.png')];
    const lines = async (name: string, ...options: readonly string[]): Promise<Line[]> => {
      const { code, stderr } = await run(...inputs, '--per', 'every 3s', '--max-tokens', '12', '--out', at(`${name}.jsonl`), ...options);
      assert.equal(code, 0, stderr);
      return (await linesOf(at(`${name}.jsonl`))).map(timeless);
    };
    const drawn = await lines('one', '--temperature', '1');
    assert.deepEqual(await lines('three', '--temperature', '1', '--jobs', '3'), drawn);
    const seeded = await lines('seeded', '--temperature', '1', '--seed', '2', '--jobs', '8');
    assert.notDeepEqual(seeded.map(({ caption }) => caption), drawn.map(({ caption }) => caption));
    const searched = await lines('searched');
    assert.deepEqual(await lines('searched-eight', '--jobs', '8'), searched);
    assert.deepEqual(searched.map(({ id, part }) => [path.basename(String(id)), part]), [['film.linr#1', 1], ['film.linr#2', 2], ['film.linr#3', 3], ['film.linr#4', 4], ['photo.png#1', 1], ['broken.mp4', undefined]]);
  });

  test('killed again and again, it ends with the lines of a run that nothing disturbed', async () => {
    await mkdir(at('many'), { recursive: true });
    const container = readContainer(await readFile(tinyFilm));
    const random = seededRandom('kills');
    for (let i = 0; i < 12; i++) {
      const latents = container.latents.map((value) => value + 0.3 * normal(random));
      await writeFile(at(`many/${String(i).padStart(2, '0')}.linr`), writeContainer({ ...container, latents }));
    }
    await writeFile(at('many/03-broken.linr'), (await readFile(tinyFilm)).subarray(0, 40));
    const command = [at('many'), '--pack', tiny, '--per', 'every 2s', '--jobs', '3', '--beams', '2', '--max-tokens', '16', '--threads', '1'];
    const whole = await run(...command, '--out', at('whole.jsonl'));
    assert.equal(whole.code, 0, whole.stderr);
    const out = at('killed.jsonl');
    const kills = await captionUnderKills({ args: command, out, kills: Infinity, mostLines: 12, most_ms: 20, random });
    assert.ok(kills >= 3, `killed ${kills} times only`);
    assert.deepEqual((await linesOf(out)).map(timeless), (await linesOf(at('whole.jsonl'))).map(timeless));
  });

  test('captions a server\'s videos by their ids, and all of them', async () => {
    const server = await startServer({ port: 0, dataDir: at('data'), packDir: tiny, demoDir: at('no-demos'), logLevel: 'silent' });
    try {
      const client = new LatentChat({ baseUrl: server.url });
      const { id } = await client.upload(await readFile(tinyFilm), { name: 'film.linr' });
      for (let look = 0; !(await client.videos.get(id)).askable; look++) {
        assert.ok(look < 300);
        await wait(100);
      }
      const { code, stderr } = await run(`video://${id}`, 'video://*', '--pack', tiny, '--server', server.url, '--out', at('served.jsonl'));
      assert.equal(code, 0, stderr);
      const [line, ...rest] = await linesOf(at('served.jsonl'));
      assert.deepEqual([line?.['source'], line?.['end_s'], rest.length], [`video://${id}`, 10, 0]);
      assert.match((await run(`video://${id}`, '--pack', tiny, '--out', at('x.jsonl'))).stderr, /add --server/);
    } finally {
      await server.close();
    }
  });
});
