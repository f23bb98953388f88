/** Studies of `latentchat reproduce`: figures as lines, cells that are done once, plots, retrieval sets. Nothing is encoded here. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { openModels } from '../../client/cli/models.js';
import { csvOf, dataOf, meanOver, missingOf, shown, where } from '../../client/cli/reproduce/data.js';
import { type Panel, plotSvg } from '../../client/cli/reproduce/plot.js';
import { labelOf, readRetrievalSet } from '../../client/cli/reproduce/retrieval-set.js';
import { classScores, recallBothWays } from '../../client/cli/reproduce/retrieval-vectors.js';
import { runStudy, type StudyOutcome } from '../../client/cli/reproduce/run.js';
import type { Cell, CellResult, Study, StudyContext } from '../../client/cli/reproduce/study.js';
import { Progress } from '../../client/cli/terminal.js';
import { between, gapPsnr, leaveOut, meanPsnr, nearest } from '../../client/peers/interpolation.js';
import { type Frame, heldFrames, pickFrames } from '../../model/frames/index.js';
import { blendFrames } from '../../model/inr/motion.js';
import type { Models } from '../../projector/library/models.js';
import { TestFolder } from '../helpers/folder.js';
import { writeTinyBase } from '../helpers/tiny-pack.js';
import { grey } from '../helpers/videos.js';

let folder: TestFolder;
let models: Models;
before(async () => {
  folder = await TestFolder.make();
  const pack = path.join(folder.path, 'pack');
  await writeTinyBase(pack);
  models = await openModels({ pack, threads: 1 });
});
after(async () => {
  await models.release();
  await folder.remove();
});

describe('lines of figures', () => {
  const data = [
    { video: 'a', method: 'x', alpha: 2, psnr_db: 30 },
    { video: 'b', method: 'x', alpha: 2, psnr_db: 33 },
    { video: 'a', method: 'y', alpha: 2, psnr_db: 20.125, note: 'says "no", twice' },
  ];

  test('are averaged over videos for each method, with the numbers that all of them have', () => {
    assert.deepEqual(meanOver(data, 'video', ['method', 'alpha'], 'mean'), [
      { video: 'mean', method: 'x', alpha: 2, psnr_db: 31.5 },
      { video: 'mean', method: 'y', alpha: 2, psnr_db: 20.125 },
    ]);
  });

  test('are written as CSV with a column for each name, quoted where they must be', () => {
    assert.equal(csvOf(data), 'video,method,alpha,psnr_db,note\r\na,x,2,30,\r\nb,x,2,33,\r\na,y,2,20.125,"says ""no"", twice"\r\n');
  });

  test('are shown rounded, and as a dash where there is no number', () => {
    assert.deepEqual(where(data, { method: 'x', video: 'b' }).map((row) => shown(row, 'psnr_db', 1)), ['33.0']);
    assert.equal(shown(undefined, 'psnr_db', 1), '-');
  });
});

describe('a study', () => {
  const ran: string[] = [];
  let hasProgram = false;
  let onSecond = (): void => undefined;
  const cell = (id: string, result: () => CellResult): Cell => ({
    id,
    depends: [],
    run: () => {
      ran.push(id);
      return Promise.resolve(result());
    },
  });
  const study: Study = {
    name: 'table1',
    title: 'Squares',
    help: '',
    needs: ['videos'],
    cells: ({ settings }) => [
      cell('one', () => ({ data: [{ x: 1, y: settings.seconds }] })),
      cell('two', () => {
        onSecond();
        return hasProgram ? { data: [{ x: 2, y: 4 }] } : { missing: 'no program on this machine', names: { x: 2 } };
      }),
      cell('three', () => ({ data: [{ x: 3, y: 9 }] })),
    ].map((made) => ({ ...made, depends: [settings.seconds] })),
    report(results) {
      const data = dataOf(results);
      return { tables: [], data: [...data, ...missingOf(results)], plot: { title: this.title, panels: [{ title: 'all', x: { name: 'x (s)', scale: 'linear' }, y: { name: 'y (dB)', scale: 'linear' }, series: [{ name: 'square', points: data.map(({ x, y }) => [x as number, y as number]) }] }] } };
    },
  };
  const context = (seconds: number): StudyContext => ({
    models, videos: [], retrieval: null,
    settings: { seconds, clipSeconds: 1, size: { width: 32, height: 16 }, frames: null, preset: 'draft', threads: 1, rates: [] },
  });
  const run = (seconds: number, signal = new AbortController().signal): Promise<StudyOutcome> =>
    runStudy(study, context(seconds), { out: path.join(folder.path, 'out'), progress: new Progress({ write: () => undefined }), signal });

  test('keeps the cells it has done when it is stopped, and the next run does the others', async () => {
    const stop = new AbortController();
    onSecond = () => stop.abort(new Error('stopped'));
    await assert.rejects(run(1, stop.signal), /stopped/);
    onSecond = () => undefined;
    assert.deepEqual(ran.splice(0), ['one', 'two']);
    const { done, kept, csv } = await run(1);
    assert.deepEqual(ran.splice(0), ['two', 'three']);
    assert.deepEqual([done, kept], [2, 1]);
    assert.equal(await readFile(csv, 'utf8'), 'x,y,missing\r\n1,1,\r\n3,9,\r\n2,,no program on this machine\r\n', 'what cannot be had has a line that says why');
  });

  test('tries again what was missing, and nothing else', async () => {
    hasProgram = true;
    const { svg, csv } = await run(1);
    assert.deepEqual(ran.splice(0), ['two']);
    assert.equal(await readFile(csv, 'utf8'), 'x,y\r\n1,1\r\n2,4\r\n3,9\r\n');
    assert.match(await readFile(svg, 'utf8'), /^<svg .*<\/svg>\s*$/s);
  });

  test('does all anew with other settings, and finds both in one file', async () => {
    await run(7);
    assert.deepEqual(ran.splice(0), ['one', 'two', 'three']);
    const { csv } = await run(1);
    assert.deepEqual(ran.splice(0), []);
    assert.equal(await readFile(csv, 'utf8'), 'x,y\r\n1,1\r\n2,4\r\n3,9\r\n');
  });
});

describe('a plot', () => {
  const panel = (scale: 'linear' | 'log' | 'category'): Panel => ({
    title: 'bunny', x: { name: 'rate (bits per pixel)', scale }, y: { name: 'PSNR (dB)', scale: 'linear' },
    series: [{ name: 'ours', points: [[0.1, 25], [0.8, 33]] }, { name: 'theirs & others', points: [[0.2, 26]] }],
  });

  test('is SVG with the names of axes, panels and series, and numbers everywhere', () => {
    for (const scale of ['linear', 'log', 'category'] as const) {
      const svg = plotSvg({ title: 'Figure 3', panels: [panel(scale), panel(scale)] });
      for (const text of ['Figure 3', 'bunny', 'rate (bits per pixel)', 'PSNR (dB)', 'ours', 'theirs &amp; others']) assert.ok(svg.includes(text), text);
      assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
    }
  });

  test('of nothing is still a plot', () => {
    assert.match(plotSvg({ title: 'Empty', panels: [{ ...panel('linear'), series: [] }] }), /<svg/);
  });
});

test('frames left out are compared with what is put in their place', async () => {
  const size = { width: 4, height: 4 };
  const greys = (...values: number[]): Uint8Array[] => values.map((value) => grey(value, 4, 4));
  const clip = { file: '', caption: 'clip', size, fps: 1, frames: greys(0, 10, 20, 30, 40) };
  const { kept, gaps } = leaveOut(clip, 4);
  assert.deepEqual(gaps.map(({ before, beta }) => [before, beta]), [[0, 0.25], [0, 0.5], [0, 0.75]]);
  assert.equal(await gapPsnr(gaps, between(kept, blendFrames)), 100, 'brightness rises evenly');
  assert.equal(await gapPsnr(gaps, between(kept, nearest)), meanPsnr(greys(0, 0, 40), greys(10, 20, 30)));
  assert.throws(() => leaveOut({ ...clip, frames: clip.frames.slice(0, 2) }, 2), /too short/);
  const longer = leaveOut({ ...clip, frames: greys(0, 10, 20, 30, 40, 50, 60) }, 4);
  assert.deepEqual(longer.gaps.slice(3).map(({ before, beta }) => [before, beta]), [[0, 1], [0, 1]], 'after the last kept frame, that one is held');
  for (const way of [nearest, blendFrames]) {
    assert.equal(await gapPsnr(longer.gaps.slice(3), between(longer.kept, way)), meanPsnr(greys(40, 40), greys(50, 60)));
  }
});

describe('part of a video', () => {
  const held = Array.from({ length: 10 }, (_, t): Frame => ({ width: 2, height: 2, time_s: t / 5, data: grey(t, 2, 2) }));
  const shownFrames = async (source: ReturnType<typeof heldFrames>, limit?: number): Promise<number[]> => {
    const values: number[] = [];
    for await (const { data } of source.frames(limit === undefined ? {} : { limit })) values.push(data[0] as number);
    return values;
  };

  test('is every so-many-th of its first frames, with times, rate and length that fit', async () => {
    const picked = pickFrames(heldFrames(held, 2), { step: 3, end: 8 });
    assert.deepEqual(await shownFrames(picked), [0, 3, 6]);
    assert.deepEqual(await shownFrames(picked, 1), [3]);
    assert.equal(picked.info.frames, 3);
    assert.ok(Math.abs((picked.info.fps as number) - 5 / 3) < 1e-9 && Math.abs(picked.info.duration_s - 1.6) < 1e-9);
  });
});

describe('retrieval', () => {
  test('goes both ways: a text finds its clip, a clip one of its texts', () => {
    const clips = [[1, 0], [0, 1], [0.6, 0.8]];
    const { forward, backward } = recallBothWays([[1, 0], [0.9, 0.1], [0.7, 0.7], [0, 1]], [0, 0, 1, 2], clips);
    assert.deepEqual([forward.r1, forward.r5, forward.median], [0.5, 1, 1.5]);
    assert.equal(backward.r1, 1 / 3);
  });

  test('of classes counts a clip whose own class has the best name, and how early each class finds its clips', () => {
    const { map, top1 } = classScores([[1, 0], [0, 1]], [0, 0, 1], [[1, 0], [0.1, 0.9], [0, 1]]);
    assert.equal(top1, 2 / 3);
    assert.equal(map, 1, 'the name of the first class still finds both of its clips before the third');
  });

  test('a class is what most texts name, if they name one only', () => {
    assert.equal(labelOf(['Two dogs run.', 'A dog.', 'An animal in snow.'], ['dog', 'snow']), 'dog');
    assert.equal(labelOf(['A dog in snow.', 'A dog plays in the snow.'], ['dog', 'snow']), null);
    assert.equal(labelOf(['A hotdog stand.'], ['dog']), null);
  });

  test('photos become clips, alone and in twos and threes; the same ones each time', async () => {
    for (const [i, name] of ['a', 'b', 'c', 'd', 'e'].entries()) await sharp({ create: { width: 40, height: 40, channels: 3, background: { r: 50 * i, g: 80, b: 200 } } }).png().toFile(path.join(folder.path, `${name}.png`));
    const lines = ['a', 'b', 'c', 'd', 'e'].map((id) => JSON.stringify({ id, source: `${id}.png`, references: [`Picture ${id}.`], ...(id === 'a' ? { class: 'first' } : {}) }));
    const file = await folder.write('set.jsonl', `${lines.join('\n')}\n`);
    const { clips, segmented } = await readRetrievalSet(file, { limit: 5, classes: [], frames: null });
    assert.deepEqual(clips.map(({ label }) => label), ['first', null, null, null, null]);
    assert.deepEqual(segmented.map(({ segments }) => segments.map(({ text }) => text)), [['Picture a.', 'Picture b.'], ['Picture c.', 'Picture d.', 'Picture e.']]);
    const [source, again] = await Promise.all([clips[1]?.open(), clips[1]?.open()]);
    const first = async (opened: typeof source): Promise<Frame | undefined> => {
      for await (const frame of opened?.frames({ limit: 3, size: { width: 16, height: 16 } }) ?? []) return frame;
      return undefined;
    };
    assert.deepEqual(await first(source), await first(again));
    assert.ok((source?.info.frames ?? 0) >= 8 && source?.info.kind === 'video');
  });

  test('a set whose segments are wrong is refused by line and field', async () => {
    const file = await folder.write('wrong.jsonl', `${JSON.stringify({ id: 1, source: 'a.png', references: ['A.'], segments: [{ start_s: 2, end_s: 1, text: 'x' }] })}\n`);
    await assert.rejects(readRetrievalSet(file, { limit: 5, classes: [], frames: null }), /wrong\.jsonl: "segments" of the line with id 1/);
  });
});
