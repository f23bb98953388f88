/** Basis images as sparse levels: what is coded comes back, small, and nothing else is taken. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  basisImages, ContainerError, countedBits, countedCosts, encodeImages, encodeNetwork, decodeNetwork, firstCosts, imageSize, inspectContainer, readContainer, roundImages,
  writeContainer, type ImageShape, type RoundedImages,
} from '../../model/container/index.js';
import { sampleContainer, sampleImages, sampleMixing } from '../helpers/containers.js';
import { randomNumbers } from '../helpers/random.js';

const SHAPE: ImageShape = { count: 5, rows: 6, columns: 7, patch: 16 };

/** Images like a video's: energy falls with frequency and from image to image, and lies in the same places of neighbouring images. */
function pictureLike(shape: ImageShape, seed: number): Float32Array[] {
  const random = randomNumbers(seed);
  const { rows, columns, patch, count } = shape;
  const activity = Array.from({ length: rows * columns }, () => Math.exp(1.5 * random.normal()));
  return Array.from({ length: count }, (_, k) => Float32Array.from({ length: imageSize(shape) }, (__, at) => {
    const pixel = Math.floor(at / 3);
    const [y, x] = [Math.floor(pixel / (columns * patch)), pixel % (columns * patch)];
    const cell = Math.floor(y / patch) * columns + Math.floor(x / patch);
    const frequency = 1 + (y % patch) + (x % patch) + 4 * (at % 3);
    return (random.normal() * 8 * (activity[cell] as number)) / frequency ** 1.3 / (1 + k / 2);
  }));
}

/** Every number of the images, zeros included. */
function dense(coded: ReturnType<typeof basisImages>): Int16Array[] {
  return Array.from({ length: coded.count }, (_, k) => {
    const image = new Int16Array(imageSize(coded));
    for (let i = coded.starts[k] as number; i < (coded.starts[k + 1] as number); i++) image[coded.places[i] as number] = coded.levels[i] as number;
    return image;
  });
}

/** Bits by the frequencies of each number at each place within a cell, image by image. */
function orderZeroBits(images: readonly Int16Array[], { columns, patch }: ImageShape): number {
  let bits = 0;
  for (const image of images) {
    const bands = new Map<number, Map<number, number>>();
    image.forEach((level, at) => {
      const pixel = Math.floor(at / 3);
      const [y, x] = [Math.floor(pixel / (columns * patch)) % patch, pixel % patch];
      const band = (y * patch + x) * 3 + (at % 3);
      const counts = bands.get(band) ?? new Map<number, number>();
      bands.set(band, counts.set(level, (counts.get(level) ?? 0) + 1));
    });
    for (const counts of bands.values()) {
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      for (const count of counts.values()) bits -= count * Math.log2(count / total);
    }
  }
  return bits;
}

const refused = (call: () => unknown, code: string, message: RegExp): void => {
  assert.throws(call, (error: unknown) => error instanceof ContainerError && error.code === code && message.test(error.message));
};

