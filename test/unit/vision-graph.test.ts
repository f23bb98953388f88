import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSafetensors, writeSafetensors, type VisionConfig } from '../../model/pack/index.js';
import { encodeFloat16, decodeFloat16 } from '../../model/runtime/float16.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { float32, type HostTensor } from '../../model/runtime/tensor.js';
import { LatentMap, VisionTower, type VisionPack } from '../../model/vision/index.js';
import { randomNumbers } from '../helpers/random.js';

const random = randomNumbers(11);
const CLASSES = 7;
const HEAD = 10;

/** A small tower with every kind of block: no expansion, odd sizes under stride 2, kernel 5, a skip connection. */
const config: VisionConfig = {
  architecture: 'efficientnet-lite2',
  size: 19,
  mean: 127,
  std: 128,
  padding: 'same-tf',
  eps: 1e-3,
  stem: { kernel: 3, stride: 2, out: 4 },
  head: { out: HEAD },
  blocks: [
    { kernel: 3, stride: 1, in: 4, out: 3, expand: 1 },
    { kernel: 5, stride: 2, in: 3, out: 5, expand: 2 },
    { kernel: 3, stride: 1, in: 5, out: 5, expand: 3 },
  ],
};

function randomTensor(dims: number[], scale: number): HostTensor {
  const size = dims.reduce((a, b) => a * b, 1);
  return float32(Float32Array.from({ length: size }, () => random.normal() * scale), dims);
}

function towerWeights(): Map<string, HostTensor> {
  const weights = new Map<string, HostTensor>();
  const put = (name: string, dims: number[]): void => {
    const fanIn = dims.slice(1).reduce((a, b) => a * b, 1);
    weights.set(`${name}.weight`, randomTensor(dims, 1.5 / Math.sqrt(fanIn)));
    weights.set(`${name}.bias`, randomTensor([dims[0] ?? 0], 0.3));
  };
  put('stem', [4, 3, 3, 3]);
  config.blocks.forEach((block, index) => {
    const inside = block.in * block.expand;
    if (block.expand !== 1) put(`blocks.${index}.expand`, [inside, block.in, 1, 1]);
    put(`blocks.${index}.depthwise`, [inside, 1, block.kernel, block.kernel]);
    put(`blocks.${index}.project`, [block.out, inside, 1, 1]);
  });
  put('head', [HEAD, 5, 1, 1]);
  put('classifier', [CLASSES, HEAD]);
  return weights;
}

interface Map2d {
  readonly channels: number;
  readonly side: number;
  readonly data: Float64Array;
}

/** A convolution by its definition, with TensorFlow's SAME padding. */
function convolve(weights: Map<string, HostTensor>, name: string, x: Map2d, stride: number, depthwise: boolean, activate: boolean): Map2d {
  const weight = weights.get(`${name}.weight`);
  const bias = weights.get(`${name}.bias`);
  assert.ok(weight && bias);
  const [out = 0, , kernel = 0] = weight.dims;
  const side = Math.ceil(x.side / stride);
  const padding = Math.floor(Math.max((side - 1) * stride + kernel - x.side, 0) / 2);
  const data = new Float64Array(out * side * side);
  for (let m = 0; m < out; m++)
    for (let row = 0; row < side; row++)
      for (let column = 0; column < side; column++) {
        let sum = Number(bias.data[m]);
        for (let c = 0; c < (depthwise ? 1 : x.channels); c++)
          for (let i = 0; i < kernel; i++)
            for (let j = 0; j < kernel; j++) {
              const y = row * stride + i - padding;
              const z = column * stride + j - padding;
              if (y < 0 || z < 0 || y >= x.side || z >= x.side) continue;
              const from = ((depthwise ? m : c) * x.side + y) * x.side + z;
              sum += Number(weight.data[((m * (depthwise ? 1 : x.channels) + c) * kernel + i) * kernel + j]) * (x.data[from] ?? NaN);
            }
        data[(m * side + row) * side + column] = activate ? Math.min(Math.max(sum, 0), 6) : sum;
      }
  return { channels: out, side, data };
}

