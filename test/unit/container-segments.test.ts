/** Containers of several segments, and reading them in parts from wherever they lie. */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import {
  blobSource,
  bytesSource,
  decodeNetwork,
  inspectContainer,
  LinrFile,
  openUrl,
  readContainer,
  readHead,
  writeContainer,
  type ByteSource,
  type Container,
} from '../../model/container/index.js';
import { MAX_SECTIONS, MAX_SEGMENTS } from '../../model/container/limits.js';
import { fileSource } from '../../model/container/source.node.js';
import { sampleContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { RangeServer } from '../helpers/range-server.js';
import { withSections } from '../helpers/sections.js';

const container = sampleContainer({ segments: [5, 4, 3], network: [true, false, true] });
const file = writeContainer(container);

/** The META section with other fields. */
function withMeta(change: (meta: Record<string, unknown>) => void): Uint8Array {
  return withSections(file, (sections) => {
    const section = sections[0];
    assert.ok(section !== undefined);
    const meta = JSON.parse(new TextDecoder().decode(section.bytes)) as Record<string, unknown>;
    change(meta);
    section.bytes = new TextEncoder().encode(JSON.stringify(meta));
  });
}

describe('a container of several segments', () => {
  test('keeps which frames belong to which network, and which networks are still missing', () => {
    const read = readContainer(file);
    assert.deepEqual(read.meta, container.meta);
    assert.deepEqual(read.networks, container.networks);
    assert.deepEqual(
      readHead(file).segments.map(({ first, frames, network }) => [first, frames, network?.type ?? null]),
      [[0, 5, 'NETW'], [5, 4, null], [9, 3, 'NETW']],
    );
    assert.deepEqual(writeContainer(read), file);
  });

  test('is reported segment by segment', () => {
    const { segments, sections, headBytes } = inspectContainer(file);
    assert.deepEqual(sections.map(({ type }) => type), ['META', 'TIME', 'LATN', 'NETW', 'NETW']);
    assert.deepEqual(segments.map(({ tensors }) => tensors.length), [5, 0, 5]);
    assert.equal(segments[0]?.network?.offset, headBytes);
    assert.equal(segments[2]?.network?.offset, headBytes + (segments[0]?.network?.bytes ?? 0));
  });

  test('of one segment is written as files of one network always were, without a list of segments', () => {
    const one = writeContainer(sampleContainer());
    assert.ok(!new TextDecoder('latin1').decode(one).includes('"segments"'));
    assert.deepEqual(readContainer(one).meta.segments, [12]);
  });

  test('is refused where the list of segments contradicts the frames or the networks there are', () => {
    const segments = (list: unknown): Uint8Array => withMeta((meta) => (meta['segments'] = list));
    const [yes, no] = [true, false];
    const refusals: [unknown, RegExp][] = [
      [[{ frames: 5, coded: yes }, { frames: 4, coded: no }, { frames: 2, coded: yes }], /segments have 11 frames, the video 12/],
      [[{ frames: 5, coded: yes }, { frames: 4, coded: yes }, { frames: 3, coded: yes }], /2 NETW sections for 3 coded segments/],
      [[{ frames: 5, coded: yes }, { frames: 4, coded: no }, { frames: 3, coded: no }], /2 NETW sections for 1 coded segments/],
      [[{ frames: 12, coded: yes }, { frames: 0, coded: yes }], /segments\[1\]\.frames/],
      [[{ frames: 13, coded: yes }, { frames: -1, coded: yes }], /segments\[1\]\.frames/],
      [[{ frames: 12, coded: 1 }], /segments\[0\]\.coded/],
      [[12], /segments\[0\]/],
      [[], /segments have 0 frames/],
      [{ length: 1 }, /not a list/],
      [undefined, /2 NETW sections for 1 coded segments/],
    ];
    for (const [list, message] of refusals) assert.throws(() => readHead(segments(list)), { name: 'ContainerError', code: 'malformed', message });
    const many = Array.from({ length: MAX_SEGMENTS + 1 }, () => ({ frames: 1, coded: false }));
    assert.throws(() => readHead(segments(many)), { code: 'limit_exceeded', message: /number of segments/ });
  });

  test('is not written where its parts do not fit together', () => {
    assert.throws(() => writeContainer({ ...container, networks: [null] }), { code: 'malformed', message: /1 networks for 3 segments/ });
    const odd = (segments: number[]): Container => ({ ...container, meta: { ...container.meta, segments }, networks: segments.map(() => null) });
    assert.throws(() => writeContainer(odd([5, 5])), { code: 'malformed', message: /10 frames, the video 12/ });
    assert.throws(() => writeContainer(odd([11])), { code: 'malformed', message: /11 frames, the video 12/ });
    assert.throws(() => writeContainer(odd([])), { code: 'malformed' });
  });

  test('of the most segments there may be has a head that the first reading and one more get', async () => {
    const most = sampleContainer({ segments: new Array<number>(MAX_SEGMENTS).fill(1), latentDim: 1, network: false });
    const networks = most.networks.map(() => Uint8Array.of(1));
    const { source, reads } = counting(bytesSource(writeContainer({ ...most, networks })));
    const opened = await LinrFile.open(source);
    assert.equal(opened.segments.length, MAX_SEGMENTS);
    assert.equal(reads.length, 2);
    assert.ok(MAX_SECTIONS > MAX_SEGMENTS);
  });
});

/** A source that keeps what was read of it. */
function counting(source: ByteSource): { source: ByteSource; reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    reads,
    source: { size: source.size, read: (from, to) => (reads.push([from, to]), source.read(from, to)) },
  };
}

