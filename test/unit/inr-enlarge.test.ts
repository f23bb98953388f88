/** Enlarging by fitted filters: what is linear in the pixels is found again, and a container's filters are drawn with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNetwork, encodeNetwork, readContainer, writeContainer } from '../../model/container/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { enlargeFilters, EnlargeFit, enlargeGraph, enlargeTensors, FACTOR, REACH, sampleEnlarged, type EnlargeFilters } from '../../model/inr/enlarge.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';
import type { HostTensor } from '../../model/runtime/tensor.js';
import { decodableContainer } from '../helpers/containers.js';

const runtime = nodeRuntime({ threads: 1 });
const [WIDTH, HEIGHT] = [30, 20];
const TAPS = REACH * REACH;

/** Filters of which no two are alike and that keep bytes in range. */
function someFilters(): EnlargeFilters {
  const random = seededRandom(4);
  const weight = Float32Array.from({ length: FACTOR * FACTOR * TAPS }, () => random() / TAPS);
  return { weight, bias: Float32Array.from({ length: FACTOR * FACTOR }, () => random() * 0.3) };
}

function noise(seed: number): { width: number; height: number; data: Uint8Array } {
  const random = seededRandom(seed);
  return { width: WIDTH, height: HEIGHT, data: Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, () => random() * 256) };
}

async function enlarge(picture: ReturnType<typeof noise>, filters: EnlargeFilters): Promise<Uint8Array> {
  const session = await runtime.createSession(enlargeGraph(WIDTH, HEIGHT, filters));
  const { pixels } = await session.run({ picture: { dtype: 'uint8', dims: [HEIGHT, WIDTH, 3], data: picture.data } });
  await session.release();
  return (pixels as HostTensor).data as Uint8Array;
}

test('each pixel becomes its filters’ weighted sums of the pixels around it, edges held', async () => {
  const filters = someFilters();
  const picture = noise(1);
  const enlarged = await enlarge(picture, filters);
  const half = (REACH - 1) / 2;
  const at = (y: number, x: number, c: number): number => picture.data[(Math.min(HEIGHT - 1, Math.max(0, y)) * WIDTH + Math.min(WIDTH - 1, Math.max(0, x))) * 3 + c] as number;
  for (const [y, x, c] of [[0, 0, 0], [7, 13, 1], [HEIGHT * FACTOR - 1, WIDTH * FACTOR - 1, 2], [42, 61, 2]] as const) {
    const phase = (y % FACTOR) * FACTOR + (x % FACTOR);
    let sum = (filters.bias[phase] as number) * 255;
    for (let tap = 0; tap < TAPS; tap++) {
      const [dy, dx] = [Math.floor(tap / REACH) - half, (tap % REACH) - half];
      sum += (filters.weight[phase * TAPS + tap] as number) * at(Math.floor(y / FACTOR) + dy, Math.floor(x / FACTOR) + dx, c);
    }
    assert.ok(Math.abs((enlarged[(y * WIDTH * FACTOR + x) * 3 + c] as number) - Math.min(255, sum)) <= 1, `${y}, ${x}, ${c}`);
  }
});

test('the fit finds the filters that made the truth', async () => {
  const filters = someFilters();
  const fit = new EnlargeFit();
  for (const seed of [1, 2, 3]) {
    const picture = noise(seed);
    const truth = { width: WIDTH * FACTOR, height: HEIGHT * FACTOR, data: await enlarge(picture, filters) };
    fit.add(picture, sampleEnlarged(truth, WIDTH, HEIGHT, seed));
  }
  const found = fit.solve();
  const unseen = noise(9);
  const [expected, drawn] = [await enlarge(unseen, filters), await enlarge(unseen, found)];
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (drawn[i] as number))), 0);
  assert.ok(worst <= 2, `differs by up to ${worst} of 255`);
  assert.throws(() => sampleEnlarged(unseen, WIDTH, HEIGHT, 1), /must be 4 times as large, it is 30 x 20/);
});

test('a decoder enlarges with the filters of the file, and refuses others by name', async () => {
  const plain = decodableContainer({ segments: [3], network: [true] });
  const { width, height } = plain.meta;
  // Only the middle pixel counts, so every block shows one colour, a tenth brighter.
  const middle = Float32Array.from({ length: FACTOR * FACTOR * TAPS }, (_, i) => (i % TAPS === (TAPS - 1) / 2 ? 1 : 0));
  const filters = { weight: middle, bias: new Float32Array(FACTOR * FACTOR).fill(0.1) };
  const withTensors = (tensors: ReturnType<typeof enlargeTensors>): Uint8Array => {
    const network = decodeNetwork(readContainer(writeContainer(plain)).networks[0] as Uint8Array);
    return writeContainer({ ...plain, networks: [encodeNetwork({ ...network, tensors: new Map([...network.tensors, ...tensors]) }, { levels: () => ({ bits: 12 }) })] });
  };
  const decoder = new LinrDecoder(withTensors(enlargeTensors(filters)), runtime);
  const [small, large] = [await decoder.frame(1), await decoder.frame(1, width * FACTOR)];
  assert.deepEqual([large.width, large.height], [width * FACTOR, height * FACTOR]);
  large.data.forEach((value, i) => {
    const [row, column, c] = [Math.floor(i / 3 / large.width), Math.floor(i / 3) % large.width, i % 3];
    const one = small.data[(Math.floor(row / FACTOR) * width + Math.floor(column / FACTOR)) * 3 + c] as number;
    assert.ok(Math.abs(value - Math.min(255, one + 25.5)) <= 1);
  });
  assert.equal((await decoder.frame(1, width * 2)).height, height * 2);
  await decoder.release();
  const wrong = enlargeTensors(filters).map(([name, { data }]): ReturnType<typeof enlargeTensors>[number] => [name, { dims: [data.length], data }]);
  await assert.rejects(new LinrDecoder(withTensors(wrong), runtime).frame(0), { code: 'network_invalid', message: /"enlarge.weight" has shape \[784\], enlarging needs \[16, 49\]/ });
  assert.equal(enlargeFilters(new Map()), null);
});