/** The last feature map of a (size, size, 3) picture, by the definition of the network. */
function referenceMap(weights: Map<string, HostTensor>, pixels: Uint8Array): Map2d {
  const { size } = config;
  const input = Float64Array.from({ length: 3 * size * size }, (_, i) => ((pixels[(i % (size * size)) * 3 + Math.floor(i / (size * size))] ?? NaN) - 127) / 128);
  let x = convolve(weights, 'stem', { channels: 3, side: size, data: input }, 2, false, true);
  config.blocks.forEach((block, index) => {
    const name = `blocks.${index}`;
    const expanded = block.expand === 1 ? x : convolve(weights, `${name}.expand`, x, 1, false, true);
    const filtered = convolve(weights, `${name}.depthwise`, expanded, block.stride, true, true);
    const projected = convolve(weights, `${name}.project`, filtered, 1, false, false);
    const skip = block.stride === 1 && block.in === block.out ? x : null;
    x = skip === null ? projected : { ...projected, data: projected.data.map((value, i) => value + (skip.data[i] ?? NaN)) };
  });
  return convolve(weights, 'head', x, 1, false, true);
}

function meanOver(map: Map2d, channel: number, rows: readonly [number, number], columns: readonly [number, number]): number {
  let sum = 0;
  for (let y = rows[0]; y < rows[1]; y++) for (let x = columns[0]; x < columns[1]; x++) sum += map.data[(channel * map.side + y) * map.side + x] ?? NaN;
  return sum / ((rows[1] - rows[0]) * (columns[1] - columns[0]));
}

/** A pack in memory with these weights and a latent map of 4 numbers. */
function packOf(weights: ReadonlyMap<string, HostTensor>): { pack: VisionPack; map: ReadonlyMap<string, HostTensor> } {
  const map = new Map([
    ['mean', randomTensor([5 * HEAD], 1)],
    ['components', randomTensor([4, 5 * HEAD], 0.2)],
    ['scale', float32(Float32Array.of(2.5), [1])],
    ['sigma', float32(Float32Array.of(4, 3, 2, 1), [4])],
  ]);
  const files: Record<string, ReadonlyMap<string, HostTensor>> = { 'vision.safetensors': weights, 'latent-map.safetensors': map };
  return {
    map,
    pack: {
      manifest: { vision: config, latent: { dim: 4, tokens: 5 } },
      tensors: (file) => Promise.resolve(readSafetensors(writeSafetensors(files[file] ?? new Map()), file)),
    },
  };
}

const weights = towerWeights();
const frame = { width: 19, height: 19, time_s: 0, data: Uint8Array.from({ length: 19 * 19 * 3 }, () => random.below(256)) };
const map = referenceMap(weights, frame.data);

test('a small tower gives the pooled tokens that its definition gives', async () => {
  const tower = await VisionTower.load(packOf(weights).pack, nodeRuntime({ threads: 1 }));
  const features = await tower.features([frame]);
  assert.equal(map.side, 5);
  const parts = [[0, 5], [0, 3], [2, 5]] as const; // all, first half, second half: the middle belongs to both
  const grid = [[0, 0], [1, 1], [1, 2], [2, 1], [2, 2]] as const; // all, TL, TR, BL, BR
  const expected = grid.flatMap(([rows, columns]) => Array.from({ length: HEAD }, (_, c) => meanOver(map, c, parts[rows], parts[columns])));
  assert.equal(features.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs(value - (features[i] ?? NaN)) < 1e-4, `feature ${i}: ${features[i]}, not ${value}`));
  await tower.release();
});