describe('a container read in parts', () => {
  let folder: TestFolder | null = null;
  after(() => folder?.remove());
  // Longer than the first reading, so that networks are fetched and not at hand already.
  const long = sampleContainer({ segments: [100, 40, 160], network: [true, false, true], latentDim: 1024, coding: { levels: () => ({ bits: 16 }) } });
  const bytes = writeContainer(long);

  const sources: Record<string, () => Promise<ByteSource>> = {
    bytes: () => Promise.resolve(bytesSource(bytes)),
    blob: () => Promise.resolve(blobSource(new Blob([bytes as Uint8Array<ArrayBuffer>]))),
    file: async () => {
      folder ??= await TestFolder.make();
      const handle = await open(await folder.write('a.linr', bytes), 'r');
      after(() => handle.close());
      return fileSource(handle);
    },
    address: async () => {
      const server = await RangeServer.start(bytes);
      after(() => server.stop());
      return openUrl(server.url);
    },
    'address without ranges': async () => {
      const server = await RangeServer.start(bytes, { ignoreRange: true });
      after(() => server.stop());
      return openUrl(server.url);
    },
    'address without ETag': async () => {
      const server = await RangeServer.start(bytes, { noValidators: true });
      after(() => server.stop());
      return openUrl(new URL(server.url));
    },
  };
  for (const [name, make] of Object.entries(sources)) {
    test(`is the same from ${name}`, async () => {
      const opened = await LinrFile.open(await make());
      assert.deepEqual(opened.meta, long.meta);
      assert.deepEqual(opened.latents, readContainer(bytes).latents);
      assert.deepEqual(await opened.network(0), decodeNetwork(long.networks[0] as Uint8Array));
      assert.equal(await opened.network(1), null);
      assert.deepEqual(await opened.network(2), decodeNetwork(long.networks[2] as Uint8Array));
      await assert.rejects(opened.network(3), /no segment 3: the container has segments 0 to 2/);
    });
  }

  test('finds the segment of every frame', async () => {
    const opened = await LinrFile.open(bytesSource(bytes));
    assert.deepEqual([0, 99, 100, 139, 140, 299].map((frame) => opened.segmentOf(frame)), [0, 0, 1, 1, 2, 2]);
  });

  test('fetches the head with the first requests and a network with one more, and nothing else', async () => {
    const server = await RangeServer.start(bytes);
    const opened = await LinrFile.open(await openUrl(server.url));
    const { headBytes, segments } = opened;
    assert.ok(headBytes > 65_536, `the head has ${headBytes} bytes`);
    assert.deepEqual(server.asked, ['bytes=0-65535', `bytes=65536-${headBytes - 1}`]);
    const network = segments[2]?.network;
    assert.ok(network);
    await opened.network(2);
    assert.equal(server.asked[2], `bytes=${network.offset}-${network.offset + network.bytes - 1}`);
    assert.equal(server.sent, headBytes + network.bytes);
    await server.stop();
  });

  test('names a file that was replaced meanwhile, with an ETag or without', async () => {
    for (const noValidators of [false, true]) {
      const server = await RangeServer.start(bytes, { noValidators });
      const opened = await LinrFile.open(await openUrl(server.url));
      server.file = writeContainer({ ...long, networks: long.networks.map(() => long.networks[0] ?? null) });
      await assert.rejects(opened.network(2), { name: 'ContainerError', code: 'source_changed' });
      server.file = bytes.subarray(0, 10);
      await assert.rejects(opened.network(2), { code: 'source_changed' });
      await server.stop();
    }
  });

  test('refuses damage of a network when that network is read, not before', async () => {
    const damaged = bytes.slice();
    damaged[damaged.length - 9] = (damaged[damaged.length - 9] ?? 0) ^ 1;
    const opened = await LinrFile.open(bytesSource(damaged));
    await opened.network(0);
    await assert.rejects(opened.network(2), { code: 'checksum_mismatch', message: /NETW/ });
  });

  test('refuses a file that is shorter or longer than it says', async () => {
    await assert.rejects(LinrFile.open(bytesSource(bytes.subarray(0, bytes.length - 1))), { code: 'truncated' });
    await assert.rejects(LinrFile.open(bytesSource(bytes.subarray(0, 70_000))), { code: 'truncated' });
    await assert.rejects(LinrFile.open(bytesSource(Uint8Array.from([...bytes, 0]))), { code: 'malformed', message: /goes on for 1 byte/ });
    await assert.rejects(LinrFile.open(bytesSource(new Uint8Array(0))), { code: 'not_a_container' });
    const vast = { size: 2 ** 31, read: () => assert.fail('nothing of it may be read') };
    await assert.rejects(LinrFile.open(vast), { code: 'limit_exceeded' });
  });

  test('names servers that do not answer, answer with an error, or with other bytes than were asked for', async () => {
    const cases: [RegExp, Parameters<typeof RangeServer.start>[1]][] = [
      [/status 404/, { intercept: (_, response) => (response.writeHead(404).end('no'), true) }],
      [/not fetched to its end|could not be fetched/, { intercept: (_, response) => (response.writeHead(200, { 'content-length': '100' }).write('x'), setTimeout(() => response.destroy(), 20), true) }],
      [/without saying how long/, { intercept: (_, response) => (response.writeHead(206).end('abc'), true) }],
      [/3 bytes where it promised 10/, { intercept: (_, response) => (response.writeHead(206, { 'content-range': 'bytes 0-9/100' }).end('abc'), true) }],
    ];
    for (const [message, options] of cases) {
      const server = await RangeServer.start(bytes, options);
      await assert.rejects(openUrl(server.url), { name: 'ContainerError', code: 'source_failed', message });
      await server.stop();
    }
    await assert.rejects(openUrl('http://127.0.0.1:1/x.linr'), { code: 'source_failed' });
    const empty = await RangeServer.start(new Uint8Array(0));
    await assert.rejects(LinrFile.open(await openUrl(empty.url)), { code: 'not_a_container' });
    await empty.stop();
    const cut = await RangeServer.start(bytes, {
      intercept: (request, response) => {
        if (request.headers.range?.startsWith('bytes=0-') === true) return false;
        response.writeHead(206, { etag: '"other"', 'content-range': `bytes 65536-65545/${bytes.length}` }).end('0123456789');
        return true;
      },
    });
    await assert.rejects(LinrFile.open(await openUrl(cut.url)), { code: 'source_changed' });
    await cut.stop();
  });

  test('stops with the signal’s own reason', async () => {
    const server = await RangeServer.start(bytes);
    const stop = new AbortController();
    const opened = await LinrFile.open(await openUrl(server.url, { signal: stop.signal }));
    stop.abort(new Error('enough'));
    await assert.rejects(opened.network(2), /enough/);
    await server.stop();
  });
});
