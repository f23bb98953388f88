/** Frames between frames by motion, on pictures made on the spot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blendFrames, interpolateFrames, type Picture } from '../../model/inr/motion.js';
import { psnr } from '../../model/inr/quality.js';
import { randomNumbers } from '../helpers/random.js';

/** A smooth texture without repeats, shifted by (dx, dy) pixels: waves of seeded directions, lengths and colours. */
function texture(width: number, height: number, dx: number, dy: number, seed = 1): Picture {
  const random = randomNumbers(seed);
  const waves = Array.from({ length: 12 }, () => ({
    kx: random.normal() / 6, ky: random.normal() / 6, phase: random.uniform() * 7,
    colour: [random.normal(), random.normal(), random.normal()] as const,
  }));
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const values = waves.map(({ kx, ky, phase }) => Math.sin(kx * (x - dx) + ky * (y - dy) + phase));
      for (let c = 0; c < 3; c++) data[at++] = 128 + 20 * waves.reduce((sum, { colour }, i) => sum + (colour[c] as number) * (values[i] as number), 0);
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/** Without `margin` pixels at each edge, where half of what is wanted is outside one neighbour. */
function inside({ width, height, data }: Picture, margin: number): Uint8Array {
  const rows = Array.from({ length: height - 2 * margin }, (_, y) => data.subarray(((y + margin) * width + margin) * 3, ((y + margin) * width + width - margin) * 3));
  return Uint8Array.from(rows.flatMap((row) => [...row]));
}

for (const [beta, dx, dy] of [[0.5, 6, -3], [0.25, 9.3, 4.6], [0.875, -5.5, 2]] as const) {
  test(`a texture that moves by (${dx}, ${dy}) pixels is found at ${beta} of its way`, () => {
    const [width, height] = [120, 90];
    const before = texture(width, height, 0, 0);
    const after = texture(width, height, dx, dy);
    const truth = inside(texture(width, height, beta * dx, beta * dy), 12);
    const moved = psnr(inside(interpolateFrames(before, after, beta), 12), truth);
    const blended = psnr(inside(blendFrames(before, after, beta), 12), truth);
    assert.ok(moved > 38 && moved > blended + 12, `motion ${moved.toFixed(1)} dB, blend ${blended.toFixed(1)} dB`);
  });
}

test('still neighbours stay as they are', () => {
  const picture = texture(50, 40, 0, 0);
  assert.deepEqual(interpolateFrames(picture, picture, 0.5), picture);
});

test('at a cut, where nothing matches, the plain blend is kept', () => {
  const random = randomNumbers(5);
  const noise = (): Picture => ({ width: 64, height: 48, data: Uint8Array.from({ length: 64 * 48 * 3 }, () => random.below(256)) });
  const flat = (value: number): Picture => ({ width: 64, height: 48, data: new Uint8Array(64 * 48 * 3).fill(value) });
  for (const [before, after] of [[flat(30), flat(220)], [noise(), noise()], [texture(64, 48, 0, 0, 1), noise()]] as const) {
    assert.deepEqual(interpolateFrames(before, after, 0.25), blendFrames(before, after, 0.25));
  }
});

test('beta 0 and 1 give the neighbours, as copies', () => {
  const [before, after] = [texture(20, 10, 0, 0), texture(20, 10, 3, 1)];
  for (const [beta, neighbour] of [[0, before], [1, after]] as const) {
    const frame = interpolateFrames(before, after, beta);
    assert.deepEqual(frame, neighbour);
    assert.notEqual(frame.data, neighbour.data);
  }
});

test('any size works: a single pixel, lines, odd sides, more pixels than motion is estimated on', () => {
  for (const [width, height] of [[1, 1], [1, 40], [40, 1], [2, 3], [17, 33], [401, 301], [70_001, 1]] as const) {
    const frame = interpolateFrames(texture(width, height, 0, 0), texture(width, height, 1, 1), 0.5);
    assert.deepEqual([frame.width, frame.height, frame.data.length], [width, height, width * height * 3]);
  }
  assert.deepEqual([...interpolateFrames({ width: 1, height: 1, data: Uint8Array.of(0, 100, 255) }, { width: 1, height: 1, data: Uint8Array.of(100, 100, 155) }, 0.5).data], [50, 100, 205]);
});

test('what does not fit is refused by name', () => {
  const [small, large] = [texture(4, 4, 0, 0), texture(6, 4, 0, 0)];
  for (const combine of [interpolateFrames, blendFrames]) {
    assert.throws(() => combine(small, large, 0.5), /before is 4 x 4 pixels and after 6 x 4/);
    assert.throws(() => combine(small, { ...small, data: new Uint8Array(47) }, 0.5), /after is 4 x 4 pixels of RGB, 48 bytes, but has 47/);
    assert.throws(() => combine(small, small, 1.5), /beta must be from 0 \(before\) to 1 \(after\), got 1.5/);
    assert.throws(() => combine(small, small, NaN), /beta must be/);
  }
});
