import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from '../../model/container/crc32.js';
import { fromFloat16Bits, toFloat16Bits } from '../../model/runtime/float16.js';
import { codeLengths, decodeHuffman, encodeHuffman } from '../../model/container/huffman.js';
import { decodeIntegers, encodeIntegers } from '../../model/container/integers.js';
import { decodeRans, encodeRans } from '../../model/container/rans.js';
import { randomNumbers } from '../helpers/random.js';

const random = randomNumbers(1);

/** Bytes that the counts of `values` alone ask for. */
function entropyBytes(values: Int32Array): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= count * Math.log2(count / values.length);
  return bits / 8;
}

const sequences: Record<string, Int32Array> = {
  empty: new Int32Array(0),
  'one value': Int32Array.of(-7),
  'one symbol a thousand times': new Int32Array(1000).fill(-31),
  'zeros': new Int32Array(5000),
  'two symbols, one of them rare': Int32Array.from({ length: 20_000 }, () => (random.uniform() < 0.003 ? 5 : 0)),
  'uniform bytes': Int32Array.from({ length: 20_000 }, () => Math.floor(random.uniform() * 256)),
  'normal, deviation 20': Int32Array.from({ length: 20_000 }, () => Math.round(random.normal() * 20)),
  'normal, deviation 0.4': Int32Array.from({ length: 20_000 }, () => Math.round(random.normal() * 0.4)),
  'a slow ramp': Int32Array.from({ length: 4000 }, (_, i) => Math.round(i / 3) - 700),
  'sixteen bits, uniform': Int32Array.from({ length: 3000 }, () => Math.floor(random.uniform() * 131_071) - 65_535),
};

