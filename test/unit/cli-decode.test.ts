/** `latentchat decode`: which frames, when they are shown, and the three kinds of output. No model pack needed. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { writeContainer } from '../../model/container/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { meanRate, positionsOf, timelineOf } from '../../model/video/positions.js';
import { runCli } from '../helpers/cli.js';
import { decodableContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';

/** Seconds, not evenly spaced. */
const TIMES = Float64Array.of(0, 0.1, 0.2, 0.5, 0.6, 0.62, 0.9);
const container = decodableContainer({ segments: [4, 3], width: 23, height: 15 });
const uneven = writeContainer({ ...container, meta: { ...container.meta, times_s: TIMES, duration_s: 1 } });
const even = writeContainer(container);
const growing = writeContainer(decodableContainer({ segments: [3, 2, 2, 3], network: [true, false, true, true] }));

const close = (actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-9): void => {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs((actual[i] ?? NaN) - value) <= tolerance, `${i}: ${actual[i]} for ${value}`));
};

describe('the frames of a decoding', () => {
  test('are those of the ranges in their order, with places between where it is slower', () => {
    assert.deepEqual(positionsOf([[0, 2], [5, 5]], 1), [0, 1, 2, 5]);
    assert.deepEqual(positionsOf([[4, 6], [0, 1]], 2), [4, 4.5, 5, 5.5, 6, 0, 0.5, 1]);
    assert.deepEqual(positionsOf([[0, 1]], 4), [0, 0.25, 0.5, 0.75, 1]);
    assert.ok(positionsOf([[0, 9]], 3).filter(Number.isInteger).length === 10);
  });

  test('are shown as long as in the container, one range after the other', () => {
    const whole = timelineOf([0, 1, 2, 3, 4, 5, 6], TIMES, 1, null);
    close(whole.starts_s, [...TIMES]);
    close([whole.end_s], [1]);
    const parts = timelineOf([2, 6, 0], TIMES, 1, null);
    close(parts.starts_s, [0, 0.3, 0.4]);
    close([parts.end_s], [0.5]);
  });

  test('take n times as long when n times slower, or the time of a given rate', () => {
    const slow = timelineOf(positionsOf([[1, 3]], 2), TIMES, 1, null);
    close(slow.starts_s, [0, 0.1, 0.2, 0.5, 0.8]);
    close([slow.end_s], [0.9]);
    const fixed = timelineOf([3, 4, 5], TIMES, 1, 12.5);
    close(fixed.starts_s, [0, 0.08, 0.16]);
    assert.equal(meanRate(fixed), 12.5);
  });

  test('have a time of their own each, even a photo and frames that share one', () => {
    assert.equal(timelineOf([0], Float64Array.of(0), 0, null).end_s, 1);
    close(timelineOf([0, 1, 2], Float64Array.of(1, 1, 1.5), 0.7, null).starts_s, [0, 0.001, 0.501]);
    close([timelineOf([1], Float64Array.of(0, 0.5), 0, null).end_s], [0.5]);
  });
});

