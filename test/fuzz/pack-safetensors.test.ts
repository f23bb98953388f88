/** Damaged safetensors files are refused with a SafetensorsError, or read as what they still are; nothing else happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSafetensors, SafetensorsError, writeSafetensors } from '../../model/pack/index.js';
import { float32, sizeOf } from '../../model/runtime/tensor.js';
import { randomNumbers } from '../helpers/random.js';

const ROUNDS = 5000;

test(`${ROUNDS} damaged files`, () => {
  const random = randomNumbers(5);
  const valid = writeSafetensors(
    new Map([
      ['a', float32(new Float32Array(12), [3, 4])],
      ['b', { dtype: 'uint8' as const, dims: [5], data: new Uint8Array(5) }],
      ['c', { dtype: 'float16' as const, dims: [2, 1, 2], data: new Uint16Array(4) }],
    ]),
  );
  let refused = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let bytes = valid.slice(0, random.uniform() < 0.2 ? random.below(valid.length + 1) : valid.length);
    if (random.uniform() < 0.2) bytes = new Uint8Array([...bytes, ...bytes.subarray(random.below(bytes.length + 1))]);
    for (let change = random.below(6); change > 0 && bytes.length > 0; change--) {
      // Mostly in the header, where the decisions are; digits more often than not, so that it stays JSON.
      const at = random.below(Math.min(bytes.length, random.uniform() < 0.9 ? 200 : bytes.length));
      bytes[at] = random.uniform() < 0.6 ? 0x30 + random.below(10) : random.below(256);
    }
    try {
      const file = readSafetensors(bytes, 'fuzz.safetensors');
      for (const name of file.names()) {
        const { dims, data } = file.get(name);
        assert.equal(data.length, sizeOf(dims));
      }
    } catch (error) {
      assert.ok(error instanceof SafetensorsError, `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > ROUNDS / 2 && refused < ROUNDS, `${refused} of ${ROUNDS} were refused: the damage does not reach what it should`);
});
