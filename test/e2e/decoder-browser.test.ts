/** The decoder as a module in a real browser gives the pictures that Node gives, to 1/255, and fetches no more than it needs. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { writeContainer } from '../../model/container/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { decodableContainer } from '../helpers/containers.js';
import { RangeServer } from '../helpers/range-server.js';
import { Chromium } from './page-harness.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const publicDir = path.join(root, 'dist/client/web/public');
const TYPES: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** The built page's files, and an empty page to run in. Everything else is left to the file server. */
function intercept(request: IncomingMessage, response: ServerResponse): boolean {
  const name = path.basename(request.url ?? '');
  if (name === 'video.linr') return false;
  const type = TYPES[path.extname(name)];
  if (type === undefined) {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><link rel="icon" href="data:,"><title>decoder</title>');
  } else {
    void readFile(path.join(publicDir, name)).then(
      (bytes) => response.writeHead(200, { 'content-type': type }).end(bytes),
      () => response.writeHead(404).end(),
    );
  }
  return true;
}

/** Frames decoded in the page: index and width (null: the encoded one), and their pixels as text. */
function decodeInPage(page: Page, wanted: readonly (readonly [number, number | null])[]): Promise<{ width: number; height: number; time_s: number; pixels: string }[]> {
  return page.evaluate(async (list) => {
    const module = (await import(new URL('/linr-decoder.js', location.href).href)) as typeof import('../../client/web/linr-decoder.js');
    const decoder = new module.LinrDecoder('/video.linr');
    const frames = [];
    for (const [index, width] of list) {
      const frame = await decoder.frame(index, width ?? undefined);
      let pixels = '';
      for (const value of frame.data) pixels += String.fromCharCode(value);
      frames.push({ width: frame.width, height: frame.height, time_s: frame.time_s, pixels: btoa(pixels) });
    }
    await decoder.release();
    return frames;
  }, wanted);
}

let browser: Chromium;
before(async () => {
  browser = await Chromium.start();
});
after(() => browser.close());

const samples: Record<string, { file: () => Promise<Uint8Array>; wanted: readonly (readonly [number, number | null])[] }> = {
  'the demo video': {
    file: async () => new Uint8Array(await readFile(path.join(root, 'weights/demo/bunny.linr'))),
    wanted: [[0, null], [131, null], [60.25, null], [77, 640], [12, 100]],
  },
  'a video of several segments': {
    file: () => Promise.resolve(writeContainer(decodableContainer({ segments: [5, 4, 6, 5], network: [true, true, false, true] }))),
    wanted: [[0, null], [19, 88], [6.5, 31], [4, null], [8.4, null]],
  },
};

for (const [name, { file, wanted }] of Object.entries(samples)) {
  test(`frames of ${name} are those of Node, to 1/255`, async () => {
    const bytes = await file();
    const server = await RangeServer.start(bytes, { intercept });
    const { page, conduct } = await browser.open(new URL('/', server.url).href);
    const decoded = await decodeInPage(page, wanted);
    const decoder = new LinrDecoder(bytes, nodeRuntime({ threads: 1 }));
    for (const [i, [index, width]] of wanted.entries()) {
      const expected = await decoder.frame(index, width ?? undefined);
      const frame = decoded[i];
      assert.ok(frame);
      assert.deepEqual([frame.width, frame.height, frame.time_s], [expected.width, expected.height, expected.time_s]);
      const pixels = Buffer.from(frame.pixels, 'base64');
      assert.equal(pixels.length, expected.data.length);
      const worst = expected.data.reduce((most, value, at) => Math.max(most, Math.abs(value - (pixels[at] ?? 0))), 0);
      assert.ok(worst <= 1, `frame ${index} at ${expected.width} pixels differs by ${worst}/255`);
    }
    assert.deepEqual(conduct.complaints, []);
    await decoder.release();
    await server.stop();
  });
}

test('a frame of a long video is fetched with its head and its own segment alone', async () => {
  const bytes = writeContainer(decodableContainer({ segments: new Array<number>(30).fill(20), width: 64, height: 48, latentDim: 64, coding: { levels: () => ({ bits: 16 }) } }));
  const server = await RangeServer.start(bytes, { intercept });
  const { page } = await browser.open(new URL('/', server.url).href);
  await decodeInPage(page, [[599, null], [590, null]]);
  const ranges = server.asked.filter((range) => range !== '');
  assert.equal(ranges.length, 2, ranges.join(' '));
  assert.ok(server.sent < bytes.length / 2, `${server.sent} of ${bytes.length} bytes were sent`);
  await server.stop();
});

test('in the page, what cannot be decoded has the code it has in Node', async () => {
  const server = await RangeServer.start(writeContainer(decodableContainer({ segments: [2, 2], network: [true, false] })), { intercept });
  const { page } = await browser.open(new URL('/', server.url).href);
  const codes = await page.evaluate(async () => {
    const module = (await import(new URL('/linr-decoder.js', location.href).href)) as typeof import('../../client/web/linr-decoder.js');
    const decoder = new module.LinrDecoder('/video.linr');
    const attempts: [number, number?][] = [[2], [4], [0, 1000]];
    return Promise.all(
      attempts.map(([index, width]) =>
        decoder.frame(index, width).then(
          () => 'decoded',
          (error: unknown) => (error instanceof module.LinrDecodeError ? error.code : String(error)),
        ),
      ),
    );
  });
  assert.deepEqual(codes, ['pictures_not_ready', 'frame_not_found', 'width_out_of_range']);
  await server.stop();
});
