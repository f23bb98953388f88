import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Graph } from '../../model/graph/index.js';
import { readSafetensors, writeSafetensors } from '../../model/pack/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32, type HostTensor } from '../../model/runtime/tensor.js';
import { fitLatentMap, LatentMap, restoredFeatures } from '../../model/vision/index.js';
import { storedWeights } from '../../model/vision/layers.js';
import { orthonormalise, symmetricEigen } from '../../model/vision/linear-algebra.js';
import { randomNumbers } from '../helpers/random.js';

const runtime = nodeRuntime({ threads: 1 });
const FRAMES = 200;
const SIZE = 90;

/** Frames whose features vary in `rank` directions, each 0.8 times as much as the one before, around a mean, and a little in all others. */
function features(rank: number, noise: number, seed = 3): Float32Array {
  const random = randomNumbers(seed);
  const directions = Array.from({ length: rank }, (_, d) => Float32Array.from({ length: SIZE }, () => random.normal() * 0.8 ** d));
  const rows = Array.from({ length: FRAMES }, () => {
    const row = Float32Array.from({ length: SIZE }, (_, i) => 5 * Math.sin(i) + noise * random.normal());
    for (const direction of directions) {
      const amount = random.normal();
      direction.forEach((value, i) => (row[i] = (row[i] as number) + amount * value));
    }
    return row;
  });
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

/** Eigenvalues of the covariance, exactly: (n) times it. */
function exactSpectrum(data: Float32Array): Float64Array {
  const mean = Float64Array.from({ length: SIZE }, (_, i) => Array.from({ length: FRAMES }, (_, n) => data[n * SIZE + i] as number).reduce((a, b) => a + b, 0) / FRAMES);
  const scatter = new Float64Array(SIZE * SIZE);
  for (let n = 0; n < FRAMES; n++)
    for (let i = 0; i < SIZE; i++)
      for (let j = 0; j < SIZE; j++) scatter[i * SIZE + j] = (scatter[i * SIZE + j] as number) + ((data[n * SIZE + i] as number) - (mean[i] as number)) * ((data[n * SIZE + j] as number) - (mean[j] as number));
  return symmetricEigen(scatter, SIZE).values;
}

test('the map keeps as much variance as the exact principal components', async () => {
  const data = features(30, 0.05);
  const spectrum = exactSpectrum(data);
  const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
  const optimum = sum(spectrum.subarray(0, 8)) / sum(spectrum);
  const { kept } = await fitLatentMap(data, SIZE, 8, runtime);
  assert.ok(optimum > 0.8 && optimum < 0.99, `the test would tell nothing: ${optimum}`);
  assert.ok(Math.abs(kept - optimum) < 1e-4, `kept ${kept}, the optimum is ${optimum}`);
});

test('what it says of itself holds for what LatentMap makes of it: orthonormal components, mean square D, sigma', async () => {
  const data = features(30, 0.05);
  const { tensors, kept } = await fitLatentMap(data, SIZE, 8, runtime);
  const file = readSafetensors(writeSafetensors(tensors), 'latent-map.safetensors');
  const map = LatentMap.from(file, SIZE, 8);
  const latents = map.apply(data);
  const squares = latents.reduce((sum, value) => sum + value * value, 0);
  assert.ok(Math.abs(squares / FRAMES - 8) < 0.01, `mean square ${squares / FRAMES}`);
  for (let d = 0; d < 8; d++) {
    const column = Array.from({ length: FRAMES }, (_, n) => latents[n * 8 + d] as number);
    const deviation = Math.sqrt(column.reduce((sum, value) => sum + value * value, 0) / FRAMES);
    assert.ok(Math.abs(deviation - (map.sigma[d] as number)) < 0.003 * deviation, `sigma ${d}: ${map.sigma[d]}, is ${deviation}`);
  }
  const graph = new Graph('restore');
  graph.output('x', restoredFeatures(graph.input('z', 'float32', [FRAMES, 8]), SIZE, storedWeights(graph, file)));
  const session = await runtime.createSession(graph.toOnnx());
  const restored = asFloat32((await session.run({ z: float32(latents, [FRAMES, 8]) }))['x'] as HostTensor);
  const { lost, all } = distances(data, restored);
  assert.ok(Math.abs(1 - lost / all - kept) < 1e-3, `restored features keep ${1 - lost / all} of the variance, the map says ${kept}`);
});

/** Squared distances of the features to what came back, and to their mean. */
function distances(data: Float32Array, restored: Float32Array): { lost: number; all: number } {
  let lost = 0;
  let all = 0;
  for (let i = 0; i < SIZE; i++) {
    const mean = Array.from({ length: FRAMES }, (_, n) => data[n * SIZE + i] as number).reduce((a, b) => a + b, 0) / FRAMES;
    for (let n = 0; n < FRAMES; n++) {
      lost += ((data[n * SIZE + i] as number) - (restored[n * SIZE + i] as number)) ** 2;
      all += ((data[n * SIZE + i] as number) - mean) ** 2;
    }
  }
  return { lost, all };
}

test('a seed gives the same map again, and another seed the same space', async () => {
  const data = features(6, 1e-4);
  const [first, again, other] = await Promise.all([0, 0, 9].map((seed) => fitLatentMap(data, SIZE, 6, runtime, { seed })));
  assert.deepEqual(first?.tensors, again?.tensors);
  const [a, b] = [first, other].map((fit) => LatentMap.from(readSafetensors(writeSafetensors(fit?.tensors ?? new Map()), 'x'), SIZE, 6).apply(data));
  a?.forEach((value, i) => assert.ok(Math.abs(value - (b?.[i] ?? NaN)) < 0.02, `latent ${i}: ${value} and ${b?.[i]}`));
});

test('as many latent numbers as features leave every feature where it is', async () => {
  const data = features(30, 0.05);
  const { tensors, kept } = await fitLatentMap(data, SIZE, SIZE, runtime);
  const latents = LatentMap.from(readSafetensors(writeSafetensors(tensors), 'x'), SIZE, SIZE).apply(data);
  const [mean, scale] = ['mean', 'scale'].map((name) => tensors.get(name)?.data) as Float32Array[];
  assert.equal(kept, 1);
  latents.forEach((value, i) => assert.ok(Math.abs(value - ((data[i] as number) - (mean?.[i % SIZE] as number)) / (scale?.[0] as number)) < 1e-4));
});

test('too few frames, features that do not vary, and sizes that do not fit are refused with a reason', async () => {
  const data = features(3, 0);
  await assert.rejects(fitLatentMap(data.subarray(0, 8 * SIZE), SIZE, 8, runtime), /8 components need more than 8 frames, there are 8/);
  await assert.rejects(fitLatentMap(data, SIZE, 8, runtime), /vary in fewer than 8 directions/);
  await assert.rejects(fitLatentMap(new Float32Array(3 * SIZE).fill(1), SIZE, 2, runtime), /the same or not finite/);
  await assert.rejects(fitLatentMap(data.subarray(1), SIZE, 2, runtime), /must be \(n, 90\)/);
  await assert.rejects(fitLatentMap(data, SIZE, 91, runtime), /there cannot be more/);
});

test('a fit tells how far it is and stops where it is asked to', async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const seen: number[] = [];
  const fit = fitLatentMap(features(30, 0.05), SIZE, 8, runtime, {
    signal: controller.signal,
    onProgress(done, total) {
      seen.push(done / total);
      if (done === 3) controller.abort(reason);
    },
  });
  await assert.rejects(fit, reason);
  assert.equal(seen.length, 3);
  const all: number[] = [];
  await fitLatentMap(features(30, 0.05), SIZE, 8, runtime, { onProgress: (done, total) => all.push(done / total) });
  assert.equal(all.at(-1), 1);
});

test('orthonormalising gives an orthonormal basis of the same span and zeros for what depends on it', () => {
  const matrix = Float32Array.of(1, 1, 2, 0, 1, 1, 0, 0, 0, 2, 0, 2);
  orthonormalise(matrix, 4, 3);
  const column = (c: number): number[] => [0, 1, 2, 3].map((r) => matrix[r * 3 + c] as number);
  const product = (a: number, b: number): number => column(a).reduce((sum, value, r) => sum + value * (column(b)[r] as number), 0);
  assert.ok(Math.abs(product(0, 0) - 1) < 1e-6 && Math.abs(product(1, 1) - 1) < 1e-6 && Math.abs(product(0, 1)) < 1e-6);
  assert.ok(column(2).every((value) => value === 0), 'the third is the sum of the others');
});