describe('entropy coders', () => {
  for (const [name, values] of Object.entries(sequences)) {
    test(`range coder returns ${name}`, () => {
      assert.deepEqual(decodeIntegers(encodeIntegers(values, 64), values.length, 64), values);
    });
    for (const columns of [1, 2, 64]) {
      test(`rANS returns ${name}, in rows of ${columns}`, () => {
        assert.deepEqual(decodeRans(encodeRans(values, columns), values.length, columns), values);
      });
    }
    test(`Huffman returns ${name}`, () => {
      assert.deepEqual(decodeHuffman(encodeHuffman(values), values.length, 2 ** 18), values);
    });
  }

  test('range coder keeps the extremes of 32-bit integers', () => {
    const values = Int32Array.of(0x7fffffff, -0x7fffffff, 0, 1, -1, 2 ** 30);
    assert.deepEqual(decodeIntegers(encodeIntegers(values, 1), values.length, 1), values);
  });

  test('rANS tells apart what the size and the sign of neighbours foretell', () => {
    const values = Int32Array.from({ length: 60_000 }, (_, i) => Math.round(random.normal() * (Math.floor(i / 500) % 2 === 0 ? 1 : 60)));
    assert.ok(encodeRans(values, 100).length < 0.95 * entropyBytes(values));
    for (const [i, value] of values.entries()) values[i] = Math.abs(value) * (Math.floor(i / 1000) % 2 === 0 ? 1 : -1);
    assert.ok(encodeRans(values, 100).length < 0.9 * entropyBytes(values));
  });

  test('rANS is within its tables and 2% of the range coder where numbers are not mostly zero', () => {
    const values = Int32Array.from({ length: 200_000 }, () => Math.round(random.normal() * 3));
    assert.ok(encodeRans(values, 64).length <= encodeIntegers(values, 64).length * 1.02);
  });

  test('a rANS stream whose parts are cut, or whose tables or state are none, is refused', () => {
    const values = sequences['normal, deviation 20'] as Int32Array;
    const bytes = encodeRans(values, 64);
    const tablesLength = new DataView(bytes.buffer).getUint32(1, true);
    const changed = (change: (copy: DataView) => void): Uint8Array => {
      const copy = bytes.slice();
      change(new DataView(copy.buffer));
      return copy;
    };
    const refused = (stream: Uint8Array): void => assert.throws(() => decodeRans(stream, values.length, 64), { code: 'malformed' });
    for (const length of [0, 4, 8, 8 + tablesLength]) refused(bytes.subarray(0, length));
    for (const alphabet of [0, 84, 255]) refused(changed((view) => view.setUint8(0, alphabet)));
    refused(changed((view) => view.setUint32(1, 0xffffffff, true)));
    refused(changed((view) => view.setUint8(6, view.getUint8(6) ^ 0xff)));
    refused(changed((view) => view.setUint32(5 + tablesLength, 3, true)));
    refused(changed((view) => view.setUint32(5 + tablesLength, 0x80000000, true)));
    assert.equal(decodeRans(bytes.subarray(0, bytes.length - 400), values.length, 64).length, values.length, 'zeros are read past the end');
  });

  for (const [name, share] of [['uniform bytes', 1.01], ['normal, deviation 20', 1.015], ['normal, deviation 0.4', 1.01]] as const) {
    test(`range coder is within ${Math.round((share - 1) * 1000) / 10}% of the entropy of: ${name}`, () => {
      const values = sequences[name] as Int32Array;
      const bytes = encodeIntegers(values, 64).length;
      assert.ok(bytes <= entropyBytes(values) * share + 8, `${bytes} bytes for an entropy of ${entropyBytes(values)}`);
    });
    test(`Huffman is within a table and 6% of the entropy of: ${name}`, () => {
      const values = sequences[name] as Int32Array;
      const allowance = name === 'normal, deviation 0.4' ? 1.35 : 1.06;
      const bytes = encodeHuffman(values).length;
      assert.ok(bytes >= entropyBytes(values) && bytes <= entropyBytes(values) * allowance + 128, `${bytes} for ${entropyBytes(values)}`);
    });
  }

  test('range coder goes below order-0 entropy where the size of neighbours foretells the next', () => {
    const values = Int32Array.from({ length: 20_000 }, (_, i) => Math.round(random.normal() * (Math.floor(i / 500) % 2 === 0 ? 1 : 60)));
    assert.ok(encodeIntegers(values, 100).length < 0.93 * entropyBytes(values));
  });

  test('symbols of very uneven counts never get codes longer than the format allows', () => {
    const fibonacci = new Float64Array(60);
    fibonacci[0] = fibonacci[1] = 1;
    for (let i = 2; i < fibonacci.length; i++) fibonacci[i] = (fibonacci[i - 1] as number) + (fibonacci[i - 2] as number);
    const lengths = codeLengths(fibonacci);
    assert.ok(lengths.every((length) => length >= 1 && length <= 24));
    assert.equal(lengths.reduce((sum, length) => sum + 2 ** -length, 0), 1);
  });

  test('a Huffman stream that ends early, or whose code is not complete, is refused', () => {
    const values = sequences['uniform bytes'] as Int32Array;
    const bytes = encodeHuffman(values);
    assert.throws(() => decodeHuffman(bytes.subarray(0, bytes.length - 20), values.length, 256), { code: 'malformed' });
    const broken = bytes.slice();
    broken[8] = 0xf0;
    assert.throws(() => decodeHuffman(broken, values.length, 256), { code: 'malformed' });
    assert.throws(() => decodeHuffman(bytes, values.length, 255), { code: 'malformed' });
  });
});

describe('container numbers', () => {
  test('CRC-32 has the check value of its standard', () => {
    assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
    assert.equal(crc32(new Uint8Array(0)), 0);
  });

  test('every half survives the way to a number and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromFloat16Bits(bits);
      if (Number.isNaN(value)) assert.ok(Number.isNaN(fromFloat16Bits(toFloat16Bits(value))));
      else assert.equal(toFloat16Bits(value), bits);
    }
  });

  test('halves round to the nearest, ties to even', () => {
    for (let i = 0; i < 20_000; i++) {
      const value = Math.fround(random.normal() * 2 ** Math.floor(random.uniform() * 40 - 28));
      const error = Math.abs(fromFloat16Bits(toFloat16Bits(value)) - value);
      for (const step of [-1, 1]) {
        const neighbour = fromFloat16Bits((toFloat16Bits(value) + step) & 0xffff);
        if (Number.isFinite(neighbour)) assert.ok(error <= Math.abs(neighbour - value), String(value));
      }
    }
    assert.equal(toFloat16Bits(1 + 2 ** -11), toFloat16Bits(1));
    assert.equal(toFloat16Bits(1 + 3 * 2 ** -11), toFloat16Bits(1 + 2 ** -9));
    assert.equal(toFloat16Bits(65_520), 0x7c00);
    assert.equal(toFloat16Bits(2 ** -25), 0);
  });
});
