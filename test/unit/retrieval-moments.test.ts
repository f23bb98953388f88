/** Moments from cosines, hits of a search, and vectors in a byte a number. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BestHits, cosines, findMoments, hitsOf, packVectors, queryText, vectorOf, type IndexedVideo, type Moment } from '../../model/retrieval/index.js';
import { randomNumbers } from '../helpers/random.js';

const FPS = 4;
const times = (frames: number): number[] => Array.from({ length: frames }, (_, t) => t / FPS);
/** Scores with noise around a level for each scene: [frames, level]. */
function scenes(...parts: readonly (readonly [number, number])[]): { scores: number[]; shots: number[] } {
  const random = randomNumbers(5);
  const scores: number[] = [];
  const shots: number[] = [];
  for (const [frames, level] of parts) {
    shots.push(scores.length);
    for (let i = 0; i < frames; i++) scores.push(level + 0.02 * random.normal());
  }
  return { scores, shots };
}
const span = ({ first, end }: Moment): [number, number] => [first, end];

describe('the moments of a video', () => {
  test('are its scenes where one of them stands out, best first, and together they are the whole video', () => {
    const { scores, shots } = scenes([12, 0.1], [16, 0.45], [12, 0.12]);
    const moments = findMoments(scores, times(40), 10, shots);
    assert.deepEqual(span(moments[0] as Moment), [12, 28]);
    assert.deepEqual([moments[0]?.start_s, moments[0]?.end_s], [3, 7]);
    const frame = moments[0]?.frame ?? -1;
    assert.ok(frame >= 12 && frame < 28);
    const ordered = moments.map(span).sort((a, b) => a[0] - b[0]);
    assert.equal(ordered[0]?.[0], 0);
    assert.equal(ordered.at(-1)?.[1], 40);
    for (let i = 1; i < ordered.length; i++) assert.equal(ordered[i]?.[0], ordered[i - 1]?.[1]);
    for (let i = 1; i < moments.length; i++) assert.ok((moments[i]?.score ?? 1) <= (moments[i - 1]?.score ?? 0));
  });

  test('are found without any cut, where the scores alone rise and fall', () => {
    const { scores } = scenes([20, 0.1], [12, 0.5], [20, 0.1]);
    const [best] = findMoments(scores, times(52), 13, [0]);
    assert.ok(Math.abs((best?.first ?? 0) - 20) <= 2 && Math.abs((best?.end ?? 0) - 32) <= 2, `frames ${best?.first} to ${best?.end}`);
  });

  test('are one where nothing stands out', () => {
    const { scores } = scenes([40, 0.3]);
    assert.deepEqual(findMoments(scores, times(40), 10, [0]).map(span), [[0, 40]]);
  });

  test('come back when a scene does', () => {
    const { scores, shots } = scenes([12, 0.5], [12, 0.1], [12, 0.48]);
    const moments = findMoments(scores, times(36), 9, shots);
    assert.deepEqual(moments.slice(0, 2).map(span), [[0, 12], [24, 36]]);
  });

  test('end with the video, and a photo is a moment of its own', () => {
    assert.deepEqual(findMoments([0.2], [0], 0, [0]).map(({ start_s, end_s, frame }) => [start_s, end_s, frame]), [[0, 0, 0]]);
    const { scores, shots } = scenes([8, 0.1], [8, 0.5]);
    assert.equal(findMoments(scores, times(16), 4.5, shots)[0]?.end_s, 4.5);
  });
});

describe('vectors in a byte a number', () => {
  const random = randomNumbers(3);
  const dim = 96;
  const vectors = new Float32Array(20 * dim);
  for (let t = 0; t < 20; t++) {
    const row = Array.from({ length: dim }, () => random.normal());
    const length = Math.hypot(...row);
    row.forEach((value, d) => (vectors[t * dim + d] = value / length));
  }
  const packed = packVectors(vectors, dim);

  test('give cosines that are right to 0.005', () => {
    const query = vectors.subarray(7 * dim, 8 * dim);
    const exact = Array.from({ length: 20 }, (_, t) => query.reduce((sum, value, d) => sum + value * (vectors[t * dim + d] as number), 0));
    cosines(packed, query).forEach((value, t) => assert.ok(Math.abs(value - (exact[t] as number)) < 0.005, `frame ${t}: ${value} for ${exact[t]}`));
    assert.throws(() => cosines(packed, query.subarray(1)), /the query has 95 numbers/);
  });

  test('are unit vectors again', () => {
    assert.ok(Math.abs(Math.hypot(...vectorOf(packed, 3)) - 1) < 1e-5);
    assert.throws(() => vectorOf(packed, 20), /frame 20/);
    assert.deepEqual(cosines(packVectors(new Float32Array(dim), dim), vectorOf(packed, 0)), Float32Array.of(0));
  });
});

describe('hits', () => {
  const dim = 8;
  const unit = (axis: number): number[] => Array.from({ length: dim }, (_, d) => (d === axis ? 1 : 0));
  /** Two scenes of twelve frames, along two axes. */
  const video: IndexedVideo = { vectors: packVectors(Float32Array.from(Array.from({ length: 24 }, (_, t) => unit(t < 12 ? 0 : 1)).flat()), dim), times_s: times(24), duration_s: 6, shots: [0, 12] };
  const query = Float32Array.from(unit(1));

  test('are frames, moments, or the best moment', () => {
    assert.equal(hitsOf(video, query, 'frames').length, 24);
    assert.equal(hitsOf(video, query, 'segments').length, 2);
    const [best, ...others] = hitsOf(video, query, 'videos');
    assert.deepEqual([best?.start_s, best?.end_s, others.length], [3, 6, 0]);
  });

  test('leave out what holds the frame that is looked for', () => {
    assert.ok(!hitsOf(video, query, 'frames', 15).some(({ frame }) => frame === 15));
    assert.deepEqual(hitsOf(video, query, 'segments', 15).map(({ start_s }) => start_s), [0]);
    assert.deepEqual(hitsOf(video, query, 'videos', 15), []);
  });

  test('of many videos are the best, best first', () => {
    const best = new BestHits(3);
    for (const scores of [[0.1, 0.9], [0.5], [0.2, 0.8, 0.05]]) best.add(scores.map((score) => ({ score, start_s: 0, end_s: 1, frame: 0 })));
    assert.deepEqual(best.list.map(({ score }) => score), [0.9, 0.8, 0.5]);
  });
});

test('texts are read in one form, however they are written', () => {
  for (const text of ['A dog runs', ' a  DOG runs. ', 'a dog\nruns!?']) assert.equal(queryText(text), 'a dog runs.');
  assert.equal(queryText(' ?! '), '');
});
