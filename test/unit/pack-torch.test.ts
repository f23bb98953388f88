/** PyTorch files that PyTorch itself wrote (test/fixtures/torch/make.py), and files that only look like some. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memoryBytes, readTorchFile, TorchFileError, type TensorFile } from '../../model/pack/index.js';
import { decodeFloat16 } from '../../model/runtime/float16.js';
import { fixture } from '../helpers/fixtures.js';

const bytesOf = (name: string): Uint8Array => readFileSync(fixture(`torch/${name}`));
const read = (name: string): TensorFile => readTorchFile(memoryBytes(bytesOf(name)), name);
/** 0, 1, 2, … as the fixtures count: in quarters from -1. */
const counted = (...indices: number[]): number[] => indices.map((i) => i / 4 - 1);
const upTo = (count: number): number[] => counted(...Array.from({ length: count }, (_, i) => i));
const numbers = (file: TensorFile, name: string): (number | bigint)[] => {
  const { dtype, data } = file.get(name);
  return dtype === 'float16' ? [...decodeFloat16(data as Uint16Array)] : [...(data as Float32Array | BigInt64Array)];
};

for (const name of ['zip.pth', 'legacy.pth']) {
  test(`${name}: every type, shape and stride comes as PyTorch has it`, () => {
    const file = read(name);
    const expected: Record<string, [string, number[], (number | bigint)[]]> = {
      weight: ['float32', [3, 4], upTo(12)],
      half: ['float16', [5], upTo(5)],
      bfloat: ['bfloat16', [5], upTo(5)],
      long: ['int64', [2], [-(2n ** 40n), 7n]],
      int: ['int32', [2], [-3, 2 ** 30]],
      byte: ['uint8', [2], [0, 255]],
      char: ['int8', [2], [-128, 127]],
      bool: ['bool', [2], [1, 0]],
      scalar: ['float32', [], [2.5]],
      none: ['float32', [0, 3], []],
      transposed: ['float32', [3, 2], counted(0, 3, 1, 4, 2, 5)],
      columns: ['float32', [3, 3], counted(6, 8, 10, 12, 14, 16, 18, 20, 22)],
      parameter: ['float32', [2, 2], upTo(4)],
      first: ['float32', [4], upTo(4)],
      last: ['float32', [4], counted(2, 3, 4, 5)],
    };
    assert.deepEqual(file.names().sort(), [...Object.keys(expected), 'double'].sort());
    for (const [tensor, [stored, dims, values]] of Object.entries(expected)) {
      const info = file.info(tensor);
      assert.deepEqual([info.stored, info.dims], [stored, dims], tensor);
      const { dtype, dims: shape } = file.get(tensor, dims);
      assert.equal(dtype, stored === 'bfloat16' ? 'float32' : stored);
      assert.deepEqual(shape, dims);
      assert.deepEqual(numbers(file, tensor), values, tensor);
    }
  });

  test(`${name}: what is absent, of another shape, or of a type that is not read is named`, () => {
    const file = read(name);
    assert.equal(file.has('weights'), false);
    assert.throws(() => file.get('weights'), new TorchFileError(`${name} has no tensor "weights"`));
    assert.throws(() => file.get('weight', [4, 3]), new TorchFileError(`${name}: tensor "weight" has shape [3, 4], expected [4, 3]`));
    assert.throws(() => file.get('double'), /tensor "double" lies in a DoubleStorage/);
  });
}

test('a checkpoint with optimizer and settings gives its tensors by their paths', () => {
  const file = read('checkpoint.pth');
  const model = ['model.0.weight', 'model.0.bias', 'model.1.weight', 'model.1.bias'];
  assert.deepEqual(file.names().filter((name) => name.startsWith('model.')), model);
  assert.ok(file.has('optimizer.state.0.exp_avg'));
  assert.deepEqual(numbers(file, 'model.0.weight'), upTo(6));
  assert.deepEqual(file.info('model.1.bias'), { dims: [3], stored: 'float32', bytes: 12 });
  assert.deepEqual(numbers(read('protocol4.pth'), 'model.0.weight'), upTo(6));
});