describe('latentchat decode', () => {
  let folder: TestFolder;
  let file: string;
  const at = (name: string): string => path.join(folder.path, name);
  const decode = (...args: string[]): ReturnType<typeof runCli> => runCli(['decode', ...args, '--threads', '1']);

  before(async () => {
    folder = await TestFolder.make();
    file = await folder.write('a.linr', even);
    await folder.write('uneven.linr', uneven);
    await folder.write('growing.linr', growing);
  });
  after(() => folder.remove());

  test('writes PNG files, in between as well, whose names sort as the frames do', async () => {
    const { code, stderr, stdout } = await decode(file, '--frames', '2-3,6', '--slow', '2', '-o', at('png'));
    assert.equal(code, 0, stderr);
    assert.match(stdout, /4 frames of 23 x 15/);
    const names = (await readdir(at('png'))).sort();
    assert.deepEqual(names, ['frame-00002.000.png', 'frame-00002.500.png', 'frame-00003.000.png', 'frame-00006.000.png']);
    const decoder = new LinrDecoder(even, nodeRuntime({ threads: 1 }));
    for (const [i, position] of [2, 2.5, 3, 6].entries()) {
      const pixels = await sharp(at(`png/${names[i]}`)).raw().toBuffer();
      assert.deepEqual(new Uint8Array(pixels), (await decoder.frame(position)).data, `frame ${position}`);
    }
    await decoder.release();
  });

  test('writes an MP4 file that keeps the times of the container to the muxer’s tick', async () => {
    const { code, stderr, stdout } = await decode(at('uneven.linr'), '-o', at('uneven.mp4'), '--width', '46');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /7 frames of 46 x 30, 7 frames\/s, 1\.00 s/);
    const source = await openFrames(at('uneven.mp4'));
    const decoder = new LinrDecoder(uneven, nodeRuntime({ threads: 1 }));
    const times: number[] = [];
    for await (const frame of source.frames()) {
      const expected = await decoder.frame(times.length, 46);
      assert.deepEqual([frame.width, frame.height], [46, 30]);
      const difference = frame.data.reduce((sum, value, i) => sum + Math.abs(value - (expected.data[i] ?? 0)), 0) / frame.data.length;
      assert.ok(difference < 25, `frame ${times.length} differs by ${difference} on average`);
      times.push(frame.time_s);
    }
    close(times, [...TIMES], 1 / 57_600);
    await source.close();
    await decoder.release();
    assert.ok(!(await readdir(folder.path)).some((name) => name.endsWith('.part')));
  });

  test('writes raw frames to standard output and tells their form on standard error', async () => {
    const { code, stderr, stdout } = await runCli(['decode', file, '--frames', '1-2', '-o', '-', '--threads', '1'], { encoding: 'latin1' });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^rgb24, 2 frames of 23 x 15, 25 frames\/s$/m);
    const decoder = new LinrDecoder(even, nodeRuntime({ threads: 1 }));
    const expected = [await decoder.frame(1), await decoder.frame(2)].map(({ data }) => Buffer.from(data));
    assert.ok(Buffer.from(stdout, 'latin1').equals(Buffer.concat(expected)));
    await decoder.release();
  });

  test('names the frames there are, and those that have pictures yet', async () => {
    const refused = async (args: string[], message: RegExp): Promise<void> => {
      const { code, stderr } = await decode(...args);
      assert.equal(code, 1);
      assert.match(stderr, message);
    };
    await refused([file, '--frames', '5-7', '-o', at('none')], /has frames 0 to 6; --frames asks for 7/);
    await refused([at('growing.linr'), '-o', at('none')], /pictures of 0-2,5-9\. Ask for those with --frames 0-2,5-9/);
    await refused([at('growing.linr'), '--frames', '2-3', '-o', at('none')], /pictures of 0-2,5-9/);
    await refused([file, '-o', at('a.mkv')], /ends in \.mp4/);
    await refused([file, '-o', at('absent/a.mp4')], /there is no folder/);
    await refused([file, '--width', '93', '-o', at('none')], /^latentchat: width must be .* from 1 to 92/);
    await refused([await folder.write('cut.linr', even.subarray(0, 900)), '-o', at('none')], /cut\.linr: The container is cut off/);
    const some = await decode(at('growing.linr'), '--frames', '0-2,5-9', '-o', at('some'));
    assert.equal(some.code, 0, some.stderr);
    assert.equal((await readdir(at('some'))).length, 8);
    assert.ok(!(await readdir(folder.path)).includes('none'));
  });

  test('refuses rates and factors that make no sense, exit code 2', async () => {
    for (const args of [['--slow', '0'], ['--slow', '1.5'], ['--fps', '0'], ['--fps', '-1'], ['--fps', '1e9']]) {
      assert.equal((await decode(file, '-o', at('none'), ...args)).code, 2, args.join(' '));
    }
  });
});
