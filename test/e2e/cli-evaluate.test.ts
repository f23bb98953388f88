// Evaluation from end to end with the default model pack: four rows, resuming, multiple choice, a server, and the page in a real browser.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { encodeLatents } from '../../index.js';
import { CAPTION_BEAMS } from '../../projector/captions.js';
import { runCli, runHere, SharedModels } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { discScene, makeVideo } from '../helpers/videos.js';
import { Chromium, screenshot } from './page-harness.js';

let folder: TestFolder;
let captions: string;
const shared = new SharedModels();
const run = (args: readonly string[]): ReturnType<typeof runHere> => runHere(args, shared);
const at = (name: string): string => path.join(folder.path, name);
const lines = (...objects: unknown[]): string => objects.map((object) => `${JSON.stringify(object)}\n`).join('');

type Line = Readonly<Record<string, unknown>>;
const linesOf = async (file: string): Promise<Line[]> => (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as Line);

const REFERENCES = ['A yellow ball over a green field.', 'The sun in a blue sky.'];

before(async () => {
  folder = await TestFolder.make();
  await folder.write('clip.mp4', await makeVideo({ width: 96, height: 64, times: [0, 0.3, 0.6], picture: discScene }));
  await sharp(discScene(4, 120, 80), { raw: { width: 120, height: 80, channels: 3 } }).png().toFile(at('photo.png'));
  captions = await folder.write('data.jsonl', lines({ id: 'photo', source: 'photo.png', references: REFERENCES }, { id: 'clip', source: 'clip.mp4', references: REFERENCES }));
});
after(async () => {
  await shared.release();
  await folder.remove();
});

