import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inOrder, runBatch, Slots } from '../../client/cli/batch.js';
import { WrittenParts } from '../../client/cli/caption/caption-source.js';
import { csv, srt, vtt } from '../../client/cli/caption/formats.js';
import { framesFor, parsePer, segmentsOf } from '../../client/cli/caption/segments.js';
import type { JsonLine } from '../../client/cli/json-lines.js';
import { Progress } from '../../client/cli/terminal.js';
import { cutVideo, type VideoPart } from '../../projector/index.js';

/** A still video of `frames` frames at `fps`. */
function still(frames: number, fps: number): VideoPart {
  return { type: 'video', id: 'v', version: '1', dim: 2, latents: Float32Array.from({ length: 2 * frames }, (_, i) => (i % 2) + 1), times_s: Array.from({ length: frames }, (_, i) => i / fps) };
}

describe('stretches', () => {
  test('are named video, shot, or every and seconds', () => {
    assert.deepEqual([parsePer('video'), parsePer('shot'), parsePer('every 5s'), parsePer('every2.5')], ['video', 'shot', { every_s: 5 }, { every_s: 2.5 }]);
    for (const wrong of ['', 'every', 'every 0s', 'every 0.01s', 'every -1', '5s', 'every 5m']) assert.throws(() => parsePer(wrong), /video, shot, or every/, wrong);
  });

  test('of so many seconds cover the video without gaps, the last one as long as it is', () => {
    const segments = segmentsOf({ every_s: 4 }, still(100, 10), 10);
    assert.deepEqual(segments, [
      { start_s: 0, end_s: 4, first: 0, end: 40 },
      { start_s: 4, end_s: 8, first: 40, end: 80 },
      { start_s: 8, end_s: 10, first: 80, end: 100 },
    ]);
    assert.deepEqual(segmentsOf({ every_s: 1 }, still(3, 0.4), 7.5).map(({ start_s, end_s }) => [start_s, end_s]), [[0, 1], [2, 3], [5, 6]], 'those without a frame are left out');
    assert.deepEqual(segmentsOf({ every_s: 60 }, still(1, 1), 0), [{ start_s: 0, end_s: 0, first: 0, end: 1 }]);
  });

  test('are videos of their own that begin at second 0', () => {
    const [, second] = segmentsOf({ every_s: 1 }, still(20, 10), 2);
    assert.ok(second !== undefined);
    const part = cutVideo(still(20, 10), second);
    assert.equal(part.latents.length, 20);
    assert.deepEqual([part.times_s[0], part.times_s.length], [0, 10]);
    assert.notEqual(part.id, 'v');
    const whole = still(20, 10);
    assert.equal(cutVideo(whole, { first: 0, end: 20 }), whole);
  });

  test('have as many frames as a prompt shows, as far as an encoder would go', () => {
    const info = (duration_s: number) => ({ width: 1, height: 1, duration_s, frames: null, fps: null, kind: 'video' as const });
    assert.equal(framesFor('video', 8)(info(100)), 8);
    assert.equal(framesFor({ every_s: 5 }, 8)(info(12)), 24);
    assert.equal(framesFor({ every_s: 5 }, 8)(info(1e5)), framesFor('shot', 8)(info(1)));
  });
});

