/** Damaged PyTorch files are refused with a TorchFileError, or read as what they still are; nothing else happens. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memoryBytes, readTorchFile, TorchFileError } from '../../model/pack/index.js';
import { sizeOf } from '../../model/runtime/tensor.js';
import { fixture } from '../helpers/fixtures.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';

const ROUNDS = 20_000;
/** A file of 6 kB can ask for no more than this, whatever is in it: its pickle's values, and tensors within their storages. */
const MAX_READ_BYTES = 64 * 1024;

const originals = ['zip.pth', 'legacy.pth', 'checkpoint.pth', 'protocol4.pth', 'shell.pth'].map((name) => new Uint8Array(readFileSync(fixture(`torch/${name}`))));
/** Opcodes, and bytes that are sizes and counts at their ends. */
const TELLING = [...Buffer.from('().0]}abceshjqrtuQRXGJKMN'), 0x80, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x93, 0x94, 0, 1, 255, 127];

function damage(original: Uint8Array, random: RandomNumbers): Uint8Array {
  let bytes = original.slice(0, random.uniform() < 0.1 ? random.below(original.length + 1) : original.length);
  if (random.uniform() < 0.1) {
    const at = random.below(bytes.length + 1);
    bytes = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(random.below(at + 1))]);
  }
  for (let change = 1 + random.below(4); change > 0 && bytes.length > 0; change--) {
    // The pickle stands within the first 1.4 kB, the list of the archive's entries within the last: there decisions are made.
    const place = random.uniform();
    const at = place < 0.6 ? random.below(Math.min(bytes.length, 1400)) : place < 0.9 ? bytes.length - 1 - random.below(Math.min(bytes.length, 1400)) : random.below(bytes.length);
    bytes[at] = random.uniform() < 0.6 ? (TELLING[random.below(TELLING.length)] as number) : random.below(256);
  }
  return bytes;
}

test(`${ROUNDS} damaged files`, () => {
  const random = randomNumbers(3);
  let refused = 0;
  let tensors = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = damage(originals[random.below(originals.length)] as Uint8Array, random);
    const source = memoryBytes(bytes);
    const guarded = {
      size: source.size,
      read(start: number, end: number): Uint8Array {
        assert.ok(start >= 0 && start <= end && end <= source.size, `round ${round}: read of ${start} to ${end} in ${source.size} bytes`);
        return source.read(start, end);
      },
    };
    try {
      const file = readTorchFile(guarded, 'fuzz.pth');
      for (const name of file.names()) {
        try {
          const { dims, data } = file.get(name);
          assert.equal(data.length, sizeOf(dims));
          assert.ok(data.byteLength <= MAX_READ_BYTES);
          tensors++;
        } catch (error) {
          assert.ok(error instanceof TorchFileError, `round ${round}, tensor ${name}: ${String(error)}`);
        }
      }
    } catch (error) {
      assert.ok(error instanceof TorchFileError, `round ${round}: ${String(error)}`);
      refused++;
    }
  }
  assert.ok(refused > ROUNDS / 4 && refused < (ROUNDS * 9) / 10, `${refused} of ${ROUNDS} were refused: the damage does not reach what it should`);
  assert.ok(tensors > ROUNDS, `only ${tensors} tensors were read`);
});