test('only the tensors that are asked for are read', () => {
  const bytes = bytesOf('zip.pth');
  const parts: [number, number][] = [];
  const file = readTorchFile({ size: bytes.length, read: (start, end) => (parts.push([start, end]), bytes.subarray(start, end)) }, 'zip.pth');
  const dataAt = Buffer.from(bytes).indexOf(Buffer.from(Float32Array.from(upTo(12)).buffer));
  assert.ok(dataAt > 0);
  const touches = ([start, end]: [number, number]): boolean => start < dataAt + 48 && end > dataAt && end - start < bytes.length - 100;
  assert.equal(parts.some(touches), false);
  parts.length = 0;
  file.get('weight');
  assert.deepEqual(parts.at(-1), [dataAt, dataAt + 48]);
});

test('an archive whose sizes do not fit 32 bits (ZIP64), as of files beyond 4 GB, is read', () => {
  const bytes = Buffer.from(bytesOf('zip.pth'));
  const end = bytes.length - 22;
  const [count, size, start] = [bytes.readUInt16LE(end + 10), bytes.readUInt32LE(end + 12), bytes.readUInt32LE(end + 16)];
  // The first entry's sizes and position move to a field of 24 bytes after its name; the others stay narrow.
  const nameEnd = start + 46 + bytes.readUInt16LE(start + 28);
  const field = Buffer.alloc(28);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(24, 2);
  field.writeBigUInt64LE(BigInt(bytes.readUInt32LE(start + 24)), 4);
  field.writeBigUInt64LE(BigInt(bytes.readUInt32LE(start + 20)), 12);
  field.writeBigUInt64LE(BigInt(bytes.readUInt32LE(start + 42)), 20);
  bytes.writeUInt16LE(bytes.readUInt16LE(start + 30) + 28, start + 30);
  for (const at of [20, 24, 42]) bytes.writeUInt32LE(0xffffffff, start + at);
  const end64 = Buffer.alloc(56 + 20);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(size + 28), 40);
  end64.writeBigUInt64LE(BigInt(start), 48);
  end64.writeUInt32LE(0x07064b50, 56);
  end64.writeBigUInt64LE(BigInt(end + 28), 64);
  bytes.writeUInt16LE(0xffff, end + 10);
  bytes.writeUInt32LE(0xffffffff, end + 16);
  const wide = Buffer.concat([bytes.subarray(0, nameEnd), field, bytes.subarray(nameEnd, end), end64, bytes.subarray(end)]);
  assert.deepEqual(numbers(readTorchFile(memoryBytes(wide), 'wide.pth'), 'weight'), upTo(12));
});

const REFUSED: [string, RegExp][] = [
  ['shell.pth', /asks for the Python object "(posix|nt)\.system"/],
  ['namespace.pth', /asks for the Python object "argparse\.Namespace"/],
  ['module.pth', /asks for the Python object "torch\.nn\.modules\.container\.Sequential"/],
  ['empty.pth', /holds no tensors/],
];
for (const [name, message] of REFUSED) {
  test(`${name} is refused by name`, () => {
    assert.throws(() => read(name), (error) => error instanceof TorchFileError && error.message.startsWith(name) && message.test(error.message));
  });
}

/** The archive of zip.pth with another pickle of at most its length, whose first byte after STOP on is never read. */
function withPickle(...parts: (number | string | number[])[]): Uint8Array {
  const bytes = Uint8Array.from(bytesOf('zip.pth'));
  const start = Buffer.from(bytes).indexOf(Buffer.from([0x80, 2, 0x63]));
  const pickle = parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : part));
  bytes.set([0x80, 2, ...pickle, 0x2e], start);
  return bytes;
}
const STORAGE = ['(', 'X\x07\0\0\0storage', 'ctorch\nFloatStorage\n', 'X\x01\0\0\x000', 'X\x03\0\0\0cpu', 'K\x0c', 'tQ'];
const tensor = (offset: string, dims: string, strides: string): string[] =>
  ['}', 'X\x01\0\0\0a', 'ctorch._utils\n_rebuild_tensor_v2\n', '(', ...STORAGE, offset, dims, strides, '\x89', '}', 'tR', 's'].map((part) => part);
