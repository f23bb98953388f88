import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shotStarts } from '../../model/inr/shots.js';
import { normal, seededRandom } from '../../model/runtime/random.js';

const DIM = 64;

/** Latents of shots of these lengths in frames: each starts anywhere and drifts by `motion` of its length a frame. */
function film(lengths: readonly number[], motion: number, seed = 1): Float32Array {
  const random = seededRandom(seed);
  const frames = lengths.flatMap((length) => {
    let latent = Array.from({ length: DIM }, () => normal(random));
    return Array.from({ length }, () => {
      const shown = latent;
      latent = latent.map((value) => (value + motion * normal(random)) / Math.sqrt(1 + motion ** 2));
      return shown;
    });
  });
  return Float32Array.from(frames.flat());
}

describe('shots', () => {
  test('begin where latents jump, in calm and in moving videos', () => {
    for (const motion of [0.02, 0.1, 0.3]) {
      for (const seed of [1, 2, 3]) assert.deepEqual(shotStarts(film([40, 25, 3, 60], motion, seed), DIM), [0, 40, 65, 68], `motion ${motion}, seed ${seed}`);
    }
  });

  test('are one where nothing but motion is seen, however small or large', () => {
    for (const motion of [0, 0.001, 0.05, 0.3, 0.6]) {
      for (const seed of [4, 5, 6]) assert.deepEqual(shotStarts(film([150], motion, seed), DIM), [0], `motion ${motion}, seed ${seed}`);
    }
  });

  test('do not begin at a flash of one frame, nor at every frame of a slide show', () => {
    const latents = film([60], 0.05);
    latents.set(film([1], 0, 9), 30 * DIM);
    assert.equal(shotStarts(latents, DIM).length, 2, 'the flash leaves one cut at most');
    assert.deepEqual(shotStarts(film(new Array<number>(30).fill(1), 0), DIM), [0]);
  });

  test('of few frames are one, and of no whole frame an error', () => {
    assert.deepEqual(shotStarts(new Float32Array(DIM), DIM), [0]);
    assert.deepEqual(shotStarts(film([1, 1], 0), DIM), [0]);
    assert.throws(() => shotStarts(new Float32Array(DIM + 1), DIM), /at least one frame/);
    assert.throws(() => shotStarts(new Float32Array(0), DIM), RangeError);
  });
});
