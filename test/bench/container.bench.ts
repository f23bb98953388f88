/** Entropy coding of a million quantised values (8 bits) of Gaussian weights: bytes against the entropy, processor time to write and to read. */
import { encodeHuffman, decodeHuffman } from '../../model/container/huffman.js';
import { decodeIntegers, encodeIntegers } from '../../model/container/integers.js';
import { randomNumbers } from '../helpers/random.js';
import { machine, median, printTable } from './table.js';

const COUNT = 1_000_000;
const RUNS = 5;

const coders = {
  range: { encode: (values: Int32Array) => encodeIntegers(values, 1000), decode: (bytes: Uint8Array) => decodeIntegers(bytes, COUNT, 1000) },
  huffman: { encode: encodeHuffman, decode: (bytes: Uint8Array) => decodeHuffman(bytes, COUNT, 512) },
};

/** Milliseconds of processor time: the machine may be busy with something else. */
function cost(call: () => unknown): number {
  const times = Array.from({ length: RUNS }, () => {
    const start = process.cpuUsage();
    call();
    return process.cpuUsage(start).user / 1000;
  });
  return median(times);
}

function entropyBytes(values: Int32Array): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / values.length), 0) / 8;
}

const rows = [['deviation, levels', 'coder', 'bytes', 'above entropy', 'write ms', 'read ms']];
for (const deviation of [0.5, 4, 20]) {
  const random = randomNumbers(1);
  const values = Int32Array.from({ length: COUNT }, () => Math.max(-127, Math.min(128, Math.round(random.normal() * deviation))));
  const entropy = entropyBytes(values);
  for (const [name, { encode, decode }] of Object.entries(coders)) {
    const bytes = encode(values);
    const above = `${((bytes.length / entropy - 1) * 100).toFixed(2)}%`;
    rows.push([String(deviation), name, String(bytes.length), above, cost(() => encode(values)).toFixed(0), cost(() => decode(bytes)).toFixed(0)]);
  }
}
console.log(machine());
printTable(rows);
