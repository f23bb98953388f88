/** Damaged files of batch questions, in pieces of any size: lines that are right, or a LineError, never anything else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchLine, LineError, textLines, type BatchLine } from '../../server/batches/lines.js';
import { randomNumbers } from '../helpers/random.js';

const rounds = Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 60) * 50;
const seed = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);
const mostBytes = 4000;

const whole = [
  { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Wo ist der Bär? \u{1F43B}' }] } },
  { custom_id: 'b \u2028 "c"', method: 'POST', url: '/v1/chat/completions', body: { messages: [], nested: [[[{ a: null }]]] } },
  { custom_id: 'd', method: 'POST', url: '/v1/chat/completions', body: {} },
].map((line) => JSON.stringify(line));
const pieces = ['\n', '\r\n', '\n\n', '"', '{', '}', '[', ']', ',', ':', '\\', '\ufeff', '\0', 'null', '1e999', '__proto__', '{"custom_id":"a"}', ' '].map((text) => Buffer.from(text));
const bytes = [Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.alloc(mostBytes + 1, 0x20), Buffer.alloc(mostBytes, 0x5b)];

async function read(chunks: readonly Uint8Array[]): Promise<BatchLine[] | LineError> {
  const lines: BatchLine[] = [];
  try {
    for await (const text of textLines(chunks, mostBytes)) lines.push(batchLine(text));
    return lines;
  } catch (error) {
    assert.ok(error instanceof LineError, String(error));
    assert.ok(error.line >= 1 && /^[A-Z].*\.$/s.test(error.problem.message), error.message);
    return error;
  }
}

test('a file is read the same in pieces of any size', async () => {
  const file = Buffer.from(`\ufeff${whole.join('\r\n')}\n\n \n${whole[2] ?? ''}`);
  const [expected, random] = [await read([file]), randomNumbers(seed)];
  assert.ok(Array.isArray(expected));
  assert.deepEqual(expected.map(({ number, customId }) => [number, customId]), [[1, 'a'], [2, 'b \u2028 "c"'], [3, 'd'], [6, 'd']]);
  for (let round = 0; round < 40; round++) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < file.length; ) {
      const size = 1 + Math.floor(20 * random.uniform());
      chunks.push(file.subarray(at, at + size));
      at += size;
    }
    assert.deepEqual(await read(chunks), expected);
  }
});

test('damaged files are read or refused with the number of the line', async (context) => {
  const random = randomNumbers(seed);
  const one = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    let file = Buffer.from(`${whole.join('\n')}\n`);
    for (let change = 0; change <= random.uniform() * 4; change++) {
      const at = Math.floor(random.uniform() * (file.length + 1));
      const piece = random.uniform() < 0.2 ? one(bytes) : random.uniform() < 0.3 ? Buffer.alloc(0) : one(pieces);
      const cut = random.uniform() < 0.5 ? at : at + Math.floor(10 * random.uniform());
      file = Buffer.concat([file.subarray(0, at), piece, file.subarray(cut)]);
    }
    const half = Math.floor(random.uniform() * file.length);
    if ((await read([file.subarray(0, half), file.subarray(half)])) instanceof LineError) refused++;
  }
  context.diagnostic(`${refused} of ${rounds} refused`);
  assert.ok(refused > rounds / 2 && refused < rounds);
});

test('a line that is too long is refused before it is held whole', async () => {
  let given = 0;
  function* endless(): Generator<Uint8Array> {
    for (; ; given += 1000) yield Buffer.alloc(1000, 0x61);
  }
  await assert.rejects(async () => {
    for await (const line of textLines(endless(), mostBytes)) assert.fail(line.text);
  }, /line 1: The line has more than 4000 bytes/);
  assert.ok(given <= mostBytes);
});
