import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readCaptionData, readPredictions, readQuestionData } from '../../client/cli/evaluate/data.js';
import { UserError } from '../../client/cli/failure.js';
import { ResumedLines } from '../../client/cli/json-lines.js';
import { expandInputs } from '../../client/cli/sources.js';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

const lines = (...objects: unknown[]): string => objects.map((object) => `${JSON.stringify(object)}\n`).join('');

describe('data to evaluate on', () => {
  test('captions come with paths relative to the data file', async () => {
    const file = await folder.write('captions.jsonl', lines({ id: 'a', source: 'clips/a.linr', original: 'a.mp4', references: ['one', 'two'] }, { id: 7, source: 'video://v1', references: ['three'] }));
    assert.deepEqual(await readCaptionData(file), [
      { id: 'a', source: 'clips/a.linr', file: path.join(folder.path, 'clips/a.linr'), original: path.join(folder.path, 'a.mp4'), references: ['one', 'two'] },
      { id: '7', source: 'video://v1', file: 'video://v1', original: null, references: ['three'] },
    ]);
  });

  test('a table of images and captions gathers the captions of each image', async () => {
    const file = await folder.write('dev.tsv', 'image\tcaption\nx.jpg\tA dog .\ny.jpg\tA cat\r\nx.jpg\tThe dog\n');
    assert.deepEqual(await readCaptionData(file), [
      { id: 'x.jpg', source: 'images/x.jpg', file: path.join(folder.path, 'images/x.jpg'), original: null, references: ['A dog .', 'The dog'] },
      { id: 'y.jpg', source: 'images/y.jpg', file: path.join(folder.path, 'images/y.jpg'), original: null, references: ['A cat'] },
    ]);
  });

  test('questions keep their type and choices where they have them', async () => {
    const file = await folder.write('qa.jsonl', lines({ id: '1', source: 'a', question: 'Q?', answers: ['x'], type: 'what' }, { id: '2', source: 'a', question: 'R?', answers: ['y'], choices: ['y', 'z'] }));
    assert.deepEqual((await readQuestionData(file)).map(({ question, answers, type, choices }) => [question, answers, type, choices]), [['Q?', ['x'], 'what', null], ['R?', ['y'], null, ['y', 'z']]]);
  });

  test('what is wrong with a file is said with its name and the line or field', async () => {
    const cases: [string, RegExp][] = [
      ['', /nothing in it/],
      ['{"id":"a"\n', /line 1: this is not JSON/],
      [`${lines({ id: 'a', source: 's', references: ['r'] })}[1]\n`, /line 2: each line must be one JSON object/],
      [lines({ source: 's', references: ['r'] }), /needs an "id"/],
      [lines({ id: 'a', references: ['r'] }), /id "a" needs a text in the field "source"/],
      [lines({ id: 'a', source: 's', references: [] }), /"references"/],
      [lines({ id: 'a', source: 's', references: ['r'] }, { id: 'a', source: 's', references: ['r'] }), /"a" occurs twice/],
      [lines({ id: 'a', source: 's', original: 7, references: ['r'] }), /"original"/],
    ];
    for (const [text, message] of cases) {
      const file = await folder.write('bad.jsonl', text);
      await assert.rejects(readCaptionData(file), (error: unknown) => error instanceof UserError && error.message.includes('bad.jsonl') && message.test(error.message), text);
    }
    const table = await folder.write('bad.tsv', 'photo\ttext\na\tb\n');
    await assert.rejects(readCaptionData(table), /columns image and caption/);
  });

  test('predictions with an error count as nothing said', async () => {
    const file = await folder.write('p.jsonl', lines({ id: 1, caption: 'x' }, { id: '2', error: { code: 'not_media', message: 'm' } }, { id: 1, row: 'none', caption: 'y' }));
    assert.deepEqual(await readPredictions(file, 'caption'), new Map([['predictions', new Map([['1', 'x'], ['2', '']])], ['none', new Map([['1', 'y']])]]));
    await assert.rejects(readPredictions(file, 'answer'), /"answer"/);
  });
});

describe('output that is gone on with', () => {
  test('loses the line that a kill cut short, keeps the others and adds after them', async () => {
    const file = await folder.write('out.jsonl', `${lines({ id: 'a', caption: 'é' }, { id: 'b', caption: 'y' })}{"id":"c","capt`);
    const output = await ResumedLines.open(file);
    assert.deepEqual([...output.ids()], ['a', 'b']);
    await output.append({ id: 'c', caption: 'z' });
    assert.equal(await readFile(file, 'utf8'), lines({ id: 'a', caption: 'é' }, { id: 'b', caption: 'y' }, { id: 'c', caption: 'z' }));
  });

  test('starts anew where there is no file', async () => {
    const output = await ResumedLines.open(path.join(folder.path, 'new.jsonl'));
    assert.equal(output.ids().size, 0);
  });
});