describe('written captions', () => {
  const lines: JsonLine[] = [
    { id: 'a#1', source: 'a', start_s: 0, end_s: 3661.5, caption: 'One <b> & "two",\r\nthree\u001b', pack: 'p', tokens: 3, seconds: 0.5 },
    { id: 'a#2', source: 'a', start_s: 3661.5, end_s: 3661.5, caption: 'Four', pack: 'p', tokens: 1, seconds: 0.1 },
    { id: 'b', source: 'b', error: { code: 'x', message: 'broken' } },
  ];

  test('are SubRip, WebVTT or a table', () => {
    assert.equal(srt(lines), '1\n00:00:00,000 --> 01:01:01,500\nOne <b> & "two", three\n\n2\n01:01:01,500 --> 01:01:01,501\nFour\n');
    assert.equal(vtt(lines), 'WEBVTT\n\n00:00:00.000 --> 01:01:01.500\nOne &lt;b&gt; &amp; "two", three\n\n01:01:01.500 --> 01:01:01.501\nFour\n');
    assert.equal(csv(lines), 'id,source,start_s,end_s,caption,pack,tokens,seconds,error\r\na#1,a,0,3661.5,"One <b> & ""two"",\r\nthree\u001b",p,3,0.5,\r\na#2,a,3661.5,3661.5,Four,p,1,0.1,\r\nb,b,,,,,,,broken\r\n');
  });

  test('tell which sources are done and which parts are there', () => {
    const written = new WrittenParts([
      { source: 'whole', part: 1, parts: 2 },
      { source: 'whole', part: 2, parts: 2 },
      { source: 'half', part: 1, parts: 2 },
      { source: 'bad', error: {} },
      { source: 'late', part: 1, parts: 3 },
      { source: 'late', error: {} },
    ]);
    assert.deepEqual(['whole', 'half', 'bad', 'late', 'new'].map((source) => written.isDone(source)), [true, false, true, true, false]);
    assert.deepEqual([written.of('half'), written.of('new')], [[1], []]);
  });
});

describe('a batch', () => {
  const silent = new Progress({ write: () => undefined });
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  test('with several workers keeps lines in the order of the tasks', async () => {
    const lines: JsonLine[] = [];
    const order: number[] = [];
    async function* work(task: number): AsyncGenerator<JsonLine> {
      yield { task, line: 0 };
      await pause((7 - task) * 4);
      yield { task, line: 1 };
      order.push(task);
    }
    await runBatch([0, 1, 2, 3, 4, 5, 6], [work, work, work], {
      unit: 'tasks', before: 0, progress: silent, signal: new AbortController().signal,
      append: async (line) => {
        await pause(1);
        lines.push(line);
      },
    });
    assert.deepEqual(lines.map(({ task, line }) => [task, line]), [0, 1, 2, 3, 4, 5, 6].flatMap((task) => [[task, 0], [task, 1]]));
    assert.notDeepEqual(order, [0, 1, 2, 3, 4, 5, 6], 'the tasks should have ended out of order');
  });

  test('ends with the reason of its abort or with what a worker throws, after every worker has stopped', async () => {
    let running = 0;
    const abort = new AbortController();
    async function* work(task: number, signal: AbortSignal): AsyncGenerator<JsonLine> {
      running++;
      try {
        await pause(5);
        signal.throwIfAborted();
        if (task === 3) throw new Error('the third');
        yield { task };
      } finally {
        running--;
      }
    }
    const options = { unit: 'tasks', before: 0, progress: silent, signal: abort.signal, append: async () => undefined };
    await assert.rejects(runBatch([1, 2, 3, 4, 5, 6], [work, work], options), /the third/);
    assert.equal(running, 0);
    abort.abort(new Error('enough'));
    await assert.rejects(runBatch([1, 2], [work], options), /enough/);
  });

  test('shares its slots among all that work, gives results in their order, and leaves nothing at work after a failure', async () => {
    const slots = new Slots(3);
    let [running, most] = [0, 0];
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      try {
        await pause((10 - item) * 2);
        if (item === 9) throw new Error('the ninth');
        return item;
      } finally {
        running--;
      }
    };
    const all = async (items: readonly number[]): Promise<number[]> => {
      const results: number[] = [];
      for await (const result of inOrder(items, slots, work)) results.push(result);
      return results;
    };
    assert.deepEqual(await Promise.all([all([1, 2, 3, 4]), all([5, 6, 7, 8]), all([])]), [[1, 2, 3, 4], [5, 6, 7, 8], []]);
    assert.equal(most, 3);
    await assert.rejects(all([9, 1, 2, 3]), /the ninth/);
    assert.equal(running, 0);
  });
});
