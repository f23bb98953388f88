/** Figures of quality against the field's formulas. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bitsPerPixel, lumaPsnr, psnr, ssim } from '../../model/inr/quality.js';
import { fixture } from '../helpers/fixtures.js';

test('PSNR and bits a pixel are the field’s', () => {
  assert.equal(psnr(Uint8Array.of(0, 0, 0), Uint8Array.of(0, 0, 0)), 100);
  assert.ok(Math.abs(psnr(Uint8Array.of(25, 25), Uint8Array.of(0, 0)) - 20 * Math.log10(255 / 25)) < 1e-9);
  assert.equal(bitsPerPixel(1000, 10, 20, 10), 4);
});

test('PSNR of luma weighs red, green and blue as BT.709 does', () => {
  const black = Uint8Array.of(0, 0, 0);
  for (const [rgb, weight] of [[[50, 0, 0], 0.2126], [[0, 50, 0], 0.7152], [[0, 0, 50], 0.0722], [[50, 50, 50], 1]] as const) {
    assert.ok(Math.abs(lumaPsnr(Uint8Array.from(rgb), black) + 20 * Math.log10((50 * weight) / 255)) < 1e-9, String(rgb));
  }
  assert.equal(lumaPsnr(black, black), 100);
  assert.throws(() => lumaPsnr(black, Uint8Array.of(0, 0, 0, 0, 0, 0)), RangeError);
});

interface SsimCase {
  readonly width: number;
  readonly height: number;
  readonly noise: number;
  readonly ssim: number;
}

/** The pictures of test/fixtures/quality/make.py. */
function pictures({ width, height, noise }: SsimCase): [Uint8Array, Uint8Array] {
  const [first, second] = [new Uint8Array(width * height * 3), new Uint8Array(width * height * 3)];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, at++) {
        const value = (x * 7 + y * 13 + c * 29 + ((x * y) % 17)) % 256;
        first[at] = value;
        second[at] = Math.min(255, Math.max(0, value + ((x * y * 31) % (2 * noise + 1)) - noise));
      }
    }
  }
  return [first, second];
}

test('SSIM agrees with a window summed directly by numpy', () => {
  for (const known of JSON.parse(readFileSync(fixture('quality/ssim.json'), 'utf8')) as readonly SsimCase[]) {
    const [first, second] = pictures(known);
    const { width, height } = known;
    assert.ok(Math.abs(ssim(first, second, width, height) - known.ssim) < 1e-9, `${width} x ${height}: ${ssim(first, second, width, height)}, numpy ${known.ssim}`);
    assert.equal(ssim(first, first, width, height), 1);
  }
});

test('frames that cannot be compared are refused', () => {
  assert.throws(() => psnr(new Uint8Array(3), new Uint8Array(6)), /frames of 3 and 6 bytes/);
  assert.throws(() => ssim(new Uint8Array(300), new Uint8Array(300), 10, 10), /at least 11 pixels a side, got 10 x 10/);
  assert.throws(() => ssim(new Uint8Array(300), new Uint8Array(300), 20, 10), /has 600 bytes, got 300/);
});