describe('inputs', () => {
  test('are files as named and folders as what is below them, each once', async () => {
    const deep = path.join(folder.path, 'library/deep');
    await mkdir(deep, { recursive: true });
    for (const name of ['library/b.MP4', 'library/a.linr', 'library/notes.txt', 'library/deep/c.webp']) await folder.write(name, 'x');
    const library = path.join(folder.path, 'library');
    assert.deepEqual(await expandInputs([library, path.join(library, 'a.linr'), 'missing.mp4']), [
      path.join(library, 'a.linr'),
      path.join(library, 'b.MP4'),
      path.join(library, 'deep/c.webp'),
      'missing.mp4',
    ]);
    assert.deepEqual(await expandInputs([`${library}/*.linr`, `${library}/**/*.????`]), [path.join(library, 'a.linr'), path.join(library, 'deep/c.webp')]);
    assert.deepEqual(await expandInputs([`${folder.path}/*/b.*`]), [path.join(library, 'b.MP4')]);
    await assert.rejects(expandInputs([`${library}/*.mkv`]), /No file matches .*mkv/);
    const odd = await folder.write('library/what?(1).mp4', 'x');
    assert.deepEqual(await expandInputs([odd]), [odd]);
    const empty = path.join(folder.path, 'empty');
    await mkdir(empty);
    await assert.rejects(expandInputs([empty]), /has no videos, photos or containers/);
  });
});

describe('evaluate with predictions from a file', () => {
  interface Report {
    readonly task: string;
    readonly count: number;
    readonly predictions: string;
    readonly rows: Readonly<Record<string, { readonly count: number; readonly cider_d?: number; readonly cider_d_interval?: number[]; readonly items: { id: string; score: number }[] }>>;
  }

  test('captions: prints the scores and writes every figure', async () => {
    const data = await folder.write('d.jsonl', lines({ id: 'a', source: 'a', references: ['a red bus stops here now'] }, { id: 'b', source: 'b', references: ['two boats sail far away'] }));
    const predictions = await folder.write('dp.jsonl', lines({ id: 'b', caption: 'Two boats sail far away.' }, { id: 'a', caption: 'A red bus stops here now.' }));
    const report = path.join(folder.path, 'report.json');
    const { code, stdout, stderr } = await runCli(['evaluate', 'captions', data, '--predictions', predictions, '--report', report]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^2 captions of .*\n +items +BLEU-1 .*CIDEr-D\npredictions +2 +1\.0000 .* 10\.0000 \[10\.000, 10\.000\]\n$/);
    const { task, count, predictions: from, rows } = JSON.parse(await readFile(report, 'utf8')) as Report;
    assert.deepEqual([task, count, from, rows['predictions']?.count], ['captions', 2, predictions, 2]);
    assert.ok(Math.abs((rows['predictions']?.cider_d ?? 0) - 10) < 1e-6);
    assert.deepEqual(rows['predictions']?.items.map(({ id }) => id), ['a', 'b']);
  });

  test('answers: rows of one file side by side, and exact match by type', async () => {
    const data = await folder.write('q.jsonl', lines({ id: 1, source: 's', question: 'How many?', answers: ['two'], type: 'number' }, { id: 2, source: 's', question: 'Colour?', answers: ['red'], type: 'colour' }));
    const predictions = await folder.write('qp.jsonl', lines({ id: 1, row: 'none', answer: 'six' }, { id: 2, row: 'none', answer: 'a red' }, { id: 1, row: 'latents', answer: '2.' }, { id: 2, row: 'latents', answer: 'a blue one' }));
    const { code, stdout } = await runCli(['evaluate', 'qa', data, '--predictions', predictions]);
    assert.equal(code, 0);
    assert.match(stdout, /latents, read back from \.linr +2 +0\.5000 \[0\.000, 1\.000\].*\nno video at all +2 +0\.5000/);
    assert.match(stdout, /exact match by type +items +latents +none\ncolour +1 +0\.0000 \S+ \S+ +1\.0000.*\nnumber +1 +1\.0000 \S+ \S+ +0\.0000/);
  });

  test('a page with table, histogram and examples stands alone, and nothing of the data is taken for markup', async () => {
    const data = await folder.write('h.jsonl', lines({ id: 1, source: '<b>s</b>', question: 'How "many"?', answers: ['<script>'], type: 'number' }, { id: 2, source: 't', question: 'Colour?', answers: ['red'] }));
    const predictions = await folder.write('hp.jsonl', lines({ id: 1, answer: '<img src=x>' }, { id: 2, answer: 'red' }));
    const html = path.join(folder.path, 'report.html');
    const { code, stderr } = await runCli(['evaluate', 'qa', data, '--predictions', predictions, '--html', html]);
    assert.equal(code, 0, stderr);
    const page = await readFile(html, 'utf8');
    assert.ok(!/<script|<b>|<img(?! src="data:image\/jpeg;base64,)|https?:\/\//.test(page), 'markup of the data, or an outside address');
    assert.ok(page.includes('&#60;img src=x&#62;') && page.includes('no picture') && page.includes('<svg') && page.includes('Worst examples'));
  });

  test('a missing prediction is a failure that names its id', async () => {
    const data = await folder.write('m.jsonl', lines({ id: 'a', source: 'a', references: ['x'] }, { id: 'b', source: 'b', references: ['y'] }));
    const predictions = await folder.write('mp.jsonl', lines({ id: 'a', caption: 'x' }));
    const { code, stderr } = await runCli(['evaluate', 'captions', data, '--predictions', predictions]);
    assert.equal(code, 1);
    assert.match(stderr, /^latentchat: .*no line for 1 of 2 ids, the first being "b"\.\n$/);
    assert.equal((await runCli(['evaluate', 'captions', data, '--predictions', predictions, '--limit', '1'])).code, 0);
  });
});