test('its logits are the classifier of the mean of the map', async () => {
  const tower = await VisionTower.load(packOf(weights).pack, nodeRuntime({ threads: 1 }));
  const logits = await tower.logits(frame);
  const [classifier, bias] = [weights.get('classifier.weight'), weights.get('classifier.bias')];
  assert.ok(classifier && bias);
  assert.equal(logits.length, CLASSES);
  logits.forEach((value, m) => {
    const expected = Array.from({ length: HEAD }, (_, c) => Number(classifier.data[m * HEAD + c]) * meanOver(map, c, [0, 5], [0, 5])).reduce((a, b) => a + b, Number(bias.data[m]));
    assert.ok(Math.abs(value - expected) < 1e-4, `logit ${m}: ${value}, not ${expected}`);
  });
  await tower.release();
});

test('halves with an 8-bit residual come back to 18 bits, halves alone to 11', async () => {
  const halves = new Map<string, HostTensor>();
  const residuals = new Map<string, HostTensor>();
  for (const [name, tensor] of weights) {
    const values = tensor.data as Float32Array;
    const half = { dtype: 'float16' as const, dims: tensor.dims, data: encodeFloat16(values) };
    halves.set(name, half);
    if (!name.endsWith('weight')) {
      residuals.set(name, tensor);
      continue;
    }
    const rest = decodeFloat16(half.data).map((value, i) => (values[i] ?? NaN) - value);
    const [rows = 0] = tensor.dims;
    const length = values.length / rows;
    const scales = Float32Array.from({ length: rows }, (_, m) => Math.max(...rest.subarray(m * length, (m + 1) * length).map(Math.abs)) / 127 || 1);
    residuals.set(name, half);
    residuals.set(name.replace('weight', 'residual'), { dtype: 'int8', dims: tensor.dims, data: Int8Array.from(rest, (value, i) => Math.round(value / (scales[Math.floor(i / length)] ?? NaN))) });
    residuals.set(name.replace('weight', 'residual_scale'), float32(scales, [rows]));
  }
  const features = async (stored: ReadonlyMap<string, HostTensor>): Promise<Float32Array> => {
    const tower = await VisionTower.load(packOf(stored).pack, nodeRuntime({ threads: 1 }));
    const result = await tower.features([frame]);
    await tower.release();
    return result;
  };
  const exact = await features(weights);
  const error = (other: Float32Array): number => other.reduce((most, value, i) => Math.max(most, Math.abs(value - (exact[i] ?? NaN))), 0);
  const [coarse, fine] = [error(await features(halves)), error(await features(residuals))];
  assert.ok(coarse > 1e-5 && coarse < 1e-2, `halves: ${coarse}`);
  assert.ok(fine < coarse / 20, `with residuals: ${fine}, halves alone: ${coarse}`);
});

test('latents are components times the centred features over the scale', async () => {
  const { pack, map: stored } = packOf(weights);
  const latentMap = LatentMap.from(await pack.tensors('latent-map.safetensors'), 5 * HEAD, 4);
  const features = randomTensor([3, 5 * HEAD], 2).data as Float32Array;
  const latents = latentMap.apply(features);
  assert.equal(latents.length, 3 * 4);
  for (let n = 0; n < 3; n++)
    for (let d = 0; d < 4; d++) {
      let sum = 0;
      for (let i = 0; i < 5 * HEAD; i++) sum += Number(stored.get('components')?.data[d * 5 * HEAD + i]) * ((features[n * 5 * HEAD + i] ?? NaN) - Number(stored.get('mean')?.data[i]));
      assert.ok(Math.abs((latents[n * 4 + d] ?? NaN) - sum / 2.5) < 1e-4);
    }
  assert.deepEqual([...latentMap.sigma], [4, 3, 2, 1]);
  assert.throws(() => latentMap.apply(new Float32Array(51)), /not a whole number of rows/);
});

test('a missing or misshapen weight is named', async () => {
  const without = new Map(weights);
  without.delete('blocks.1.depthwise.bias');
  await assert.rejects(VisionTower.load(packOf(without).pack, nodeRuntime({ threads: 1 })), /blocks\.1\.depthwise\.bias/);
  const misshapen = new Map(weights).set('head.weight', randomTensor([HEAD, 6, 1, 1], 1));
  await assert.rejects(VisionTower.load(packOf(misshapen).pack, nodeRuntime({ threads: 1 })), /head\.weight/);
});