describe('basis images', () => {
  test('come back as they were rounded, in stacks of any size', () => {
    for (const [seed, shape] of [SHAPE, { count: 1, rows: 1, columns: 1, patch: 4 }, { count: 3, rows: 1, columns: 9, patch: 8 }, { count: 2, rows: 5, columns: 1, patch: 32 }].entries()) {
      const images = pictureLike(shape, seed + 1);
      images[0]?.set([40_000, -32_767, 15, -16, 14]);
      const rounded = roundImages(shape, images, { step: 1, price: 0 }, firstCosts());
      const levels = dense(basisImages({ shape, stream: encodeImages(rounded) }));
      levels.forEach((image, k) => image.forEach((level, at) => {
        const wanted = Math.max(-32_767, Math.min(32_767, images[k]?.[at] as number));
        assert.ok(Math.abs(level - wanted) <= 0.56, `image ${k}, place ${at}: ${level} for ${wanted}`);
      }));
      levels.forEach((image, k) => assert.equal(rounded.images[k]?.squares, image.reduce((sum, level) => sum + level ** 2, 0)));
    }
  });

  test('take less than their numbers have order-0 entropy, and what was counted beforehand', () => {
    const images = pictureLike(SHAPE, 9);
    const first = roundImages(SHAPE, images, { step: 1, price: 0.1 }, firstCosts());
    const rounded = roundImages(SHAPE, images, { step: 1, price: 0.1 }, countedCosts(first.counts), first.used);
    const stream = encodeImages(rounded);
    const orderZero = orderZeroBits(dense(basisImages({ shape: SHAPE, stream })), SHAPE) / 8;
    assert.ok(stream.length < 0.9 * orderZero, `${stream.length} bytes, order-0 entropy ${orderZero.toFixed(0)}`);
    assert.ok(Math.abs(stream.length - countedBits(rounded) / 8) < 700, 'all but the tables is counted');
  });

  test('cost less error for their bits when bits have a price', () => {
    const images = pictureLike(SHAPE, 10);
    const coded = (step: number, price: number): { bits: number; error: number } => {
      let rounded: RoundedImages = roundImages(SHAPE, images, { step, price }, firstCosts());
      rounded = roundImages(SHAPE, images, { step, price }, countedCosts(rounded.counts), rounded.used);
      return { bits: countedBits(rounded), error: step ** 2 * rounded.images.reduce((sum, { error }) => sum + error, 0) };
    };
    const priced = coded(1, 0.115);
    // Plain rounding to a coarser step, which takes as many bits.
    let step = 1;
    let plain = coded(step, 0);
    while (plain.bits > priced.bits) plain = coded((step *= 1.01), 0);
    assert.ok(priced.error < 0.97 * plain.error, `${priced.error.toFixed(0)} with a price, ${plain.error.toFixed(0)} without`);
  });

  test('of a file are read with it, and written again byte for byte', () => {
    const file = writeContainer(sampleContainer({ segments: [4, 1, 6], network: [true, false, true], images: 5 }));
    assert.equal(inspectContainer(file).version, 2);
    const container = readContainer(file);
    assert.deepEqual(container.mixing?.map((mixing) => mixing?.count ?? null), [5, null, 5]);
    assert.deepEqual(container.mixing, sampleContainer({ segments: [4, 1, 6], network: [true, false, true], images: 5 }).mixing);
    assert.deepEqual(writeContainer(container), file);
    assert.equal(inspectContainer(writeContainer(sampleContainer())).version, 1, 'a file without is of the first version');
    const { images } = decodeNetwork(container.networks[0] as Uint8Array);
    assert.ok(images !== undefined);
    assert.deepEqual(decodeNetwork(encodeNetwork({ config: {}, tensors: new Map(), images })).images, images);
  });

  test('a file of both kinds of segments says which has free numbers', () => {
    const [modulated, mixed] = [sampleContainer({ segments: [3, 4] }), sampleContainer({ segments: [3, 4], images: 2 })];
    const file = writeContainer({ ...mixed, networks: [modulated.networks[0] ?? null, mixed.networks[1] ?? null], mixing: [null, mixed.mixing?.[1] ?? null] });
    assert.deepEqual(readContainer(file).mixing?.map((mixing) => mixing?.count ?? 0), [0, 2]);
  });

  test('that are not what they say are refused by name', () => {
    const random = randomNumbers(12);
    const { stream } = sampleImages(SHAPE, random);
    const read = (shape: ImageShape, bytes = stream): unknown => basisImages({ shape, stream: bytes });
    const network = (shape: ImageShape): unknown => decodeNetwork(encodeNetwork({ config: {}, tensors: new Map(), images: { shape, stream } }));
    refused(() => network({ ...SHAPE, patch: 6 }), 'malformed', /basis images cannot be 5 images of 6 x 7 cells of 6 x 6/);
    refused(() => network({ ...SHAPE, patch: 64 }), 'limit_exceeded', /side of a cell/);
    refused(() => network({ ...SHAPE, count: 2000 }), 'limit_exceeded', /number of images/);
    refused(() => network({ count: 1000, rows: 500, columns: 500, patch: 16 }), 'limit_exceeded', /number of values/);
    refused(() => read({ ...SHAPE, rows: 600, columns: 700 }), 'malformed', /stream of \d+ bytes; ones of their size have/);
    const cut = stream.slice(0, Math.floor(stream.length / 10));
    refused(() => read(SHAPE, cut), 'malformed', /NETW section ends/);
  });

  test('free numbers without a network, or of other frames, are refused by the writer', () => {
    const container = sampleContainer({ frames: 4, images: 3 });
    const random = randomNumbers(13);
    refused(() => writeContainer({ ...container, mixing: [sampleMixing(5, 3, random)] }), 'malformed', /15 free numbers for 4 frames of 3/);
    refused(() => writeContainer({ ...container, networks: [null] }), 'malformed', /Segment 0 has free numbers, but no network/);
    refused(() => writeContainer({ ...container, mixing: [] }), 'malformed', /free numbers of 0 segments/);
  });
});
