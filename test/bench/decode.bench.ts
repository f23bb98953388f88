/**
 * Decoding a `.linr` in Node and in headless Chromium (wasm): frames a second at the encoded size and enlarged, time to open
 * and to the first frame; beside it HNeRV's decoder of the same size on disk.
 * `npm run bench -- decode [FILE] [--threads N]`, FILE being a container (default: the demo).
 */
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { build } from 'esbuild';
import { wholeNumber } from '../../client/cli/arguments.js';
import { readContainerFile } from '../../client/cli/sources.js';
import { hnerv } from '../../client/peers/hnerv.js';
import { peerOfBytes, storedNumbers } from '../../client/peers/peer.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { Chromium } from '../e2e/page-harness.js';
import type { DecodeRequest } from './decode-worker.js';
import { linrSpeeds, peerSpeed, type DecodeSpeeds } from './decode-speeds.js';
import { machine, printTable } from './table.js';

/** Enlarged frames have this width, or four times the encoded one where that is less. */
const ENLARGED_WIDTH = 1280;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
/** ONNX Runtime's wasm lies here after a build. */
const publicFolder = path.join(root, 'dist/client/web/public');

await new Command('decode')
  .description('Frames a second and time to the first frame of a container, in Node and in Chromium, beside HNeRV.')
  .argument('[file]', 'container', path.join(root, 'weights/demo/bunny.linr'))
  .addOption(new Option('--threads <n>', 'threads of both runtimes').argParser(wholeNumber(1, 64)).default(2))
  .action(bench)
  .parseAsync();

async function bench(file: string, { threads }: { readonly threads: number }): Promise<void> {
  const { container, bytes } = await readContainerFile(file);
  const { width, height, frames } = container.meta;
  const widths = [width, Math.min(ENLARGED_WIDTH, 4 * width)];
  const peer = peerOfBytes((channels) => hnerv({ width, height, frames }, channels), bytes.length);
  const peerWidth = peer.decoderSpecs[0]?.dims[0] as number;
  const runtime = nodeRuntime({ threads });
  const node: DecodeSpeeds = {
    ...(await linrSpeeds(() => new LinrDecoder(bytes, runtime), frames, widths)), runtime: runtime.name, peer_fps: await peerSpeed(peer, runtime),
  };
  const browser = await inChromium(bytes, { threads, container: '/container.linr', widths, peerWidth });

  const row = (name: string, figure: (speeds: DecodeSpeeds) => number, digits: number): string[] => {
    const [a, b] = [figure(node), figure(browser)];
    return [name, a.toFixed(digits), b.toFixed(digits), (name.includes('ms') ? a / b : b / a).toFixed(2)];
  };
  const enlarged = `${widths[1] as number} x ${Math.round((height * (widths[1] as number)) / width)}`;
  console.log(`${path.basename(file)}, ${bytes.length} bytes, ${frames} frames of ${width} x ${height}; ${node.runtime}, ${threads} threads; ${browser.runtime}\n${machine()}`);
  printTable([
    ['', 'Node', 'Chromium', 'of Node'],
    row(`${width} x ${height}, frames/s`, ({ fps }) => fps[0] as number, 1),
    row(`${enlarged}, frames/s`, ({ fps }) => fps[1] as number, 1),
    row('opening the file, ms', ({ open_ms }) => open_ms, 1),
    row('making a segment ready, ms', ({ ready_ms }) => ready_ms, 1),
    row('first frame of a ready segment, ms', ({ first_ms }) => first_ms, 1),
    row(`HNeRV, ${storedNumbers(peer)} numbers, ${width} x ${height}, frames/s`, ({ peer_fps }) => peer_fps, 1),
  ]);
}

/** Runs decode-worker.ts in a page that is cross-origin isolated, as the product's is: wasm threads need it. */
async function inChromium(container: Uint8Array, request: DecodeRequest): Promise<DecodeSpeeds> {
  const bundle = await build({
    entryPoints: [path.join(root, 'test/bench/decode-worker.ts')], bundle: true, write: false, format: 'esm', platform: 'browser', target: 'es2022',
    conditions: ['onnxruntime-web-use-extern-wasm'], minify: true, logLevel: 'warning',
  });
  const own: Readonly<Record<string, { type: string; body: Uint8Array | string }>> = {
    '/': { type: 'text/html', body: '<!doctype html><title>decode bench</title><link rel="icon" href="data:,">' },
    '/worker.js': { type: 'text/javascript', body: bundle.outputFiles[0]?.contents as Uint8Array },
    [request.container]: { type: 'application/octet-stream', body: container },
  };
  const server = createServer((incoming, response) => {
    const name = new URL(incoming.url ?? '/', 'http://localhost').pathname;
    const answer = async (): Promise<{ type: string; body: Uint8Array | string }> =>
      own[name] ?? { type: name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript', body: await readFile(path.join(publicFolder, path.basename(name))) };
    void answer().then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type, 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const chromium = await Chromium.start();
  try {
    const { page } = await chromium.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const answer = await page.evaluate(
      (asked) => new Promise<unknown>((resolve, reject) => {
        const worker = new Worker('/worker.js', { type: 'module' });
        worker.addEventListener('message', (event: MessageEvent<unknown>) => resolve(event.data));
        worker.addEventListener('error', (event) => reject(new Error(event.message)));
        worker.postMessage(asked);
      }),
      request,
    );
    if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(String(answer.error));
    return answer as DecodeSpeeds;
  } finally {
    await chromium.close();
    server.close();
  }
}
