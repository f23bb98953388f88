import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from '../../model/container/crc32.js';
import {
  ContainerError,
  decodeNetwork,
  encodeNetwork,
  inspectContainer,
  readContainer,
  readHead,
  writeContainer,
  type Coder,
  type Container,
  type ContainerErrorCode,
  type ContainerNetwork,
  type ContainerTensor,
} from '../../model/container/index.js';
import { MAX_FRAMES } from '../../model/container/limits.js';
import { readNetwork } from '../../model/container/network.js';
import { sampleContainer, sampleNetwork } from '../helpers/containers.js';
import { randomNumbers } from '../helpers/random.js';

function refused(run: () => unknown, code: ContainerErrorCode, message?: RegExp): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof ContainerError, String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

function largestError(a: Float32Array, b: Float32Array): number {
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? NaN))), 0);
}

/** Changes a field of a written file and makes its checksums right again. */
function withHeaderField(file: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  change(view);
  const end = 12 + 12 * view.getUint16(10, true);
  view.setUint32(end, crc32(copy.subarray(0, end)), true);
  return copy;
}

for (const coder of ['range', 'huffman', 'rans'] as const satisfies Coder[]) {
  describe(`container, ${coder} coder`, () => {
    const container = sampleContainer({ coding: { coder } });
    const network = sampleNetwork(randomNumbers(8));
    const file = writeContainer(container, { coder });
    const read = readContainer(file);

    test('keeps every fact about the video', () => {
      assert.deepEqual(read.meta, container.meta);
      assert.equal(read.latentDim, 32);
    });

    for (const bits of [1, 3, 8, 16]) {
      test(`keeps tensors to half a step of ${bits} bits, constants exactly and the configuration`, () => {
        const back = decodeNetwork(encodeNetwork(network, { coder, levels: () => ({ bits }) }));
        assert.deepEqual(back.config, network.config);
        assert.deepEqual([...back.tensors.keys()], [...network.tensors.keys()]);
        for (const [name, { dims, data }] of network.tensors) {
          const tensor = back.tensors.get(name);
          assert.deepEqual(tensor?.dims, dims);
          const range = Math.max(...data) - Math.min(...data);
          assert.ok(largestError(data, tensor.data) <= (range / (2 ** bits - 1) / 2) * 1.001 + 1e-7, name);
        }
        assert.deepEqual(back.tensors.get('constant')?.data, new Float32Array(15).fill(0.25));
      });
    }

    test('keeps multiples of a step exactly, and all values to half of it', () => {
      const back = decodeNetwork(encodeNetwork(network, { coder, levels: () => ({ step: 1 / 64 }) }));
      for (const [name, { data }] of network.tensors) {
        const stored = back.tensors.get(name)?.data ?? new Float32Array(0);
        assert.ok(largestError(data, stored) <= 1 / 128 + 1e-7, name);
        assert.ok(stored.every((value) => Number.isInteger(value * 64)), name);
      }
    });

    test('written again gives the same bytes, after one reading and after two', () => {
      assert.deepEqual(writeContainer(read), file);
      assert.deepEqual(writeContainer(readContainer(writeContainer(read))), file);
    });

    test('more bits keep more, and cost more', () => {
      const fine = writeContainer(container, { coder, latentBits: 10 });
      const back = readContainer(fine);
      // Of so few numbers the tables of rANS are the larger part.
      if (coder !== 'rans') assert.ok(fine.length > file.length);
      assert.ok(largestError(container.latents, back.latents) < largestError(container.latents, read.latents) / 5);
    });

    test('latents are kept to half a step of their column', () => {
      const { latents, latentDim } = container;
      for (let d = 0; d < latentDim; d++) {
        const column = Float32Array.from({ length: 12 }, (_, t) => latents[t * latentDim + d] ?? NaN);
        const back = Float32Array.from({ length: 12 }, (_, t) => read.latents[t * latentDim + d] ?? NaN);
        const mean = column.reduce((sum, value) => sum + value / 12, 0);
        const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2 / 12, 0));
        assert.ok(largestError(column, back) <= (deviation * 8) / 63 / 2 + 1e-3, `column ${d}`);
      }
    });
  });
}

