/** Damaged GGUF files are refused by name, or read as what they still are; nothing else happens, and nothing large is allocated. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ggufDecoder, parseGgufConfig } from '../../model/language/published/gguf.js';
import { ggufTokenizer } from '../../model/language/published/gguf-tokenizer.js';
import { GgufError, readGguf } from '../../model/pack/gguf/index.js';
import { memoryBytes, PackError } from '../../model/pack/index.js';
import { fixture } from '../helpers/fixtures.js';
import { randomNumbers } from '../helpers/random.js';

const ROUNDS = 1500;

for (const name of ['q8_0.gguf', 'q4_1.gguf', 'k-quants.gguf']) {
  test(`${ROUNDS} damaged copies of ${name}`, async () => {
    const random = randomNumbers(7);
    const valid = new Uint8Array(await readFile(fixture(`language/published/${name}`)));
    // Where the tensors' data begin: the decisions are made before that.
    const header = [...readGguf(memoryBytes(valid), name).tensors.values()].reduce((least, { start }) => Math.min(least, start), valid.length);
    let [refused, most] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      let bytes = valid.slice(0, random.uniform() < 0.15 ? random.below(valid.length + 1) : valid.length);
      if (random.uniform() < 0.1) bytes = new Uint8Array([...bytes, ...bytes.subarray(random.below(bytes.length + 1))]);
      for (let change = random.below(5); change > 0 && bytes.length > 0; change--) {
        // Early bytes hold the counts and lengths; a byte of 255 high in a 64-bit size is the largest claim there is.
        const at = random.below(Math.min(bytes.length, random.uniform() < 0.5 ? 600 : header));
        bytes[at] = random.uniform() < 0.3 ? 255 : random.below(256);
      }
      const before = process.memoryUsage().arrayBuffers;
      try {
        const gguf = readGguf(memoryBytes(bytes), name);
        const { config } = parseGgufConfig(gguf);
        const source = ggufDecoder(gguf, { ...config, bos: 0, eos: 0 }, 8);
        source.embedding();
        source.layer(config.layers - 1);
        ggufTokenizer(gguf);
      } catch (error) {
        assert.ok(error instanceof GgufError || error instanceof PackError, `round ${round}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
        assert.ok(error.message.includes(name), error.message);
        refused++;
      }
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    assert.ok(refused > ROUNDS / 5 && refused < ROUNDS, `${refused} of ${ROUNDS} were refused: the damage does not reach what it should`);
    assert.ok(most < 64 * valid.length, `${most} bytes were allocated for a file of ${valid.length}`);
  });
}
