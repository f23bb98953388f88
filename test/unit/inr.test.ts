/** Latent-INR without a model pack: plan, patches, targets, training from made latents, and decoding of what was trained. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeNetwork, writeContainer, type Container, type ContainerNetwork, type JsonObject } from '../../model/container/index.js';
import { parseInrConfig, patchGrid, type GridConfig, type InrConfig } from '../../model/inr/config.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { PatchStore } from '../../model/inr/patches.js';
import { planEncoding } from '../../model/inr/plan.js';
import { psnr } from '../../model/inr/quality.js';
import { interpolateTargets } from '../../model/inr/targets.js';
import { Trainer, type TrainingState } from '../../model/inr/trainer.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';

const runtime = nodeRuntime({ threads: 1 });

/** Not a multiple of the patch in either direction, so that the edge patches reach past the frame. */
const CONFIG: InrConfig = {
  width: 38, height: 26, frames: 6, latentDim: 16, patch: 4, layers: 3, hidden: 24, rank: 4, hyperHidden: 16,
  grids: [{ channels: 4, rows: 7, columns: 10 }],
  basis: { count: 6, grids: [{ channels: 4, rows: 7, columns: 10 }, { channels: 3, rows: 4, columns: 5 }] },
};

/** A bright square that moves over a gradient: (height, width, 3). */
function picture(t: number, { width, height }: { width: number; height: number }): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = Math.abs(x - 6 - 4 * t) < 5 && Math.abs(y - 12) < 6;
      data.set(inside ? [240, 200, 40] : [x * 5, y * 7, 90], (y * width + x) * 3);
    }
  }
  return data;
}

function segment(): { patches: PatchStore; targets: Float32Array; frames: Uint8Array[] } {
  const random = seededRandom(7);
  const patches = new PatchStore(CONFIG);
  const frames = Array.from({ length: CONFIG.frames }, (_, t) => picture(t, CONFIG));
  frames.forEach((frame, t) => patches.set(t, frame));
  return { patches, frames, targets: Float32Array.from({ length: CONFIG.frames * CONFIG.latentDim }, () => random() * 2 - 1) };
}

const OPTIONS = { shape: { frames: 4, rows: 5, columns: 6 }, learningRate: 4e-2, lambda: 0.01, seed: 3 };

function container(trainer: Trainer): Container {
  return {
    meta: {
      width: CONFIG.width, height: CONFIG.height, frames: CONFIG.frames, segments: [CONFIG.frames], duration_s: 0.6,
      source: { name: 'made', width: CONFIG.width, height: CONFIG.height, bytes: null },
      times_s: Float64Array.from({ length: CONFIG.frames }, (_, t) => t / 10),
      pack: { id: 'none', feature_space: 'none' }, encoder: { preset: 'test', seconds: 0 },
    },
    latents: trainer.latents(),
    latentDim: CONFIG.latentDim,
    networks: [encodeNetwork({ config: CONFIG as unknown as JsonObject, tensors: trainer.tensors() })],
  };
}

test('training makes the decoded frames of a file read back better, and keeps the latents aligned', async () => {
  const { patches, targets, frames } = segment();
  const trainer = await Trainer.create(runtime, CONFIG, patches, targets, OPTIONS);
  const quality = async (): Promise<number> => {
    const decoder = new LinrDecoder(writeContainer(container(trainer)), runtime);
    let sum = 0;
    for (const [t, frame] of frames.entries()) sum += psnr((await decoder.frame(t)).data, frame);
    await decoder.release();
    return sum / frames.length;
  };
  const before = await quality();
  for (let step = 0; step < 600; step++) await trainer.step(step / 600);
  const after = await quality();
  assert.ok(after > 27 && after > before + 8, `PSNR went from ${before.toFixed(1)} to ${after.toFixed(1)} dB`);
  assert.ok(trainer.cosine > 0.95, `mean cosine to the targets ${trainer.cosine}`);
  await trainer.release();
});

test('training goes on from a saved state exactly as if it had not stopped', async () => {
  const { patches, targets } = segment();
  const runs: TrainingState[] = [];
  for (const stopAt of [null, 5]) {
    let trainer = await Trainer.create(runtime, CONFIG, patches, targets, OPTIONS);
    for (let step = 0; step < 10; step++) {
      if (step === stopAt) {
        const { parameters, moments, step: done } = trainer.state;
        const saved = { parameters: parameters.slice(), moments: moments.slice(), step: done };
        await trainer.release();
        trainer = await Trainer.create(runtime, CONFIG, patches, targets, OPTIONS, saved);
      }
      await trainer.step(step / 10);
    }
    runs.push(trainer.state);
    await trainer.release();
  }
  assert.deepEqual(runs[0]?.parameters, runs[1]?.parameters);
});

