// Mutated containers: the reader answers or throws ContainerError, in time and memory that follow from the file's length.
// LATENTCHAT_FUZZ_CASES sets the number of cases (default 20,000), LATENTCHAT_FUZZ_SEED the first seed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../../model/container/crc32.js';
import { ContainerError, inspectContainer, readHead, writeContainer } from '../../model/container/index.js';
import { sampleContainer } from '../helpers/containers.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';

const CASES = Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 20_000);
const SEED = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);
/** What a reading may allocate: the levels, residuals and floats of 256 values a byte, and tables. */
const BYTES_PER_FILE_BYTE = 256 * 16;
const BYTES_OF_TABLES = 4 * 1024 * 1024;

const originals = [
  writeContainer(sampleContainer()),
  writeContainer(sampleContainer({ frames: 40, latentDim: 16, seed: 2, coding: { coder: 'huffman', levels: (name) => ({ bits: name === 'grid.0' ? 12 : 4 }) } }), { coder: 'huffman' }),
  writeContainer(sampleContainer({ frames: 1, latentDim: 64, network: false })),
  writeContainer(sampleContainer({ frames: 7, latentDim: 8, seed: 3, coding: { levels: () => ({ bits: 16 }) } }), { latentBits: 3 }),
];

interface Section {
  type: Uint8Array;
  bytes: Uint8Array;
}

function split(file: Uint8Array): Section[] {
  const view = new DataView(file.buffer, file.byteOffset);
  const count = view.getUint16(10, true);
  const sections: Section[] = [];
  let at = 12 + 12 * count + 4;
  for (let i = 0; i < count; i++) {
    const entry = 12 + 12 * i;
    const length = view.getUint32(entry + 4, true);
    sections.push({ type: file.slice(entry, entry + 4), bytes: file.slice(at, at + length) });
    at += length;
  }
  return sections;
}

/** A file with right lengths and checksums, so that damage inside sections reaches the parsers behind them. */
function join(sections: readonly Section[], original: Uint8Array): Uint8Array {
  const headerBytes = 12 + 12 * sections.length + 4;
  const file = new Uint8Array(headerBytes + sections.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const view = new DataView(file.buffer);
  file.set(original.subarray(0, 10));
  view.setUint16(10, sections.length, true);
  let at = headerBytes;
  sections.forEach(({ type, bytes }, i) => {
    file.set(type, 12 + 12 * i);
    view.setUint32(12 + 12 * i + 4, bytes.length, true);
    view.setUint32(12 + 12 * i + 8, crc32(bytes), true);
    file.set(bytes, at);
    at += bytes.length;
  });
  view.setUint32(headerBytes - 4, crc32(file.subarray(0, headerBytes - 4)), true);
  return file;
}

const HUGE = [0, 1, 2, 127, 255, 256, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Changes `bytes` in one small way. Positions near the start are likelier: that is where counts and sizes are. */
function damage(bytes: Uint8Array, random: RandomNumbers): Uint8Array {
  const out = bytes.slice();
  if (out.length === 0) return out;
  const at = random.uniform() < 0.5 ? random.below(Math.min(out.length, 96)) : random.below(out.length);
  const other = random.below(out.length);
  switch (random.below(6)) {
    case 0:
      out[at] = (out[at] ?? 0) ^ (1 << random.below(8));
      return out;
    case 1:
      out[at] = random.below(256);
      return out;
    case 2:
      return out.subarray(0, at);
    case 3: {
      const size = Math.min(4, out.length - at);
      const value = HUGE[random.below(HUGE.length)] ?? 0;
      for (let i = 0; i < size; i++) out[at + i] = (value >>> (8 * i)) & 255;
      return out;
    }
    case 4:
      return Uint8Array.from([...out.subarray(0, at), ...out.subarray(Math.min(at, other), Math.max(at, other)), ...out.subarray(at)]);
    default:
      return Uint8Array.from([...out.subarray(0, Math.min(at, other)), ...out.subarray(Math.max(at, other))]);
  }
}

function mutate(file: Uint8Array, random: RandomNumbers): Uint8Array {
  if (random.uniform() < 0.15) return damage(file, random);
  const sections = split(file);
  const rounds = 1 + random.below(3);
  for (let i = 0; i < rounds; i++) {
    const section = sections[random.below(sections.length)];
    const other = sections[random.below(sections.length)];
    if (section === undefined || other === undefined) break;
    const kind = random.uniform();
    if (kind < 0.9) section.bytes = damage(section.bytes, random);
    else if (kind < 0.93) [section.bytes, other.bytes] = [other.bytes, section.bytes];
    else if (kind < 0.96) [section.type, other.type] = [other.type, section.type];
    else if (kind < 0.98) sections.splice(random.below(sections.length), 1);
    else sections.push({ type: section.type.slice(), bytes: section.bytes });
  }
  return join(sections, file);
}

/** Counts what typed arrays are asked to hold while `run` runs. */
function allocatedDuring(run: () => void): number {
  let bytes = 0;
  const names = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'Float32Array', 'Float64Array', 'ArrayBuffer'] as const;
  const kept = names.map((name) => globalThis[name]);
  for (const name of names) {
    const counted = new Proxy(globalThis[name], {
      construct(target, args: unknown[]) {
        const size = args[0];
        const width = 'BYTES_PER_ELEMENT' in target ? target.BYTES_PER_ELEMENT : 1;
        if (typeof size === 'number') bytes += size * width;
        return Reflect.construct(target, args) as object;
      },
    });
    Object.defineProperty(globalThis, name, { value: counted, configurable: true, writable: true });
  }
  try {
    run();
  } finally {
    names.forEach((name, i) => Object.defineProperty(globalThis, name, { value: kept[i], configurable: true, writable: true }));
  }
  return bytes;
}

test(`${CASES} mutated containers are read or refused, within a second and their limits each`, () => {
  const outcomes = new Map<string, number>();
  let slowest = 0;
  for (let i = 0; i < CASES; i++) {
    const random = randomNumbers(SEED + i);
    const original = originals[random.below(originals.length)] as Uint8Array;
    const file = mutate(original, random);
    let outcome = 'read';
    const start = process.cpuUsage();
    const allocated = allocatedDuring(() => {
      try {
        if (random.uniform() < 0.2) readHead(file);
        else inspectContainer(file);
      } catch (error) {
        if (!(error instanceof ContainerError)) {
          assert.fail(`seed ${SEED + i}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        }
        outcome = error.code;
      }
    });
    // Processor time: other work on the machine is no fault of the reader's.
    const elapsed = process.cpuUsage(start).user / 1000;
    slowest = Math.max(slowest, elapsed);
    assert.ok(elapsed < 1000, `seed ${SEED + i} took ${elapsed.toFixed(0)} ms`);
    const allowed = file.length * BYTES_PER_FILE_BYTE + BYTES_OF_TABLES;
    assert.ok(allocated <= allowed, `seed ${SEED + i} allocated ${allocated} bytes for a file of ${file.length}`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  // The mutations must reach past the checksums, or the test proves little.
  for (const code of ['read', 'malformed', 'limit_exceeded', 'truncated', 'checksum_mismatch', 'not_a_container', 'version_unsupported']) {
    assert.ok((outcomes.get(code) ?? 0) > 0, `no case ended as ${code}: ${JSON.stringify([...outcomes])}`);
  }
  assert.ok((outcomes.get('malformed') ?? 0) > CASES / 10, JSON.stringify([...outcomes]));
  console.log(`slowest case ${slowest.toFixed(1)} ms; ${[...outcomes].map(([name, count]) => `${name} ${count}`).join(', ')}`);
});
