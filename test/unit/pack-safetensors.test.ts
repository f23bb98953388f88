import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSafetensors, SafetensorsError, writeSafetensors } from '../../model/pack/index.js';
import { float32, type HostTensor } from '../../model/runtime/tensor.js';

const tensors = new Map<string, HostTensor>([
  ['small', { dtype: 'int8', dims: [3], data: Int8Array.of(-1, 0, 1) }],
  // Starts at an odd byte, so it cannot be a view of the file.
  ['matrix', float32(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])],
  ['half', { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xc000) }],
  ['long', { dtype: 'int64', dims: [1], data: BigInt64Array.of(-(2n ** 40n)) }],
  ['scalar', float32(Float32Array.of(0.5), [])],
  ['none', float32(new Float32Array(0), [0, 4])],
]);

/** A file with this header and `dataBytes` zeros. */
function file(header: unknown, dataBytes = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

test('what is written is read back, whatever the alignment', () => {
  const written = writeSafetensors(tensors, { made_by: 'a test' });
  const shifted = new Uint8Array(written.length + 1);
  shifted.set(written, 1);
  for (const bytes of [written, shifted.subarray(1), Buffer.from(written)]) {
    const read = readSafetensors(bytes, 'x.safetensors');
    assert.deepEqual(read.names(), [...tensors.keys()]);
    for (const [name, tensor] of tensors) assert.deepEqual(read.get(name), tensor, name);
  }
});

test('bfloat16 comes as the float32 numbers it stands for, and is told apart before it is read', () => {
  const bytes = new Uint8Array([...file({ x: { dtype: 'BF16', shape: [3], data_offsets: [0, 6] } }), 0x80, 0x3f, 0x20, 0xc0, 0x80, 0x7f]);
  const read = readSafetensors(bytes, 'x.safetensors');
  assert.deepEqual(read.info('x'), { dims: [3], stored: 'bfloat16', bytes: 6 });
  assert.deepEqual(read.get('x'), float32(Float32Array.of(1, -2.5, Infinity), [3]));
});

test('an absent tensor and a wrong shape are named with the file', () => {
  const read = readSafetensors(writeSafetensors(tensors), 'x.safetensors');
  assert.equal(read.has('matrix'), true);
  assert.equal(read.has('matrices'), false);
  assert.throws(() => read.get('matrices'), /x\.safetensors has no tensor "matrices"/);
  assert.throws(() => read.get('matrix', [3, 2]), /"matrix" has shape \[2, 3\], expected \[3, 2\]/);
});

test('writing refuses data that does not fill its shape', () => {
  assert.throws(() => writeSafetensors(new Map([['x', { dtype: 'float32', dims: [3], data: new Float32Array(2) } as HostTensor]])), /"x" has 2 elements/);
});

const f32 = (shape: unknown, offsets: unknown): unknown => ({ x: { dtype: 'F32', shape, data_offsets: offsets } });
const damaged: [string, Uint8Array, RegExp][] = [
  ['an empty file', new Uint8Array(0), /has 0 bytes/],
  ['a header longer than the file', file('{}').subarray(0, 9), /ends after 9/],
  ['a huge header length', new Uint8Array(16).fill(255), /more than the \d+ allowed/],
  ['a header that is not JSON', file('{nope'), /not JSON/],
  ['a header that is not UTF-8', file('{"\u0000').fill(0xff, 8), /not JSON/],
  ['a list for a header', file('[]'), /not a JSON object/],
  ['an entry that is a number', file({ x: 1 }), /entry of tensor "x"/],
  ['an unknown type', file({ x: { dtype: 'F12', shape: [1], data_offsets: [0, 4] } }, 4), /type "F12"/],
  ['a type from the prototype', file({ x: { dtype: 'toString', shape: [1], data_offsets: [0, 4] } }, 4), /type "toString"/],
  ['a negative size', file(f32([-1], [0, 4]), 4), /shape of tensor "x"/],
  ['a fractional size', file(f32([0.5], [0, 2]), 2), /shape of tensor "x"/],
  ['too many axes', file(f32([1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 4]), 4), /at most 8/],
  ['one offset', file(f32([1], [0]), 4), /data_offsets/],
  ['offsets that do not span the shape', file(f32([2], [0, 4]), 4), /needs 8 bytes/],
  ['offsets past the end', file(f32([2], [0, 8]), 4), /4 follow the header/],
  ['a product beyond any array', file(f32([2 ** 31, 2 ** 31], [0, 4]), 4), /more than any array/],
  ['data that belongs to no tensor', file(f32([1], [0, 4]), 8), /8 follow the header/],
  ['a gap', file({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, b: { dtype: 'U8', shape: [1], data_offsets: [2, 3] } }, 3), /starts at byte 2/],
  ['an overlap', file({ a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] }, b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] } }, 3), /starts at byte 1/],
];
for (const [name, bytes, message] of damaged) {
  test(`${name} is refused`, () => {
    assert.throws(() => readSafetensors(bytes, 'x.safetensors'), (error) => error instanceof SafetensorsError && message.test(error.message));
  });
}