test('frames decode at other widths, and what does not exist is refused by name', async () => {
  const { patches, targets } = segment();
  const trainer = await Trainer.create(runtime, CONFIG, patches, targets, OPTIONS);
  const decoder = new LinrDecoder(writeContainer(container(trainer)), runtime);
  const large = await decoder.frame(2, 76);
  assert.deepEqual([large.width, large.height, large.data.length, large.time_s], [76, 52, 76 * 52 * 3, 0.2]);
  assert.equal((await decoder.frame(0, 19)).height, 13);
  await assert.rejects(decoder.frame(6), /frame 6 does not exist: this video has frames 0 to 5/);
  await assert.rejects(decoder.frame(0, 38 * 4 + 1), /width must be a whole number of pixels from 1 to 152/);
  await assert.rejects(new LinrDecoder(writeContainer({ ...container(trainer), networks: [null] }), runtime).frame(0), { code: 'pictures_not_ready', message: /latents only/ });
  await decoder.release();
  await trainer.release();
});

test('only the layers that are named are modulated, and latents that start at random come to the features', async () => {
  const config: InrConfig = { ...CONFIG, modulated: [1] };
  const { patches, targets, frames } = segment();
  const trainer = await Trainer.create(runtime, config, patches, targets, { ...OPTIONS, lambda: 1, latentSeed: 'any' });
  const [start] = [trainer.latents()];
  assert.ok(start.every((value) => Math.abs(value) < 1) && start.some((value, i) => Math.abs(value - (targets[i] as number)) > 0.2));
  assert.deepEqual([...trainer.tensors().keys()].filter((name) => name.includes('hyper2.weight')), ['layer1.hyper2.weight']);
  for (let step = 0; step < 300; step++) await trainer.step(step / 300);
  assert.ok(trainer.cosine > 0.9, `mean cosine to the targets ${trainer.cosine}`);
  const file = { ...container(trainer), networks: [encodeNetwork({ config: config as unknown as JsonObject, tensors: trainer.tensors() })] };
  const decoder = new LinrDecoder(writeContainer(file), runtime);
  const quality = psnr((await decoder.frame(2)).data, frames[2] as Uint8Array);
  assert.ok(quality > 20, `${quality.toFixed(1)} dB`);
  await decoder.release();
  await trainer.release();
});

test('a file that has its one basis grid as older ones do, as `basis` (count, numbers), shows the same frames', async () => {
  const { patches, targets } = segment();
  const [grid] = CONFIG.basis.grids as [GridConfig];
  const config: InrConfig = { ...CONFIG, basis: { count: 6, grids: [grid] } };
  const trainer = await Trainer.create(runtime, config, patches, targets, OPTIONS);
  const tensors = trainer.tensors();
  const older = new Map([...tensors].map(([name, tensor]) => (name === 'basis0' ? ['basis', { ...tensor, dims: [6, tensor.data.length / 6] }] : [name, tensor])));
  const pictures: Uint8Array[] = [];
  for (const network of [{ config, tensors }, { config: { ...CONFIG, basis: { count: 6, ...grid } }, tensors: older }]) {
    const decoder = new LinrDecoder(writeContainer({ ...container(trainer), networks: [encodeNetwork(network as unknown as ContainerNetwork)] }), runtime);
    pictures.push((await decoder.frame(3)).data);
    await decoder.release();
  }
  assert.deepEqual(pictures[0], pictures[1]);
  await trainer.release();
});

