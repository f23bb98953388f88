import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseFlickr8k, parseMsrvtt } from '../../client/cli/evaluate/formats/captions.js';
import { readCaptionFormat, readQuestionFormat } from '../../client/cli/evaluate/formats/index.js';
import { MAX_FIELD_CHARS, parseTable } from '../../client/cli/evaluate/formats/parse.js';
import { parseActivityNetQa, parseMsrvttQa, parseNextQa, parseTgifFrameQa } from '../../client/cli/evaluate/formats/questions.js';
import { UserError } from '../../client/cli/failure.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

const sample = (name: string): string => fixture(`formats/${name}`);

describe('published questions', () => {
  test('MSVD-QA: types from the first word, videos by number or by the name the mapping gives', async () => {
    const data = await readQuestionFormat('msvd-qa', sample('msvd/test_qa.json'), {});
    assert.deepEqual(data.map(({ id, question, answers, type, source }) => [id, question, answers, type, source]), [
      ['35000', 'what is a man playing?', ['guitar'], 'what', 'vid1301.mp4'],
      ['35001', 'who slices an onion?', ['woman'], 'who', 'vid1301.mp4'],
      ['35002', 'how many puppies run?', ['three'], 'how', 'vid1302.mp4'],
    ]);
  });

  test('a video is found by any of its names, a container before the file it was made from', async () => {
    const media = path.join(folder.path, 'YouTubeClips');
    await mkdir(path.join(media, 'deep'), { recursive: true });
    for (const name of ['test_qa.json', 'youtube_mapping.txt']) await copyFile(sample(`msvd/${name}`), path.join(folder.path, name));
    for (const name of ['YouTubeClips/vid1302.linr', 'YouTubeClips/vid1302.avi', 'YouTubeClips/deep/mv89psg6zh4_33_46.avi']) await folder.write(name, 'x');
    const data = await readQuestionFormat('msvd-qa', path.join(folder.path, 'test_qa.json'), {});
    assert.deepEqual(data.map(({ file, original }) => [file, original]), [
      [path.join(media, 'deep/mv89psg6zh4_33_46.avi'), null],
      [path.join(media, 'deep/mv89psg6zh4_33_46.avi'), null],
      [path.join(media, 'vid1302.linr'), path.join(media, 'vid1302.avi')],
    ]);
    await assert.rejects(readQuestionFormat('msvd-qa', path.join(folder.path, 'test_qa.json'), { media: path.join(folder.path, 'none') }), /ENOENT/);
  });

  test('MSRVTT-QA', async () => {
    const data = await readQuestionFormat('msrvtt-qa', sample('msrvtt/test_qa.json'), {});
    assert.deepEqual(data.map(({ id, answers, type, source }) => [id, answers, type, source]), [
      ['158581', ['couch'], 'what', 'video7010.mp4'],
      ['158582', ['kitchen'], 'where', 'video7011.mp4'],
      ['158583', ['yes'], 'other', 'video7011.mp4'],
    ]);
  });

  test('ActivityNet-QA: answers come from the file beside, types by their names', async () => {
    const data = await readQuestionFormat('activitynet-qa', sample('activitynet/test_q.json'), {});
    assert.deepEqual(data.map(({ id, answers, type, source }) => [id, answers, type, source]), [
      ['v_1QIUV7WYKXg_3', ['yes'], 'yes/no', 'v_1QIUV7WYKXg.mp4'],
      ['v_1QIUV7WYKXg_4', ['clap'], 'temporal relationship', 'v_1QIUV7WYKXg.mp4'],
      ['v_zZ0_1', ['2'], 'number', 'v_zZ0.mp4'],
    ]);
    await assert.rejects(readQuestionFormat('activitynet-qa', sample('activitynet/test_a.json'), {}), /file of questions/);
  });

  test('TGIF-QA frame questions: a table with tabs, in which quotes are only quotes', async () => {
    const data = await readQuestionFormat('tgif-qa', sample('tgif/Test_frameqa_question.csv'), {});
    assert.deepEqual(data.map(({ id, question, answers, type, source }) => [id, question, answers, type, source]), [
      ['FRAMEQA1', 'what is the man "riding" , slowly ?', ['bicycle'], 'object', 'tumblr_aaa_250.gif'],
      ['FRAMEQA2', 'how many dogs jump ?', ['two'], 'number', 'tumblr_bbb_400.gif'],
      ['FRAMEQA3', 'what is the color of the hat ?', ['red'], 'color', 'tumblr_aaa_250.gif'],
      ['FRAMEQA4', 'where do they jump ?', ['garden'], 'location', 'tumblr_bbb_400.gif'],
    ]);
  });

  test('NExT-QA: five choices, the answer being the one the number names', async () => {
    const data = await readQuestionFormat('next-qa', sample('next/val.csv'), {});
    assert.deepEqual(data.map(({ id, question, answers, type }) => [id, question, answers, type]), [
      ['4010000001_6', 'how do the two men play', ['roll the handle'], 'CH'],
      ['4010000001_7', 'why did the boy say "hello"', ['to greet'], 'CW'],
    ]);
    assert.deepEqual(data[0]?.choices, ['roll the handle', 'tap their feet', 'strum, softly', 'hit with sticks', 'pat with hand']);
  });
});

