// Mutated containers, and sources that give other bytes than they should: the reader answers or throws ContainerError, in time and memory
// that follow from the file's length. LATENTCHAT_FUZZ_CASES sets the number of cases (default 20,000), LATENTCHAT_FUZZ_SEED the first seed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { basisImages, bytesSource, ContainerError, inspectContainer, LinrFile, readContainer, readHead, writeContainer, type ByteSource } from '../../model/container/index.js';
import { damage, HUGE, mutate } from '../helpers/container-mutations.js';
import { sampleContainer } from '../helpers/containers.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';

const CASES = Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 20_000);
const SEED = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);
/** What a reading may allocate: the levels, residuals, their neighbours outside and floats of 256 values a byte, and tables. */
const BYTES_PER_FILE_BYTE = 256 * 24;
const BYTES_OF_TABLES = 4 * 1024 * 1024;

const originals = [
  writeContainer(sampleContainer()),
  writeContainer(sampleContainer({ frames: 20, latentDim: 16, seed: 8, coding: { coder: 'rans', levels: () => ({ bits: 6 }) } }), { coder: 'rans' }),
  writeContainer(sampleContainer({ frames: 40, latentDim: 16, seed: 2, coding: { coder: 'huffman', levels: (name) => ({ bits: name === 'grid.0' ? 12 : 4 }) } }), { coder: 'huffman' }),
  writeContainer(sampleContainer({ frames: 1, latentDim: 64, network: false })),
  writeContainer(sampleContainer({ frames: 7, latentDim: 8, seed: 3, coding: { levels: () => ({ bits: 16 }) } }), { latentBits: 3 }),
  writeContainer(sampleContainer({ segments: [5, 1, 9, 4], latentDim: 16, network: [true, false, true, true], seed: 4, coding: { levels: () => ({ bits: 4 }) } })),
  writeContainer(sampleContainer({ segments: [3, 3], latentDim: 8, seed: 5, coding: { levels: () => ({ bits: 1 }) } }), { latentBits: 1 }),
  writeContainer(sampleContainer({ segments: [2, 2, 2], latentDim: 8, network: false, seed: 6 })),
  writeContainer(sampleContainer({ frames: 9, latentDim: 8, seed: 9, images: 6 })),
  writeContainer(sampleContainer({ segments: [4, 1, 5], latentDim: 8, network: [true, false, true], seed: 10, images: 3 })),
];
/** What an encoder made of a real video. It takes the time of a hundred of the others to read, so it comes as rarely. */
const demo = new Uint8Array(readFileSync(new URL('../../../weights/demo/bunny.linr', import.meta.url)));
const DEMO_SHARE = 0.002;

function original(random: RandomNumbers): Uint8Array {
  return random.uniform() < DEMO_SHARE ? demo : (originals[random.below(originals.length)] as Uint8Array);
}

const COUNTED = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'Float32Array', 'Float64Array', 'ArrayBuffer'] as const;

/** Counts what typed arrays are asked to hold while `run` runs. */
async function allocatedDuring(run: () => Promise<void>): Promise<number> {
  let bytes = 0;
  const kept = COUNTED.map((name) => globalThis[name]);
  for (const name of COUNTED) {
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
    await run();
  } finally {
    COUNTED.forEach((name, i) => Object.defineProperty(globalThis, name, { value: kept[i], configurable: true, writable: true }));
  }
  return bytes;
}

/** How often each outcome came: `read`, or the code of the refusal. */
class Outcomes {
  readonly #counts = new Map<string, number>();
  #slowest = 0;

