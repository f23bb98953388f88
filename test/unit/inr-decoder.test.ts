/** Random access to the frames of containers of several segments, and between frames. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeNetwork, encodeNetwork, LinrFile, openUrl, readContainer, writeContainer, type ByteSource, type Container, type JsonObject } from '../../model/container/index.js';
import { LinrDecoder, MAX_ENLARGEMENT, MAX_OPEN_SEGMENTS } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import { decodableContainer } from '../helpers/containers.js';
import { RangeServer } from '../helpers/range-server.js';

const runtime = nodeRuntime({ threads: 1 });
const segments = [4, 1, 3, 2, 5];
const container = decodableContainer({ segments });
const file = writeContainer(container);

/** Segment k as a video of its own. */
function alone(k: number): Uint8Array {
  const read = readContainer(file);
  const first = segments.slice(0, k).reduce((sum, count) => sum + count, 0);
  const frames = segments[k] ?? 0;
  const { meta, latentDim } = read;
  // The stored latents, to the bit: of one video, since writing would quantise them anew.
  const latents = read.latents.slice(first * latentDim, (first + frames) * latentDim);
  const times_s = meta.times_s.slice(first, first + frames);
  return writeContainer({ meta: { ...meta, frames, segments: [frames], times_s }, latents, latentDim, networks: [read.networks[k] ?? null] }, { latentBits: 16 });
}

/** A runtime that counts the sessions that are there. */
function countingSessions(): { counted: Runtime; made: () => number; most: () => number; left: () => number } {
  let [now, most, made] = [0, 0, 0];
  const counted: Runtime = {
    name: 'counting',
    async createSession(model, options): Promise<Session> {
      const session = await runtime.createSession(model, options);
      most = Math.max(most, ++now);
      made++;
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        run: (feeds, fetches) => session.run(feeds, fetches),
        release: () => (now--, session.release()),
      };
    },
  };
  return { counted, made: () => made, most: () => most, left: () => now };
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? 0))), 0);
}

