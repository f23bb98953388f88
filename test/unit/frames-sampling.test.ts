import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressiveOrder, uniformIndices } from '../../model/frames/index.js';
import { endOfVideo, FrameCounter } from '../../model/frames/frame-counter.js';

test('uniform indices are the middles of equal stretches', () => {
  assert.deepEqual(uniformIndices(132, 8), [8, 24, 41, 57, 74, 90, 107, 123]);
  assert.deepEqual(uniformIndices(9, 1), [4]);
});

test('uniform indices take every frame of a short video, once', () => {
  assert.deepEqual(uniformIndices(3, 8), [0, 1, 2]);
  assert.deepEqual(uniformIndices(0, 8), []);
  for (let total = 8; total < 40; total++) assert.equal(new Set(uniformIndices(total, 8)).size, 8);
});

test('the progressive order names every frame once and the uniform ones first', () => {
  for (const total of [0, 1, 7, 8, 9, 50, 132, 1001]) {
    const order = [...progressiveOrder(total, 8)];
    assert.deepEqual(order.slice(0, 8), uniformIndices(total, 8));
    assert.deepEqual(order.toSorted((a, b) => a - b), Array.from({ length: total }, (_, i) => i));
  }
});

test('each sweep of the progressive order halves the widest gap', () => {
  const total = 1000;
  const order = [...progressiveOrder(total, 8)];
  for (const stride of [64, 32, 16, 8, 4, 2, 1]) {
    const known = order.slice(0, 8 + Math.ceil(total / stride)).toSorted((a, b) => a - b);
    const gaps = [...known, total].map((index, i, all) => index - (all[i - 1] ?? 0));
    assert.ok(Math.max(...gaps) <= stride, `${known.length} frames leave a gap of ${Math.max(...gaps)}`);
  }
});

test('a last frame of unknown length lasts to the end of its track, else as long as the others on average', () => {
  const frames = new FrameCounter();
  for (const time of [2, 2.5, 4]) frames.add(time, 0);
  assert.equal(endOfVideo(frames, 0), 5);
  assert.equal(endOfVideo(frames, 7), 7);
  frames.add(3, 1.25);
  assert.equal(endOfVideo(frames, 7), 4.25);
});