describe('container', () => {
  const container = sampleContainer();
  const file = writeContainer(container);

  test('what could not be read of the source is kept, within limits', () => {
    const withWarnings = (warnings: readonly string[]): Uint8Array =>
      writeContainer({ ...container, meta: { ...container.meta, source: { ...container.meta.source, warnings } } });
    const warnings = ['The file is cut off.', 'Zwei Spuren – eine gelesen.'];
    assert.deepEqual(readContainer(withWarnings(warnings)).meta.source.warnings, warnings);
    assert.deepEqual(withWarnings([]), writeContainer(container), 'no warnings cost no bytes');
    refused(() => withWarnings(Array.from({ length: 17 }, () => 'x')), 'limit_exceeded', /number of warnings/);
    refused(() => withWarnings(['x'.repeat(1025)]), 'limit_exceeded', /source\.warnings\.0/);
  });

  test('transcoding latents to the other coder keeps every value', () => {
    const read = readContainer(file);
    const other = readContainer(writeContainer(read, { coder: 'huffman' }));
    assert.deepEqual(other.latents, read.latents);
  });

  test('a network is coded by rANS where that costs next to nothing, else by the range coder', () => {
    const random = randomNumbers(3);
    const sample = (dims: readonly number[]): ContainerTensor => {
      const data = new Float32Array(dims.reduce((product, dim) => product * dim));
      return { dims, data: data.map(() => Math.round(random.normal() * 4) + 0) }; // + 0: a container has no -0
    };
    const tensors = new Map([['large', sample([600, 600])], ['middling', sample([80, 80])], ['small', sample([40])]]);
    const { codings, network } = readNetwork(encodeNetwork({ config: {}, tensors }, { levels: () => ({ step: 1 }) }), 1e6);
    assert.deepEqual(codings.map(({ name, coder }) => [name, coder]), [['large', 'rans'], ['middling', 'range'], ['small', 'range']]);
    assert.deepEqual(network.tensors.get('large')?.data, tensors.get('large')?.data);
  });

  test('without a network it is a valid file of latents', () => {
    const read = readContainer(writeContainer({ ...container, networks: [null] }));
    assert.deepEqual(read.networks, [null]);
    assert.equal(read.latents.length, 12 * 32);
  });

  test('a photo keeps its latent to float16', () => {
    const photo = sampleContainer({ frames: 1, latentDim: 256, network: false });
    const bytes = writeContainer(photo);
    const read = readContainer(bytes);
    assert.ok(bytes.length < 1100, `${bytes.length} bytes`);
    read.latents.forEach((value, i) => assert.ok(Math.abs(value - (photo.latents[i] ?? NaN)) <= Math.abs(value) * 2 ** -10));
    assert.deepEqual(writeContainer(read), bytes);
  });

  test('a still video costs little more than its first frame', () => {
    const one = sampleContainer({ frames: 1, latentDim: 256, network: false });
    const latents = new Float32Array(500 * 256).map((_, i) => one.latents[i % 256] ?? 0);
    const times_s = Float64Array.from({ length: 500 }, (_, i) => i / 30);
    const still: Container = { ...one, latents, meta: { ...one.meta, frames: 500, segments: [500], times_s } };
    const bytes = writeContainer(still);
    assert.ok(bytes.length < 1500 + 500, `${bytes.length} bytes`);
    assert.ok(largestError(readContainer(bytes).latents, latents) < 0.01);
  });

  test('a video that drifts costs less than its bits a value', () => {
    const long = sampleContainer({ frames: 300, latentDim: 256, network: false });
    const report = inspectContainer(writeContainer(long));
    assert.deepEqual(report.latents?.prediction?.axis, 0);
    assert.ok((report.latents?.streamBytes ?? Infinity) < (300 * 256 * 4.5) / 8, `${report.latents?.streamBytes} bytes`);
  });

  test('times keep the microsecond at any rate and across gaps', () => {
    const random = randomNumbers(5);
    let t = -0.5;
    const cases = {
      'one frame': Float64Array.of(0.04),
      '29.97 a second': Float64Array.from({ length: 5000 }, (_, i) => (i * 1001) / 30_000),
      'variable': Float64Array.from({ length: 700 }, () => (t += random.uniform() * 0.2)),
      'an hour between frames': Float64Array.of(0, 3600, 3600.04, 90_000),
      'equal times': Float64Array.of(1, 1, 1),
    };
    for (const [name, times_s] of Object.entries(cases)) {
      const sample = sampleContainer({ frames: times_s.length, network: false });
      const written = { ...sample, meta: { ...sample.meta, duration_s: 100_000, times_s } };
      const bytes = writeContainer(written);
      const back = readContainer(bytes).meta.times_s;
      times_s.forEach((time, i) => assert.ok(Math.abs(time - (back[i] ?? NaN)) <= 0.5e-6 + 1e-12, name));
      assert.deepEqual(writeContainer(readContainer(bytes)), bytes);
    }
  });

  test('the head can be read from a prefix, which says how much it needs', () => {
    const { headBytes } = readHead(file);
    const head = readHead(file.subarray(0, headBytes));
    assert.deepEqual(head.container.latents, readContainer(file).latents);
    assert.deepEqual(head.container.meta, container.meta);
    assert.deepEqual([head.segments.map(({ network }) => network !== null), head.container.networks, head.fileBytes], [[true], [null], file.length]);
    for (const cut of [9, 11, 30, headBytes - 1]) {
      assert.throws(
        () => readHead(file.subarray(0, cut)),
        (error: unknown) => error instanceof ContainerError && error.code === 'truncated' && (error.neededBytes ?? 0) > cut,
      );
    }
    refused(() => readContainer(file.subarray(0, headBytes)), 'truncated');
  });

  test('the report accounts for every byte and every tensor', () => {
    const report = inspectContainer(file);
    assert.equal(report.fileBytes, file.length);
    assert.deepEqual(report.sections.map((s) => s.type), ['META', 'TIME', 'LATN', 'NETW']);
    assert.equal(12 + 12 * 4 + 4 + report.sections.reduce((sum, s) => sum + s.bytes, 0), file.length);
    const tensors = report.segments[0]?.tensors ?? [];
    assert.deepEqual(tensors.map((t) => t.name), [...sampleNetwork(randomNumbers(8)).tensors.keys()]);
    assert.ok(tensors.every((t) => t.bits === 8 && t.coder === 'range'));
  });

  test('refuses what is not a container', () => {
    refused(() => readContainer(new Uint8Array(0)), 'not_a_container', /empty/);
    refused(() => readContainer(new TextEncoder().encode('hello, I am a text file of some length')), 'not_a_container');
  });

  test('refuses other versions and kinds of section it does not know, and skips kinds it may skip', () => {
    refused(() => readContainer(withHeaderField(file, (view) => view.setUint16(8, 0, true))), 'version_unsupported', /version 0/);
    refused(() => readContainer(withHeaderField(file, (view) => view.setUint16(8, 3, true))), 'version_unsupported', /version 3.*versions 1 to 2/);
    refused(() => readContainer(withHeaderField(file, (view) => view.setUint8(12 + 36, 0x58))), 'version_unsupported', /XETW/);
    assert.deepEqual(readContainer(withHeaderField(file, (view) => view.setUint8(12 + 36, 0x6e))).networks, [null]);
  });

  test('refuses damage, naming the section', () => {
    const report = inspectContainer(file);
    for (const section of report.sections) {
      const damaged = file.slice();
      damaged[section.offset] = (damaged[section.offset] ?? 0) ^ 1;
      refused(() => readContainer(damaged), 'checksum_mismatch', new RegExp(section.type));
    }
    const header = file.slice();
    header[20] = (header[20] ?? 0) ^ 1;
    refused(() => readContainer(header), 'checksum_mismatch', /header/);
    refused(() => readContainer(Uint8Array.from([...file, 0])), 'malformed', /goes on for 1 byte/);
  });

  test('refuses counts above its limits', () => {
    const crowded = file.slice();
    crowded.set([0xff, 0xff], 10);
    refused(() => readContainer(crowded), 'limit_exceeded', /sections/);
    refused(() => readContainer(withHeaderField(file, (view) => view.setUint32(12 + 4, 0xffffffff, true))), 'limit_exceeded', /length of the file/);
    const meta = { ...container.meta, frames: MAX_FRAMES + 1 };
    refused(() => writeContainer({ ...container, meta, latents: new Float32Array(0), latentDim: 0 }), 'limit_exceeded', /frames/);
    refused(() => writeContainer({ ...container, meta: { ...container.meta, width: 30_000 } }), 'limit_exceeded', /width/);
  });

  test('the writer names the tensor that cannot be stored', () => {
    const broken = (data: Float32Array, dims = [2]): ContainerNetwork => ({ config: {}, tensors: new Map([['w', { dims, data }]]) });
    refused(() => encodeNetwork(broken(Float32Array.of(1, NaN))), 'malformed', /"w".*not finite/);
    refused(() => encodeNetwork(broken(Float32Array.of(1, 2, 3))), 'malformed', /"w" has dimensions 2 and 3 values/);
    refused(() => encodeNetwork(broken(Float32Array.of(1, 2)), { levels: () => ({ step: 0 }) }), 'malformed', /levels 0 apart/);
    refused(() => encodeNetwork(broken(Float32Array.of(1, 2)), { levels: () => ({ bits: 17 }) }), 'malformed', /17 bits/);
    refused(() => writeContainer({ ...container, latents: container.latents.slice(1) }), 'malformed', /latent numbers/);
    refused(() => writeContainer({ ...container, latents: container.latents.map(() => Infinity) }), 'malformed', /not finite/);
  });

  test('a million symbols decode in well under half a second', () => {
    const random = randomNumbers(11);
    const data = Float32Array.from({ length: 1_000_000 }, () => random.normal());
    const bytes = encodeNetwork({ config: {}, tensors: new Map([['w', { dims: [1000, 1000], data }]]) });
    const times = [1, 2, 3].map(() => {
      const start = process.cpuUsage();
      decodeNetwork(bytes);
      return process.cpuUsage(start).user / 1000;
    });
    assert.ok(Math.min(...times) < 500, `${Math.min(...times)} ms of processor time`);
  });
});