describe('a decoder', () => {
  test('gives each frame through the network of its segment, in any order', async () => {
    const decoder = new LinrDecoder(file, runtime);
    const order = [14, 0, 7, 4, 3, 8, 9, 5, 10];
    for (const index of order) {
      const k = (await decoder.file()).segmentOf(index);
      const first = segments.slice(0, k).reduce((sum, count) => sum + count, 0);
      const own = new LinrDecoder(alone(k), runtime);
      const frame = await decoder.frame(index);
      assert.deepEqual([frame.width, frame.height, frame.time_s], [22, 14, index / 25]);
      // The other file's latents are kept to 16 bits: that is all that may differ.
      assert.ok(largestDifference(frame.data, (await own.frame(index - first)).data) <= 1, `frame ${index}`);
      await own.release();
    }
    const [one, other] = [await decoder.frame(3), await decoder.frame(4)];
    assert.ok(largestDifference(one.data, other.data) > 20, 'frames of different networks look alike');
    await decoder.release();
  });

  test('takes bytes, a buffer, a blob, an address, a source or an open file alike', async () => {
    const server = await RangeServer.start(file);
    const bytes = file as Uint8Array<ArrayBuffer>;
    const sources = [bytes, bytes.slice().buffer, new Blob([bytes]), server.url, new URL(server.url), await openUrl(server.url)];
    const expected = await new LinrDecoder(await LinrFile.open(await openUrl(server.url)), runtime).frame(9);
    for (const source of sources) {
      const decoder = new LinrDecoder(source, Promise.resolve(runtime));
      assert.deepEqual(await decoder.frame(9), expected);
      await decoder.release();
    }
    await server.stop();
  });

  test('keeps no more networks than its limit, and gives all back when released', async () => {
    const { counted, made, most, left } = countingSessions();
    const decoder = new LinrDecoder(file, counted);
    for await (const frame of decoder.frames([0, 4, 5, 8, 10, 14, 8, 5, 0])) assert.equal(frame.width, 22);
    assert.equal(most(), MAX_OPEN_SEGMENTS);
    assert.equal(made(), 6, 'segments used last stay: only 0 is opened twice');
    await decoder.release();
    assert.equal(left(), 0);
    await assert.rejects(decoder.frame(0), { code: 'decoder_released' });
  });

  test('serves calls that are made at once, each its own frame', async () => {
    const { counted, most } = countingSessions();
    const decoder = new LinrDecoder(file, counted);
    const frames = await Promise.all(Array.from({ length: 15 }, (_, index) => decoder.frame(14 - index)));
    const fresh = new LinrDecoder(file, runtime);
    for (const [i, frame] of frames.entries()) assert.deepEqual(frame, await fresh.frame(14 - i));
    assert.equal(most(), MAX_OPEN_SEGMENTS);
    await Promise.all([decoder.release(), fresh.release()]);
  });

  test('between two frames of a segment mixes their latents, between segments takes the nearer frame', async () => {
    const decoder = new LinrDecoder(file, runtime);
    const read = readContainer(file);
    const { latentDim } = read;
    // The mixed latent as the only frame of a file of its own.
    const at = (t: number): Float32Array => read.latents.slice(t * latentDim, (t + 1) * latentDim);
    const [z0, z1] = [at(1), at(2)];
    const mixed = z0.map((value, d) => 0.25 * (z1[d] ?? 0) + 0.75 * value);
    const network = decodeNetwork(read.networks[0] as Uint8Array);
    const config = { ...network.config, frames: 1 };
    const still: Container = {
      ...read,
      meta: { ...read.meta, frames: 1, segments: [1], times_s: Float64Array.of(0) },
      latents: mixed,
      networks: [encodeNetwork({ ...network, config: config as JsonObject }, { levels: () => ({ bits: 16 }) })],
    };
    const expected = await new LinrDecoder(writeContainer(still), runtime).frame(0);
    const frame = await decoder.frame(1.25, undefined, 'latents');
    assert.ok(largestDifference(frame.data, expected.data) <= 2);
    assert.ok(Math.abs(frame.time_s - 1.25 / 25) < 1e-12);
    assert.ok(largestDifference(frame.data, (await decoder.frame(1)).data) > 2, 'it is not the frame before');
    // Frame 3 ends segment 0, frame 4 is segment 1, frame 5 begins segment 2.
    assert.deepEqual((await decoder.frame(3.4)).data, (await decoder.frame(3)).data);
    assert.deepEqual((await decoder.frame(3.5)).data, (await decoder.frame(4)).data);
    assert.deepEqual((await decoder.frame(4.75)).data, (await decoder.frame(5)).data);
    await decoder.release();
  });

  test('makes a segment ready before its frames are asked for', async () => {
    let made = 0;
    const counting: Runtime = { ...runtime, createSession: (model, options) => (made++, runtime.createSession(model, options)) };
    const decoder = new LinrDecoder(file, counting);
    await decoder.prepare(2);
    assert.equal(made, 1);
    await decoder.frame(0);
    assert.equal(made, 1, 'the network was there');
    await assert.rejects(decoder.prepare(15), { code: 'frame_not_found' });
    await decoder.release();
    await assert.rejects(decoder.prepare(0), { code: 'decoder_released' });
  });

  test('enlarges and shrinks, and refuses what is out of range by name', async () => {
    const decoder = new LinrDecoder(file, runtime);
    const large = await decoder.frame(2, 22 * MAX_ENLARGEMENT);
    assert.deepEqual([large.width, large.height, large.data.length], [88, 56, 88 * 56 * 3]);
    assert.equal((await decoder.frame(2, 11)).height, 7);
    for (const wrong of [-1, 15, 14.5, NaN, Infinity, -0.5]) {
      await assert.rejects(decoder.frame(wrong), { code: 'frame_not_found', message: /this video has frames 0 to 14/ });
    }
    for (const wrong of [0, 89, 2.5, NaN]) await assert.rejects(decoder.frame(0, wrong), { code: 'width_out_of_range', message: /from 1 to 88/ });
    await decoder.release();
  });

  test('shows the segments that are coded and says of the others that they are still being encoded', async () => {
    const growing = writeContainer(decodableContainer({ segments: [3, 3, 3], network: [true, false, true] }));
    const decoder = new LinrDecoder(growing, runtime);
    await decoder.frame(2);
    await decoder.frame(6);
    await assert.rejects(decoder.frame(4), { name: 'LinrDecodeError', code: 'pictures_not_ready', message: /frames 3 to 5 are still being encoded/ });
    // Between a segment that is there and one that is not, the nearer frame decides.
    await decoder.frame(2.3);
    await assert.rejects(decoder.frame(2.7), { code: 'pictures_not_ready' });
    await decoder.frame(8);
    await decoder.release();
    const young = new LinrDecoder(writeContainer(decodableContainer({ segments: [3, 3], network: false })), runtime);
    await assert.rejects(young.frame(0), { code: 'pictures_not_ready', message: /latents only/ });
  });

  test('refuses a network that is not for its segment, or that asks for too much memory, and goes on with the others', async () => {
    const read = readContainer(file);
    const swapped = writeContainer({ ...read, networks: [read.networks[2] ?? null, ...read.networks.slice(1)] });
    const decoder = new LinrDecoder(swapped, runtime);
    await assert.rejects(decoder.frame(0), { code: 'network_invalid', message: /segment 0: the network was made for frames 3, the container says 4/ });
    await decoder.frame(5);
    await decoder.release();
    const network = decodeNetwork(read.networks[0] as Uint8Array);
    const spoilt = (config: JsonObject): LinrDecoder =>
      new LinrDecoder(writeContainer({ ...read, networks: [encodeNetwork({ ...network, config }), ...read.networks.slice(1)] }), runtime);
    await assert.rejects(spoilt({ ...network.config, hidden: 99 }).frame(0), { code: 'network_invalid', message: /layer0/ });
    await assert.rejects(spoilt({ ...network.config, hidden: 1e6 }).frame(0), { code: 'network_invalid', message: /hidden must be/ });
    await assert.rejects(spoilt({ kind: 'other' }).frame(0), { code: 'network_invalid' });
  });

  test('refuses a small file whose frames would take gigabytes to draw', async () => {
    const small = decodableContainer({ frames: 1 });
    const network = decodeNetwork(small.networks[0] as Uint8Array);
    const size = { width: 8000, height: 8000 };
    const vast = encodeNetwork({ ...network, config: { ...network.config, ...size, patch: 1 } });
    const bytes = writeContainer({ ...small, meta: { ...small.meta, ...size }, networks: [vast] });
    await assert.rejects(new LinrDecoder(bytes, runtime).frame(0), { code: 'network_invalid', message: /768000000 numbers at once/ });
  });

  test('tries again after an address that did not answer', async () => {
    let down = true;
    const server = await RangeServer.start(file, { intercept: (_, response) => down && (response.writeHead(503).end(), true) });
    const decoder = new LinrDecoder(server.url, runtime);
    await assert.rejects(decoder.frame(0), { code: 'source_failed', message: /status 503/ });
    down = false;
    await decoder.frame(0);
    await decoder.release();
    await server.stop();
  });

  test('reads each network when it is first needed, not before', async () => {
    const reads: number[] = [];
    const source: ByteSource = { size: file.length, read: (from, to) => (reads.push(from), Promise.resolve(file.subarray(from, to))) };
    const decoder = new LinrDecoder(source, runtime);
    const { segments: entries } = await decoder.file();
    reads.length = 0;
    await decoder.frame(6);
    await decoder.frame(5);
    await decoder.frame(14);
    assert.deepEqual(reads, [entries[2]?.network?.offset, entries[4]?.network?.offset]);
    await decoder.release();
  });

  test('outside a browser asks for a runtime', async () => {
    await assert.rejects(new LinrDecoder(file).frame(0), /needs a runtime, such as nodeRuntime/);
  });
});