describe('latentchat evaluate', () => {
  const command = (): string[] => ['evaluate', 'captions', captions, '--seconds', '1', '--out', at('said.jsonl'), '--report', at('report.json'), '--html', at('report.html')];

  test('captions: a video gets all four rows, a photo all but the decoded one, and every line has its references', async () => {
    const { code, stdout, stderr } = await run(command());
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^2 captions .*\n +items +BLEU-1.*\nlatents, read back from \.linr +2 .*\nfeatures of the original frames +2 .*\nfeatures of the decoded frames +1 .*\nno video at all +2 .*\n$/);
    const said = await linesOf(at('said.jsonl'));
    assert.deepEqual(said.map(({ id, row }) => `${String(id)} ${String(row)}`), ['photo latents', 'photo raw', 'photo none', 'clip latents', 'clip raw', 'clip decoded', 'clip none']);
    assert.ok(said.every((line) => typeof line['caption'] === 'string' && line['caption'].length > 5 && Array.isArray(line['references'])));
    assert.equal(said[2]?.['caption'], said[6]?.['caption'], 'without a video all captions are one');
    const report = JSON.parse(await readFile(at('report.json'), 'utf8')) as { answered: number; beams: number; rows: Record<string, { count: number; cider_d: number }> };
    assert.deepEqual([report.answered, report.beams, report.rows['decoded']?.count], [7, CAPTION_BEAMS, 1]);
    assert.equal((await readdir(at('said.jsonl.containers'))).filter((name) => name.endsWith('.linr')).length, 1);
  });

  test('goes on where it was cut off, and scores a file of what was said as it did then', async () => {
    const before = await linesOf(at('said.jsonl'));
    const text = await readFile(at('said.jsonl'), 'utf8');
    await writeFile(at('said.jsonl'), text.slice(0, text.lastIndexOf('{"id"') + 25));
    const again = await run(command());
    assert.equal(again.code, 0, again.stderr);
    const timeless = ({ seconds: _, ...line }: Line): Line => line;
    assert.deepEqual((await linesOf(at('said.jsonl'))).map(timeless), before.map(timeless));
    assert.equal((JSON.parse(await readFile(at('report.json'), 'utf8')) as { answered: number }).answered, 1);
    // As a process of its own, as a user runs it.
    const scored = await runCli(['evaluate', 'captions', captions, '--predictions', at('said.jsonl')]);
    assert.equal(scored.stdout.split('\n').slice(1).join('\n'), again.stdout.split('\n').slice(1).join('\n'));
    const other = await run([...command(), '--max-tokens', '8']);
    assert.match(other.stderr, /begun with other options/);
  });

  test('the page stands alone in a browser and shows pictures of photo and video', async () => {
    const chromium = await Chromium.start();
    try {
      const { page, conduct } = await chromium.open(pathToFileURL(at('report.html')).href);
      assert.deepEqual(conduct.complaints, []);
      assert.deepEqual(conduct.requests.filter((url) => !url.startsWith('data:') && !url.startsWith('file:')), []);
      const widths = await page.locator('article img').evaluateAll((images) => images.map((image) => (image instanceof HTMLImageElement && image.complete ? image.naturalWidth : 0)));
      assert.ok(widths.length === 4 && widths.every((width) => width >= 96), `one of the photo and three of the video: ${widths.join(' ')}`);
      assert.equal(await page.locator('figure svg').count(), 4);
      assert.equal(await page.locator('table').first().locator('tbody tr').count(), 4);
      await screenshot(page, 'evaluation', true);
    } finally {
      await chromium.close();
    }
  });

  test('qa: multiple choice takes the likeliest, and a bad file or a row that cannot be becomes a line with an error', async () => {
    const own = String((await linesOf(at('said.jsonl')))[0]?.['caption']);
    const data = await folder.write(
      'qa.jsonl',
      lines(
        { id: '1', source: 'photo.png', question: 'What is in the sky?', answers: ['sun'], type: 'what' },
        { id: '2', source: 'photo.png', question: 'Describe what you see in one sentence.', answers: [own], choices: ['Municipal bonds fell.', own, 'Seventeen xylophones.'], type: 'choice' },
        { id: '3', source: 'missing.mp4', question: 'What is it?', answers: ['x'] },
      ),
    );
    const { code, stdout, stderr } = await run(['evaluate', 'qa', data, '--rows', 'latents,decoded,none', '--seconds', '1', '--limit', '3', '--out', at('answers.jsonl')]);
    assert.equal(code, 0, stderr);
    const said = await linesOf(at('answers.jsonl'));
    const answer = (id: string, row: string): unknown => said.find((line) => line['id'] === id && line['row'] === row)?.['answer'];
    assert.equal(said.length, 9);
    assert.equal(answer('2', 'latents'), own);
    assert.ok(typeof answer('1', 'decoded') === 'string', 'a photo has a decoded row where it is asked for');
    assert.deepEqual(said.filter((line) => line['error'] !== undefined).map(({ id, row }) => [id, row]), [['3', 'latents'], ['3', 'decoded']]);
    assert.match(stdout, /latents, read back from \.linr +3 \(1 failed\)/);
    await rm(at('answers.jsonl.containers'), { recursive: true });
  });

  test('asks a server through its public API: its own videos, and files that it is sent and forgets again', async () => {
    const server = new ServerProcess(at('server'), { threads: 1, encode: { preset: 'draft', seconds: 1 } });
    await server.start();
    try {
      const { LatentChat } = await import('../../client/sdk/index.js');
      const client = new LatentChat({ baseUrl: server.url });
      // Its latents alone, which need no encoding there: training would move them.
      await encodeLatents(at('photo.png'), { output: at('photo.linr'), threads: 1 });
      const { id } = await client.upload(await readFile(at('photo.linr')), { name: 'photo.linr' });
      const data = await folder.write('served.jsonl', lines({ id: 'a', source: `video://${id}`, references: REFERENCES }, { id: 'b', source: 'photo.linr', references: REFERENCES }));
      const args = ['evaluate', 'captions', data, '--out', at('served-said.jsonl')];
      await client.videos.untilAskable(id);
      const { code, stdout, stderr } = await run([...args, '--server', server.url]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /latents, read back from \.linr +2 .*\nno video at all +2 /);
      const said = await linesOf(at('served-said.jsonl'));
      assert.equal(said[0]?.['caption'], said[2]?.['caption'], 'the same photo, there and sent');
      assert.deepEqual((await client.videos.list()).map((video) => video.id), [id]);
      assert.match((await run([...args, '--beams', '3', '--server', server.url])).stderr, /add --beams 5 or --beams 1/);
      assert.match((await run([...args, '--beams', '1', '--rows', 'raw', '--server', server.url])).stderr, /leave "raw" out/);
      assert.match((await run([...args, '--beams', '1', '--server', 'http://127.0.0.1:9'])).stderr, /does not answer/);
      const judged = await run(['evaluate', 'captions', data, '--predictions', at('served-said.jsonl'), '--judge-url', `${server.url}/v1`, '--judge-model', 'latentchat-smollm2-135m-v1', '--report', at('judged.json')]);
      assert.equal(judged.code, 0, judged.stderr);
      const { judge } = JSON.parse(await readFile(at('judged.json'), 'utf8')) as { judge: { verdicts: { reply: string }[] } };
      assert.ok(judge.verdicts.length === 4 && judge.verdicts.every(({ reply }) => reply.length > 0), 'the server itself can be the judge');
    } finally {
      await rm(at('photo.linr'), { force: true });
      await server.stop();
    }
  });

  test('pack: a table of captions, questions, clips and videos, kept, gone on with and reported', async () => {
    const data = at('pack-data');
    await mkdir(path.join(data, 'images'), { recursive: true });
    await folder.write('pack-data/images/photo.png', await readFile(at('photo.png')));
    await folder.write('pack-data/dev.tsv', `image\tcaption\n${REFERENCES.map((caption) => `photo.png\t${caption}\n`).join('')}`);
    const scenes = [{ source: 'images/photo.png', seconds: 2 }, { source: 'images/photo.png', seconds: 2, zoom: [0.2, 0.2, 0.6, 0.6] }];
    await folder.write(
      'pack-data/questions.jsonl',
      lines(
        { id: 'y', source: 'images/photo.png', question: 'Is there a dog? Answer yes or no.', answers: ['No.'], type: 'yes/no' },
        { id: 'o', source: 'clip', scenes, question: 'What happens first?', answers: [REFERENCES[0]], choices: REFERENCES, type: 'order' },
        { id: 'm', source: 'clip', scenes, question: 'When does a ball appear?', answers: ['From 0.2 to 3.8 seconds.'], moment: [0, 4], type: 'moment' },
      ),
    );
    const command = ['evaluate', 'pack', '--data', data, '--rows', 'captions,precision,questions,clips', '--out', at('pack-said'), '--report', at('pack.json')];
    const { code, stdout, stderr } = await run([...command, '--videos', folder.path]);
    assert.equal(code, 0, stderr);
    for (const row of [/^captions from latents read back: CIDEr-D +1 /m, /^latents against raw features +1 /m, /^as the weights are run against float32 +1 /m, /^yes or no.* +1 +[01]\.0000 +[01]\.0000 +0\.85$/m, /^order of scenes +1 +[01]\.0000 +0\.5000/m, /^moments.* +1 /m, /^clip\.mp4: \w/m]) assert.match(stdout, row);
    const kept = await linesOf(at('pack-said/clips.jsonl'));
    assert.deepEqual(kept.map(({ id }) => id), ['o', 'm']);
    assert.ok(REFERENCES.includes(String(kept[0]?.['answer'])), 'one of the choices');
    assert.match(String(kept[1]?.['answer']), /from \d+\.\d s to \d+\.\d s: /i, 'the moment that search finds, as in a chat');
    const report = JSON.parse(await readFile(at('pack.json'), 'utf8')) as { rows: { key: string; value: number }[]; videos: { video: string; answers: string[] }[] };
    assert.deepEqual(report.videos.map(({ video, answers }) => [video, answers.length]), [['clip.mp4', 3]]);
    const again = await run(command);
    assert.equal(again.stdout, stdout.slice(0, stdout.indexOf('clip.mp4:')));
    assert.equal((await linesOf(at('pack-said/clips.jsonl'))).length, 2, 'nothing was asked twice');
    assert.match((await run(['evaluate', 'pack', '--rows', 'captions'])).stderr, /"captions" of --rows needs --data/);
    assert.equal((await run(['evaluate', 'pack', '--rows', 'nonsense'])).code, 2);
  });

  test('help says what the rows are and which are left out', async () => {
    const { stdout } = await run(['evaluate', 'captions', '--help']);
    assert.match(stdout, /photos all but decoded/);
    assert.match(stdout, /METEOR is left out/);
    assert.equal((await run(['evaluate', 'captions', captions, '--rows', 'latents,nonsense'])).code, 2);
    assert.equal((await run(['evaluate', 'captions', captions, '--format', 'next-qa'])).code, 2);
  });
});
