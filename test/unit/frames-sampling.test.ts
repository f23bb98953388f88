import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressiveOrder, uniformIndices } from '../../model/frames/index.js';
import { repairTimes } from '../../model/frames/timeline.js';
import { chooseTrack, choiceWarning, type VideoTrack } from '../../model/frames/track.js';
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

test('times that a file leaves out, shuffles, repeats or starts anew are repaired', () => {
  const repaired = (...told: (number | null)[]): number[] => [...repairTimes(told, 0.1)].map((time) => Math.round(time * 1000) / 1000);
  assert.deepEqual(repaired(3, 3.1, 3.2), [0, 0.1, 0.2], 'they begin at 0');
  assert.deepEqual(repaired(null, null, null), [0, 0.1, 0.2], 'nothing is told: the rate says it');
  assert.deepEqual(repaired(null, null, 0, 0.2, 0.4), [0, 0.2, 0.4, 0.6, 0.8], 'left out at the start');
  assert.deepEqual(repaired(0, 0.2, null, null), [0, 0.2, 0.4, 0.6], 'left out at the end');
  assert.deepEqual(repaired(0, null, null, 0.9), [0, 0.3, 0.6, 0.9], 'left out between');
  assert.deepEqual(repaired(0.2, 0, 0.1, 0.3), [0, 0.1, 0.2, 0.3], 'shuffled');
  assert.deepEqual(repaired(0, 0.1, 0.1, 0.1, 0.4, 0.4), [0, 0.1, 0.2, 0.3, 0.4, 0.5], 'repeated');
  assert.deepEqual(repaired(100, 100.1, 0, 0.1), [0, 0.1, 0.2, 0.3], 'started anew');
  assert.deepEqual(repaired(7), [0]);
  assert.deepEqual(repaired(), []);
});

test('the default video track is shown, else the largest that can be decoded, never cover art', () => {
  const track = (index: number, width: number, more: Partial<VideoTrack> = {}): VideoTrack =>
    ({ index, width, height: width, isDefault: false, isAside: false, decodable: true, ...more });
  const chosen = (...tracks: VideoTrack[]): number | undefined => chooseTrack(tracks)?.index;
  assert.equal(chosen(track(0, 64), track(1, 320)), 1);
  assert.equal(chosen(track(0, 64, { isDefault: true }), track(1, 320)), 0);
  assert.equal(chosen(track(0, 64, { isDefault: true }), track(1, 320, { isDefault: true })), 1);
  assert.equal(chosen(track(0, 64), track(1, 320, { decodable: false })), 0);
  assert.equal(chosen(track(0, 64), track(1, 900, { isAside: true })), 0);
  assert.equal(chosen(track(0, 0), track(1, 8)), 1, 'a track that never tells its size has no pictures');
  assert.equal(chosen(track(0, 64), track(1, 64)), 0);
  assert.equal(chosen(track(0, 900, { isAside: true })), undefined);
  assert.equal(choiceWarning([track(0, 64), track(1, 900, { isAside: true })], track(0, 64)), null);
});
