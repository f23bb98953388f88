/** How a video is cut into shots and segments, and how the price of a bit is steered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planEncoding } from '../../model/inr/plan.js';
import { RateControl } from '../../model/inr/rate-control.js';
import { findShots, planSegments, thumbnail, thumbnailChange } from '../../model/inr/segments.js';

const LIMITS = { least: 32, most: 160 };

test('a cut is found where one frame differs, not where all do', () => {
  const still = Array.from({ length: 20 }, () => 0.004);
  assert.deepEqual(findShots(still), [0]);
  const cut = still.with(9, 0.2).with(15, 0.12);
  assert.deepEqual(findShots(cut), [0, 9, 15]);
  const shaking = still.map((_, t) => 0.1 + 0.03 * (t % 3));
  assert.deepEqual(findShots(shaking), [0]);
  const flashInMotion = shaking.with(10, 0.5);
  assert.deepEqual(findShots(flashInMotion), [0, 10]);
  assert.deepEqual(findShots([0]), [0]);
});

test('thumbnails hold the mean colours, whatever the size of the picture', () => {
  const halves = (width: number, height: number): Float32Array =>
    thumbnail({ width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 3) % width < width / 2 ? 255 : 0)) });
  assert.ok(thumbnailChange(halves(64, 32), halves(160, 80)) < 1e-6);
  const dark = thumbnail({ width: 16, height: 16, data: new Uint8Array(16 * 16 * 3) });
  assert.ok(Math.abs(thumbnailChange(halves(64, 32), dark) - 0.5) < 1e-6);
  // Fewer pixels than cells: no cell is divided by nothing.
  assert.ok(thumbnail({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }).every(Number.isFinite));
});

test('segments cover every frame once, within their limits where shots allow', () => {
  assert.deepEqual(planSegments([0], 1, LIMITS), [1]);
  assert.deepEqual(planSegments([0], 132, LIMITS), [132]);
  assert.deepEqual(planSegments([0, 60], 132, LIMITS), [60, 72]);
  assert.deepEqual(planSegments([0], 400, LIMITS), [133, 133, 134]);
  // A short shot joins its neighbour; flicker does not make a segment a frame.
  assert.deepEqual(planSegments([0, 100, 110], 200, LIMITS), [110, 90]);
  assert.deepEqual(planSegments(Array.from({ length: 300 }, (_, t) => t), 300, LIMITS).reduce((a, b) => a + b, 0), 300);
  assert.ok(Math.max(...planSegments(Array.from({ length: 300 }, (_, t) => t), 300, LIMITS)) <= LIMITS.most);
  assert.ok(planSegments(Array.from({ length: 300 }, (_, t) => t), 300, LIMITS).length <= 10);
});

test('a steered price falls while the file may grow and rises while it must shrink', () => {
  const size = new RateControl({ kind: 'bpp', bpp: 0.2 }, 1);
  const first = size.price;
  size.observe({ bpp: 0.4, psnr_db: 30 });
  assert.ok(size.price > first);
  for (let i = 0; i < 40; i++) size.observe({ bpp: 0.01, psnr_db: 30 });
  assert.ok(size.price < first && size.price > 0);
  const quality = new RateControl({ kind: 'psnr', psnr_db: 33 }, 1);
  quality.observe({ bpp: 1, psnr_db: 30 });
  assert.ok(quality.price < first);
  quality.observe({ bpp: 1, psnr_db: NaN });
  assert.ok(quality.price > 0);
  const fixed = new RateControl({ kind: 'price', price: 0.5 }, 1);
  fixed.observe({ bpp: 9, psnr_db: 9 });
  assert.equal(fixed.price, 0.5);
});

test('time grows with frames and pixels, and targets are checked by name', () => {
  const info = { width: 1280, height: 720, duration_s: 600, frames: 15_000, fps: 25, kind: 'video' } as const;
  const plan = planEncoding(info, { preset: 'standard' });
  assert.equal(plan.seconds(100), plan.seconds(160));
  assert.ok(Math.abs(plan.seconds(15_000) / plan.seconds(1_500) - 10) < 1e-9);
  assert.equal(planEncoding(info, { preset: 'standard', seconds: 7 }).seconds(15_000), 7);
  assert.ok(planEncoding(info, { preset: 'standard', width: 1280 }).segmentFrames.most < plan.segmentFrames.most);
  assert.deepEqual(planEncoding(info, { preset: 'draft', targetBpp: 0.15 }).goal, { kind: 'bpp', bpp: 0.15 });
  assert.throws(() => planEncoding(info, { preset: 'draft', targetBpp: 0 }), /targetBpp must be from/);
  assert.throws(() => planEncoding(info, { preset: 'draft', targetPsnr: 99 }), /targetPsnr must be from/);
  assert.throws(() => planEncoding(info, { preset: 'draft', targetPsnr: 30, targetBpp: 1 }), /not both/);
  assert.throws(() => planEncoding(info, { preset: 'paper', targetPsnr: 30 }), /preset paper has no target/);
});
