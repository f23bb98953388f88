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
    const file = await folder.write('captions.jsonl', lines({ id: 'a', source: 'clips/a.linr', references: ['one', 'two'] }, { id: 7, source: '/abs/b.mp4', references: ['three'] }));
    assert.deepEqual(await readCaptionData(file), [
      { id: 'a', source: 'clips/a.linr', file: path.join(folder.path, 'clips/a.linr'), references: ['one', 'two'] },
      { id: '7', source: '/abs/b.mp4', file: '/abs/b.mp4', references: ['three'] },
    ]);
  });

  test('a table of images and captions gathers the captions of each image', async () => {
    const file = await folder.write('dev.tsv', 'image\tcaption\nx.jpg\tA dog .\ny.jpg\tA cat\r\nx.jpg\tThe dog\n');
    assert.deepEqual(await readCaptionData(file), [
      { id: 'x.jpg', source: 'images/x.jpg', file: path.join(folder.path, 'images/x.jpg'), references: ['A dog .', 'The dog'] },
      { id: 'y.jpg', source: 'images/y.jpg', file: path.join(folder.path, 'images/y.jpg'), references: ['A cat'] },
    ]);
  });

  test('questions keep their type where they have one', async () => {
    const file = await folder.write('qa.jsonl', lines({ id: '1', source: 'a', question: 'Q?', answers: ['x'], type: 'what' }, { id: '2', source: 'a', question: 'R?', answers: ['y'] }));
    assert.deepEqual((await readQuestionData(file)).map(({ question, answers, type }) => [question, answers, type]), [['Q?', ['x'], 'what'], ['R?', ['y'], null]]);
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
      [lines({ id: 'a', source: 'video://v1', references: ['r'] }), /video of a server/],
    ];
    for (const [text, message] of cases) {
      const file = await folder.write('bad.jsonl', text);
      await assert.rejects(readCaptionData(file), (error: unknown) => error instanceof UserError && error.message.includes('bad.jsonl') && message.test(error.message), text);
    }
    const table = await folder.write('bad.tsv', 'photo\ttext\na\tb\n');
    await assert.rejects(readCaptionData(table), /columns image and caption/);
  });

  test('predictions with an error count as nothing said', async () => {
    const file = await folder.write('p.jsonl', lines({ id: 1, caption: 'x' }, { id: '2', error: { code: 'not_media', message: 'm' } }));
    assert.deepEqual([...(await readPredictions(file, 'caption'))], [['1', 'x'], ['2', '']]);
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
    const empty = path.join(folder.path, 'empty');
    await mkdir(empty);
    await assert.rejects(expandInputs([empty]), /has no videos, photos or containers/);
  });
});

describe('evaluate with predictions from a file', () => {
  test('captions: prints the scores and writes the report', async () => {
    const data = await folder.write('d.jsonl', lines({ id: 'a', source: 'a', references: ['a red bus stops here now'] }, { id: 'b', source: 'b', references: ['two boats sail far away'] }));
    const predictions = await folder.write('dp.jsonl', lines({ id: 'b', caption: 'Two boats sail far away.' }, { id: 'a', caption: 'A red bus stops here now.' }));
    const report = path.join(folder.path, 'report.json');
    const { code, stdout } = await runCli(['evaluate', 'captions', data, '--predictions', predictions, '--report', report]);
    assert.equal(code, 0);
    assert.match(stdout, /^2 captions of .*\nBLEU-1 +1\.0000\n(.*\n)*CIDEr-D +10\.0000\n$/);
    const figures = JSON.parse(await readFile(report, 'utf8')) as Record<string, unknown>;
    assert.deepEqual([figures['task'], figures['count'], figures['predictions']], ['captions', 2, predictions]);
    assert.ok(Math.abs(Number(figures['cider_d']) - 10) < 1e-6);
  });

  test('answers: exact match overall and by type', async () => {
    const data = await folder.write('q.jsonl', lines({ id: 1, source: 's', question: 'How many?', answers: ['two'], type: 'number' }, { id: 2, source: 's', question: 'Colour?', answers: ['red'], type: 'colour' }));
    const predictions = await folder.write('qp.jsonl', lines({ id: 1, answer: '2.' }, { id: 2, answer: 'a blue one' }));
    const { code, stdout } = await runCli(['evaluate', 'qa', data, '--predictions', predictions]);
    assert.equal(code, 0);
    assert.match(stdout, /exact match +0\.5000\n/);
    assert.match(stdout, /exact match, number \(1\) +1\.0000\n/);
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