const latin = (...parts: string[]): Uint8Array => withPickle(...parts.map((part) => [...Buffer.from(part, 'latin1')]));

test('a pickle put together by hand is read: the refusals below are for what they change in it', () => {
  assert.deepEqual(numbers(readTorchFile(memoryBytes(latin(...tensor('K\x02', 'K\x02K\x03\x86', 'K\x03K\x01\x86'))), 'x.pth'), 'a'), counted(2, 3, 4, 5, 6, 7));
});

const DAMAGED: [string, Uint8Array, RegExp][] = [
  ['an empty file', new Uint8Array(0), /starts neither as a ZIP archive/],
  ['another kind of file', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1'), /starts neither as a ZIP archive/],
  ['an archive cut short', bytesOf('zip.pth').subarray(0, 4000), /end of its archive is missing: was it cut short/],
  ['an old file cut short', bytesOf('legacy.pth').subarray(0, 2200), /ends before its last storage/],
  ['an old file cut short in its pickles', bytesOf('legacy.pth').subarray(0, 300), /pickle ends too early/],
  ['a tensor beyond its storage', latin(...tensor('K\x02', 'K\x03K\x04\x86', 'K\x04K\x01\x86')), /shape \[3, 4\] reaches beyond its storage of 12 elements/],
  ['strides beyond the storage', latin(...tensor('K\x00', 'K\x03K\x04\x86', 'K\x05K\x01\x86')), /reaches beyond its storage/],
  ['one element spread over a tensor of any size', latin(...tensor('K\x00', 'J\0\0\0\x40K\x04\x86', 'K\x00K\x00\x86')), /more elements than its storage of 12/],
  ['negative sizes', latin(...tensor('K\x00', 'J\xff\xff\xff\xffK\x04\x86', 'K\x04K\x01\x86')), /damaged tensor/],
  ['too many axes', latin(...tensor('K\x00', `(${'K\x01'.repeat(9)}t`, `(${'K\x01'.repeat(9)}t`)), /9 axes, more than the 8 allowed/],
  ['a list in itself', latin(']', 'q\x00', 'h\x00', 'a'), /nest more than 16 deep/],
  ['lists that double', latin(']', ...Array.from({ length: 12 }, () => ['q\x00', '0]', '(', 'h\x00'.repeat(12), 'e']).flat()), /more than 500000 values|no tensors/],
  ['a stack that is empty', latin('0'), /takes more from the stack/],
  ['items below a mark', latin('K\x01K\x02(\x86'), /takes more from the stack/],
  ['an unknown value recalled', latin('h\x07'), /recalls value 7/],
  ['a call of a number', latin('K\x01)R'), /calls something that is not a function/],
  ['attributes of a number', latin('K\x01}b'), /sets attributes of something that is not a dictionary/],
  ['items of a list', latin(']K\x01K\x02s'), /sets items of something that is not a dictionary/],
  ['an unknown operation', latin('\x8f'), /operation 0x8f/],
  ['an object of a class', latin('ctorch\nSize\n)\x81'), /operation 0x81/],
  ['a text longer than the file', latin('X\xff\xff\xff\x7f'), /ends too early/],
  ['a huge whole number', latin('\x8a\xff'), /whole number of 255 bytes/],
  ['a storage of no known form', latin('K\x01Q'), /names a storage in an unknown way/],
  ['a parameter that is a number', latin('ctorch._utils\n_rebuild_parameter\nK\x01K\x02\x86R'), /parameter that is not a tensor/],
];
for (const [name, bytes, message] of DAMAGED) {
  test(`${name} is refused`, () => {
    assert.throws(() => readTorchFile(memoryBytes(bytes), 'x.pth'), (error) => error instanceof TorchFileError && error.message.startsWith('x.pth') && message.test(error.message));
  });
}
