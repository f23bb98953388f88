/** How a video is cut into shots and segments, and what is planned for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planEncoding, type PlanOptions } from '../../model/inr/plan.js';
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

test('a plan follows the video, and targets are checked by name', () => {
  const info = { width: 1280, height: 720, duration_s: 600, frames: 15_000, fps: 25, kind: 'video' } as const;
  const plan = planEncoding(info, { preset: 'standard' });
  assert.deepEqual(plan.segmentFrames, { least: 32, most: 160 });
  // Memory is bounded whatever the size: some 16 bytes a pixel of a segment.
  for (const width of [640, 1280, 1920]) {
    const { size, segmentFrames } = planEncoding({ ...info, width: 1920, height: 1080 }, { preset: 'standard', width });
    assert.ok(segmentFrames.least <= segmentFrames.most && segmentFrames.most * size.width * size.height < 2 ** 25, `${width}: ${segmentFrames.most} frames`);
  }
  const goalOf = (options: PlanOptions): unknown => {
    const { method } = planEncoding(info, options);
    return 'goal' in method ? method.goal : null;
  };
  assert.deepEqual(goalOf({ preset: 'draft', targetBpp: 0.15 }), { kind: 'bpp', bpp: 0.15 });
  const steps = (['draft', 'standard', 'fine'] as const).map((preset) => goalOf({ preset }) as { step: number });
  assert.ok(steps.every(({ step }, i) => i === 0 || step < (steps[i - 1] as { step: number }).step), 'a better preset has a finer step');
  assert.throws(() => planEncoding(info, { preset: 'draft', targetBpp: 0 }), /targetBpp must be from/);
  assert.throws(() => planEncoding(info, { preset: 'draft', targetPsnr: 99 }), /targetPsnr must be from/);
  assert.throws(() => planEncoding(info, { preset: 'draft', targetPsnr: 30, targetBpp: 1 }), /not both/);
  assert.throws(() => planEncoding(info, { preset: 'paper', targetPsnr: 30 }), /preset paper has no target/);
});

test('the time of a training grows with frames and pixels', () => {
  const info = { width: 1280, height: 720, duration_s: 600, frames: 15_000, fps: 25, kind: 'video' } as const;
  const seconds = (options: Partial<PlanOptions>, frames: number): number => {
    const { method } = planEncoding(info, { preset: 'paper', ...options });
    return 'seconds' in method ? method.seconds(frames) : NaN;
  };
  assert.equal(seconds({}, 100), seconds({}, 160));
  assert.ok(Math.abs(seconds({}, 15_000) / seconds({}, 1_500) - 10) < 1e-9);
  assert.ok(seconds({ width: 640 }, 100) > seconds({}, 100));
  assert.equal(seconds({ seconds: 7 }, 15_000), 7);
});
