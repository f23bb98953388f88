import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { resize } from '../../model/frames/index.js';
import { randomNumbers } from '../helpers/random.js';

/** A smooth picture with some noise, as photos are. */
function picture(width: number, height: number): Uint8Array {
  const random = randomNumbers(5);
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    return 128 + 90 * Math.sin(x / 9 + (i % 3)) * Math.cos(y / 7) + random.uniform() * 20;
  });
}

/** The triangle filter by its definition, in floating point, rounding only at the end. */
function reference(data: Uint8Array, width: number, height: number, toWidth: number, toHeight: number): Float64Array {
  const weights = (from: number, to: number): number[][] =>
    Array.from({ length: to }, (_, out) => {
      const scale = from / to;
      const row = Array.from({ length: from }, (_, pixel) => Math.max(0, 1 - Math.abs((pixel + 0.5 - (out + 0.5) * scale) / Math.max(scale, 1))));
      const sum = row.reduce((a, b) => a + b, 0);
      return row.map((weight) => weight / sum);
    });
  const across = weights(width, toWidth);
  const down = weights(height, toHeight);
  const result = new Float64Array(toWidth * toHeight * 3);
  for (let y = 0; y < toHeight; y++)
    for (let x = 0; x < toWidth; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        down[y]?.forEach((v, row) => {
          if (v > 0) across[x]?.forEach((h, column) => (sum += v * h * (data[(row * width + column) * 3 + c] ?? NaN)));
        });
        result[(y * toWidth + x) * 3 + c] = sum;
      }
  return result;
}

for (const [width, height, toWidth, toHeight] of [
  [61, 37, 20, 13],
  [24, 20, 26, 31],
  [50, 10, 13, 30],
  [7, 5, 1, 1],
  [1, 1, 4, 3],
] as const) {
  test(`scaling ${width} x ${height} to ${toWidth} x ${toHeight} is within one level of the triangle filter's definition`, () => {
    const data = picture(width, height);
    const scaled = resize({ width, height, data }, toWidth, toHeight);
    const expected = reference(data, width, height, toWidth, toHeight);
    const worst = scaled.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))), 0);
    assert.equal(scaled.length, toWidth * toHeight * 3);
    assert.ok(worst <= 1, `off by ${worst}`);
  });
}

test('area scaling by a whole number gives the means of the blocks', () => {
  const data = picture(12, 9);
  const scaled = resize({ width: 12, height: 9, data }, 4, 3, 'area');
  let sum = 0;
  for (let y = 3; y < 6; y++) for (let x = 6; x < 9; x++) sum += data[(y * 12 + x) * 3 + 1] ?? NaN;
  assert.ok(Math.abs((scaled[(1 * 4 + 2) * 3 + 1] ?? NaN) - sum / 9) <= 1);
});

test('area scaling weighs partly covered pixels by the part that is covered', () => {
  const data = Uint8Array.of(0, 0, 0, 90, 90, 90, 210, 210, 210);
  // 3 pixels to 2: the first covers pixel 0 and half of pixel 1.
  assert.deepEqual([...resize({ width: 3, height: 1, data }, 2, 1, 'area')], [30, 30, 30, 170, 170, 170]);
});

test('one colour stays that colour at any size', () => {
  for (const value of [0, 1, 127, 254, 255]) {
    const data = new Uint8Array(37 * 23 * 3).fill(value);
    for (const filter of ['triangle', 'area'] as const) {
      const scaled = resize({ width: 37, height: 23, data }, 11, 50, filter);
      assert.ok(scaled.every((level) => level === value));
    }
  }
});

test('the same size gives a copy', () => {
  const data = picture(5, 4);
  const scaled = resize({ width: 5, height: 4, data }, 5, 4);
  assert.deepEqual(scaled, data);
  assert.notEqual(scaled.buffer, data.buffer);
});

test('shrinking a photo agrees with libvips to a few levels', async () => {
  const data = picture(640, 360);
  const scaled = resize({ width: 640, height: 360, data }, 160, 90, 'area');
  const vips = await sharp(data, { raw: { width: 640, height: 360, channels: 3 } }).resize(160, 90, { kernel: 'linear', fit: 'fill' }).raw().toBuffer();
  const error = scaled.reduce((sum, value, i) => sum + Math.abs(value - (vips[i] ?? NaN)), 0) / scaled.length;
  assert.ok(error < 3, `mean difference ${error}`);
});

test('wrong sizes are refused by name', () => {
  const data = new Uint8Array(12);
  assert.throws(() => resize({ width: 2, height: 2, data }, 0, 5), /width must be a whole number of pixels/);
  assert.throws(() => resize({ width: 2, height: 2, data }, 5, 1.5), /height must be a whole number of pixels/);
  assert.throws(() => resize({ width: 3, height: 2, data }, 5, 5), /a 3 x 2 RGB frame has 18 bytes, got 12/);
});