  /** Runs one case on a file of `length` bytes and holds it to what a reader may throw, take and allocate. */
  async add(seed: number, length: number, read: () => Promise<void>): Promise<void> {
    let outcome = 'read';
    const start = process.cpuUsage();
    const allocated = await allocatedDuring(async () => {
      try {
        await read();
      } catch (error) {
        if (!(error instanceof ContainerError)) {
          assert.fail(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
        }
        outcome = error.code;
      }
    });
    // Processor time: other work on the machine is no fault of the reader's.
    const elapsed = process.cpuUsage(start).user / 1000;
    this.#slowest = Math.max(this.#slowest, elapsed);
    assert.ok(elapsed < 1000, `seed ${seed} took ${elapsed.toFixed(0)} ms`);
    const allowed = length * BYTES_PER_FILE_BYTE + BYTES_OF_TABLES;
    assert.ok(allocated <= allowed, `seed ${seed} allocated ${allocated} bytes for a file of ${length}`);
    this.#counts.set(outcome, this.of(outcome) + 1);
  }

  of(outcome: string): number {
    return this.#counts.get(outcome) ?? 0;
  }

  toString(): string {
    return `slowest case ${this.#slowest.toFixed(1)} ms; ${[...this.#counts].map(([name, count]) => `${name} ${count}`).join(', ')}`;
  }
}

test(`${CASES} mutated containers are read or refused, within a second and their limits each`, async () => {
  const outcomes = new Outcomes();
  for (let i = 0; i < CASES; i++) {
    const random = randomNumbers(SEED + i);
    const file = mutate(original(random), random);
    const way = random.uniform();
    await outcomes.add(SEED + i, file.length, async () => {
      if (way < 0.1) readHead(file);
      else if (way < 0.2) readContainer(file);
      else if (way < 0.4) await readAll(bytesSource(file));
      else inspectContainer(file);
    });
  }
  // The mutations must reach past the checksums, or the test proves little.
  for (const code of ['read', 'malformed', 'limit_exceeded', 'truncated', 'checksum_mismatch', 'not_a_container', 'version_unsupported']) {
    assert.ok(outcomes.of(code) > 0, `no case ended as ${code}: ${String(outcomes)}`);
  }
  assert.ok(outcomes.of('malformed') > CASES / 10, String(outcomes));
  console.log(String(outcomes));
});

/** Reads a file in parts: its head, then its networks, last to first. */
async function readAll(source: ByteSource): Promise<void> {
  const file = await LinrFile.open(source);
  for (let k = file.segments.length - 1; k >= 0; k--) {
    const network = await file.network(k);
    if (network?.images !== undefined) basisImages(network.images);
  }
}

/** A source of `file` that is wrong about its size, or now and then gives too few bytes, too many, others or none. */
function unreliable(file: Uint8Array, random: RandomNumbers): ByteSource {
  const kind = random.below(7);
  const size = kind === 0 ? (HUGE[random.below(HUGE.length)] ?? 0) : kind === 1 ? random.below(file.length * 2) : file.length;
  return {
    size,
    read: (from, to) => {
      assert.ok(Number.isInteger(from) && from >= 0 && from <= to && to <= size, `bytes ${from} to ${to} were asked for of ${size}`);
      const right = file.subarray(from, to);
      if (random.uniform() < 0.4) return Promise.resolve(right);
      switch (kind) {
        case 2:
          return Promise.resolve(right.subarray(0, random.below(right.length + 1)));
        case 3:
          return Promise.resolve(file.subarray(from, to + 1 + random.below(100)));
        case 4:
          return Promise.resolve(damage(right, random));
        case 5:
          return Promise.reject(new ContainerError('source_failed', 'gone'));
        case 6:
          return Promise.resolve(file.subarray(random.below(file.length)));
        default:
          return Promise.resolve(right);
      }
    },
  };
}

const SOURCE_CASES = Math.ceil(CASES / 4);

test(`${SOURCE_CASES} readings in parts from sources that are not to be trusted end as well`, async () => {
  const outcomes = new Outcomes();
  for (let i = 0; i < SOURCE_CASES; i++) {
    const random = randomNumbers(SEED - 1 - i);
    const whole = original(random);
    const file = random.uniform() < 0.3 ? mutate(whole, random) : whole;
    await outcomes.add(SEED - 1 - i, file.length, () => readAll(unreliable(file, random)));
  }
  for (const code of ['read', 'source_failed', 'limit_exceeded', 'truncated', 'checksum_mismatch', 'malformed']) {
    assert.ok(outcomes.of(code) > SOURCE_CASES / 1000, `hardly a case ended as ${code}: ${String(outcomes)}`);
  }
  console.log(String(outcomes));
});