test('a network configuration from a file is checked field by field', () => {
  assert.deepEqual(parseInrConfig(JSON.parse(JSON.stringify(CONFIG))), CONFIG);
  assert.throws(() => parseInrConfig({ ...CONFIG, hidden: 1e9 }), /hidden must be a whole number from 1 to 2048/);
  assert.throws(() => parseInrConfig({ ...CONFIG, patch: 0.5 }), /patch must be/);
  assert.deepEqual(parseInrConfig({ ...CONFIG, modulated: [0, 2] }).modulated, [0, 2]);
  assert.throws(() => parseInrConfig({ ...CONFIG, modulated: [2, 2] }), /modulated must be a whole number from 3 to 2/);
  assert.throws(() => parseInrConfig({ ...CONFIG, modulated: [3] }), /modulated must be a whole number from 0 to 2/);
  assert.throws(() => parseInrConfig({ ...CONFIG, grids: 'x' }), /grids must be a list/);
  assert.throws(() => parseInrConfig({ ...CONFIG, basis: { count: 1024, grids: [{ channels: 4, rows: 4096, columns: 4096 }] } }), /too large/);
  assert.throws(() => parseInrConfig({ ...CONFIG, basis: { count: 1, grids: [] } }), /basis.grids is empty/);
  assert.throws(() => parseInrConfig({ ...CONFIG, basis: { count: 1, grids: [{ channels: 1, rows: 2 }] } }), /basis.grids\[0\].columns must be/);
  const grid = { channels: 4, rows: 7, columns: 10 };
  assert.deepEqual(parseInrConfig({ ...CONFIG, basis: { count: 6, ...grid } }).basis, { count: 6, grids: [grid] }, 'one grid, written without a list');
  assert.throws(() => parseInrConfig(null), /not an object/);
});

test('patches repeat the edge where they reach past the frame, and their mean is the frame’s', () => {
  const patches = new PatchStore(CONFIG);
  const { rows, columns } = patchGrid(CONFIG);
  assert.deepEqual([rows, columns], [7, 10]);
  for (let t = 0; t < CONFIG.frames; t++) patches.set(t, new Uint8Array(CONFIG.width * CONFIG.height * 3).fill(51 * (t % 2)));
  const mean = patches.meanFrame();
  assert.equal(mean.length, 3 * rows * columns);
  for (const value of mean) assert.ok(Math.abs(value - 0.1) < 1e-6);
});

test('targets between known frames are interpolated, those outside hold the nearest', () => {
  const targets = Float32Array.from([9, 9, 1, 10, 9, 9, 3, 30, 9, 9]);
  interpolateTargets(targets, 2, Uint8Array.of(0, 1, 0, 1, 0));
  assert.deepEqual([...targets], [1, 10, 1, 10, 2, 20, 3, 30, 3, 30]);
  assert.throws(() => interpolateTargets(targets, 2, new Uint8Array(5)), /no frame has features/);
});

test('a plan follows the video, and options out of range are named', () => {
  const info = { width: 1280, height: 720, duration_s: 10, frames: 300, fps: 30, kind: 'video' } as const;
  assert.deepEqual(planEncoding(info, { preset: 'standard' }).size, { width: 320, height: 180 });
  assert.deepEqual(planEncoding(info, { preset: 'draft', size: { width: 320, height: 160 } }).size, { width: 320, height: 160 });
  for (const [width, height, ...encoded] of [[300, 2000, 288, 1920], [1080, 8000, 259, 1920], [200, 2400, 160, 1920], [8192, 1, 320, 1], [1, 8192, 1, 1920], [8192, 8192, 320, 320]] as const) {
    const { size } = planEncoding({ ...info, width, height }, { preset: 'draft' });
    assert.deepEqual([size.width, size.height], encoded, `${width} x ${height}`);
  }
  assert.deepEqual(planEncoding({ ...info, width: 300, height: 2000 }, { preset: 'draft', width: 1000 }).size, { width: 288, height: 1920 });
  const patchOf = (width: number, height: number): number | null => {
    const { method } = planEncoding({ ...info, width, height }, { preset: 'draft' });
    return 'goal' in method ? method.patch : null;
  };
  assert.deepEqual([patchOf(1280, 720), patchOf(80, 60), patchOf(40, 30), patchOf(1, 1)], [16, 8, 4, 4], 'smaller patches for smaller frames');
  assert.throws(() => planEncoding(info, { preset: 'best' as 'fine' }), /preset must be one of draft, standard, fine/);
  assert.throws(() => planEncoding(info, { preset: 'draft', seconds: 0 }), /seconds must be from 1/);
  assert.throws(() => planEncoding(info, { preset: 'draft', width: 64, size: { width: 8, height: 8 } }), /width or size, not both/);
  assert.throws(() => planEncoding(info, { preset: 'draft', width: 1e6 }), /encoded width must be/);
});