describe('published captions', () => {
  test('Flickr8k: both of its files, whole or one split in its order', async () => {
    const all = await readCaptionFormat('flickr8k', sample('flickr8k/Flickr8k.token.txt'), {});
    assert.deepEqual(all.map(({ id, references, source }) => [id, references, source]), [
      ['1000_a.jpg', ['A child in a pink dress .', 'A girl goes into a wooden building .'], '1000_a.jpg'],
      ['1001_b.jpg', ['Two dogs play .'], '1001_b.jpg'],
    ]);
    assert.deepEqual((await readCaptionFormat('flickr8k', sample('flickr8k/Flickr8k.token.txt'), { split: 'test' })).map(({ id }) => id), ['1001_b.jpg']);
    const table = await readCaptionFormat('flickr8k', sample('flickr8k/captions.txt'), {});
    assert.deepEqual(table.map(({ references }) => references), [['A child, in a pink dress .', 'A girl goes inside .'], ['Two dogs play .']]);
  });

  test('MSR-VTT: sentences by video, whole or one split', async () => {
    const file = sample('msrvtt-captions/videodatainfo.json');
    assert.deepEqual((await readCaptionFormat('msr-vtt', file, {})).map(({ id, references }) => [id, references.length]), [['video0', 2], ['video1', 1]]);
    assert.deepEqual((await readCaptionFormat('msr-vtt', file, { split: 'test' })).map(({ id, source }) => [id, source]), [['video1', 'video1.mp4']]);
    await assert.rejects(readCaptionFormat('msr-vtt', file, { split: 'tset' }), /no video of the split "tset"; its splits are train, test/);
  });
});

describe('what is wrong with a published file', () => {
  test('is said with the line or entry', async () => {
    const next = await readFile(sample('next/val.csv'), 'utf8');
    const cases: [() => unknown, RegExp][] = [
      [() => parseMsrvttQa('[\n{"id": 1,\n}]', 'f.json'), /^f\.json, line 3: this is not JSON/],
      [() => parseMsrvttQa('{}', 'f.json'), /f\.json: the file must be a list/],
      [() => parseMsrvttQa('[{"id":1,"video_id":2,"question":"q?","answer":"a"},7]', 'f.json'), /entry 2: this must be an object/],
      [() => parseMsrvttQa('[{"id":1,"video_id":2,"question":"q?"}]', 'f.json'), /entry 1: the field "answer" must be a text/],
      [() => parseMsrvttQa(JSON.stringify([{ id: 1, video_id: 2, question: 'q'.repeat(MAX_FIELD_CHARS + 1), answer: 'a' }]), 'f'), /"question" has 10001 characters/],
      [() => parseActivityNetQa('[{"video_name":"a","question":"q","question_id":"1"}]', 'q', '[{"answer":"x","type":9,"question_id":"1"}]', 'a.json'), /a\.json, entry 1: .*"type".* 0 to 8/],
      [() => parseTgifFrameQa('gif_name\tquestion\nx\ty', 't.csv'), /line 1: the columns answer, type, vid_id are missing/],
      [() => parseTgifFrameQa('gif_name\tquestion\tanswer\ttype\tvid_id\n\nx\ty', 't.csv'), /line 3: 2 fields, and the first line names 5/],
      [() => parseNextQa(next.replace('roll the handle', '"roll'), 'n.csv'), /n\.csv, line \d: .*quote|fields/],
      [() => parseNextQa(next.replace(',0,6,CH', ',5,6,CH'), 'n.csv'), /line 2: .*"answer".*0 to 4, not "5"/],
      [() => parseFlickr8k('a.jpg#0\tfine\nb.jpg wrong', 'f.txt', null), /line 2: a photo, #/],
      [() => parseFlickr8k('a.jpg#0\tfine', 'f.txt', 'b.jpg'), /no caption of b\.jpg/],
      [() => parseMsrvtt('{"videos":[{"video_id":"v"}],"sentences":[]}', 'm.json', null), /entry 1 of "videos": v has no caption/],
      [() => parseMsrvtt('{"sentences":[]}', 'm.json', null), /"videos" must be a list/],
    ];
    for (const [parse, message] of cases) {
      assert.throws(parse, (error: unknown) => error instanceof UserError && message.test(error.message), String(message));
    }
  });

  test('tables keep the line a row begins at, across quoted line breaks', () => {
    const rows = parseTable('a,b\r\n"x\ny","say ""hi"""\n\n1,\n', 'f', ',', ['a', 'b']);
    assert.deepEqual(rows.map(({ fields, where }) => [fields['a'], fields['b'], where]), [['x\ny', 'say "hi"', 'f, line 2'], ['1', '', 'f, line 5']]);
  });
});
