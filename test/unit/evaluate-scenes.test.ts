import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { readQuestionData } from '../../client/cli/evaluate/data.js';
import { rowsOf } from '../../client/cli/evaluate/rows.js';
import { openScenes } from '../../client/cli/evaluate/scenes.js';
import type { Frame } from '../../model/frames/index.js';
import { TestFolder } from '../helpers/folder.js';

const SIDE = 40;
let folder: TestFolder;
let red: string;
let split: string;

before(async () => {
  folder = await TestFolder.make();
  red = await folder.write('red.png', await sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: '#ff0000' } }).png().toBuffer());
  // Green but for its right lower quarter, which is blue.
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) pixels[(y * SIDE + x) * 3 + (x >= SIDE / 2 && y >= SIDE / 2 ? 2 : 1)] = 255;
  split = await folder.write('split.png', await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toBuffer());
});
after(() => folder.remove());

const mean = ({ data }: Frame): number[] => [0, 1, 2].map((channel) => data.reduce((sum, value, i) => (i % 3 === channel ? sum + value : sum), 0) / (data.length / 3));

describe('scenes as a clip', () => {
  test('show each photo for its seconds, and a zoom ends with its box', async () => {
    const source = await openScenes([
      { file: red, seconds: 1, zoom: null },
      { file: split, seconds: 3, zoom: [0.5, 0.5, 0.5, 0.5] },
    ]);
    assert.equal(source.info.duration_s, 4);
    const frames: Frame[] = [];
    for await (const frame of source.frames({ limit: 8 })) frames.push(frame);
    assert.deepEqual(frames.map(({ time_s }) => time_s), [0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75]);
    assert.deepEqual(frames.slice(0, 2).map((frame) => mean(frame)), [[255, 0, 0], [255, 0, 0]]);
    const blue = frames.slice(2).map((frame) => mean(frame)[2] as number);
    assert.ok((blue[0] as number) < 90, `the whole photo is a quarter blue: ${blue[0]}`);
    assert.ok(blue.every((value, i) => i === 0 || value > (blue[i - 1] as number)), `ever more of the box: ${blue.join(' ')}`);
    assert.ok((blue.at(-1) as number) > 180);
  });

  test('are given as frames of the first photo, or of the size that is asked for', async () => {
    const source = await openScenes([{ file: split, seconds: 1, zoom: null }]);
    for await (const frame of source.frames({ limit: 1 })) assert.deepEqual([frame.width, frame.height], [SIDE, SIDE]);
    for await (const frame of source.frames({ limit: 1, size: { width: 8, height: 4 } })) assert.deepEqual([frame.width, frame.height, frame.data.length], [8, 4, 96]);
  });
});

describe('questions about scenes', () => {
  const line = (fields: object): string => `${JSON.stringify({ id: 1, source: 'clip', question: 'When?', answers: ['At 1 s.'], ...fields })}\n`;

  test('are read with their moments, have no decoded row, and paths are relative to the data', async () => {
    const file = await folder.write('questions.jsonl', line({ scenes: [{ source: 'red.png', seconds: 2 }, { source: 'split.png', seconds: 1.5, zoom: [0, 0, 0.5, 0.5] }], moment: [2, 3.5] }));
    const [datum] = await readQuestionData(file);
    assert.deepEqual(datum?.scenes, [
      { file: red, seconds: 2, zoom: null },
      { file: split, seconds: 1.5, zoom: [0, 0, 0.5, 0.5] },
    ]);
    assert.deepEqual(datum?.moment, [2, 3.5]);
    assert.deepEqual(datum && (await rowsOf(datum, null)), ['latents', 'raw', 'none']);
  });

  for (const [what, fields] of [
    ['no scenes', { scenes: [] }],
    ['a scene without a photo', { scenes: [{ seconds: 1 }] }],
    ['a scene of no length', { scenes: [{ source: 'red.png', seconds: 0 }] }],
    ['a zoom that leaves the photo', { scenes: [{ source: 'red.png', seconds: 1, zoom: [0.6, 0, 0.5, 0.5] }] }],
    ['a moment that ends before it starts', { moment: [3, 2] }],
  ] as const) {
    test(`are refused for ${what}, with the line's id`, async () => {
      const file = await folder.write('bad.jsonl', line(fields));
      await assert.rejects(readQuestionData(file), /bad\.jsonl: "(scenes|moment)" of the line with id 1/);
    });
  }
});
