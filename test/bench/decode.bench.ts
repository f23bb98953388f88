/**
 * Decoding `.linr` files in Node and, unless told otherwise, in headless Chromium (wasm): frames a second at the
 * encoded size and enlarged, time to open and from there to the first frame; beside it HNeRV's decoder of the same size
 * on disk. `npm run bench -- decode [FILE ...]`. Without files, a clip is encoded at each of --rates first.
 */
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { build } from 'esbuild';
import {
  listOf,
  positiveNumber,
  positiveSeconds,
  type PixelSize,
} from '../../client/cli/arguments.js';
import { readContainerFile } from '../../client/cli/sources.js';
import { hnerv } from '../../client/peers/hnerv.js';
import { peerOfBytes, storedNumbers } from '../../client/peers/peer.js';
import { readContainer } from '../../model/container/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { bitsPerPixel } from '../../model/inr/quality.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { Chromium } from '../e2e/page-harness.js';
import { benchVideos } from './clip.js';
import type { DecodeRequest } from './decode-worker.js';
import { linrSpeeds, peerSpeed, type DecodeSpeeds } from './decode-speeds.js';
import { encoded } from './encoded.js';
import { framesOption, sizeOption, threadsOption } from './options.js';
import { machine, printTable } from './table.js';

/** Enlarged frames have this width, or four times the encoded one where that is less. */
const ENLARGED_WIDTH = 1280;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
/** ONNX Runtime's wasm lies here after a build. */
const publicFolder = path.join(root, 'dist/client/web/public');

interface Options {
  readonly rates: readonly number[];
  readonly video?: string;
  readonly size: PixelSize;
  readonly frames?: number;
  readonly seconds?: number;
  readonly browser: boolean;
  readonly threads: number;
}

/** A container in memory, and what tables call it. */
interface Opened {
  readonly name: string;
  readonly bytes: Uint8Array;
}

await new Command('decode')
  .description('Frames a second and time to the first frame of containers, in Node and in Chromium, beside HNeRV.')
  .argument('[files...]', 'containers (default: a clip is encoded at each of --rates)')
  .addOption(
    new Option('--rates <list>', 'bits a pixel that the clip is encoded for')
      .argParser(listOf(positiveNumber(24)))
      .default([0.8, 0.15], '0.8,0.15'),
  )
  .addOption(
    new Option(
      '--video <file>',
      'the clip (default: bunny in the folder videos/ of LATENTCHAT_DATA; without it one made on the spot)',
    ),
  )
  .addOption(sizeOption('encoded size of the clip'))
  .addOption(framesOption('only the first n frames of the clip', 4))
  .addOption(
    new Option('--seconds <s>', "most seconds of each encoding (default: the preset standard's own)").argParser(
      positiveSeconds,
    ),
  )
  .option('--no-browser', 'in Node only')
  .addOption(threadsOption('threads of both runtimes'))
  .action(bench)
  .parseAsync();

async function bench(files: readonly string[], options: Options): Promise<void> {
  console.log(`${options.threads} threads; times are medians over several openings\n${machine()}`);
  if (files.length > 0) {
    for (const file of files)
      await measure({ name: path.basename(file), bytes: (await readContainerFile(file)).bytes }, options);
    return;
  }
  for (const rate of options.rates) await measure(await encodedAt(rate, options), options);
}

async function encodedAt(rate: number, { video, size, frames, seconds, threads }: Options): Promise<Opened> {
  const folder = await mkdtemp(path.join(tmpdir(), 'latentchat-decode-'));
  try {
    const [file] = (await benchVideos(video === undefined ? [] : [video], folder, 1)) as [string];
    const { bytes } = await encoded(file, {
      size,
      preset: 'standard',
      targetBpp: rate,
      threads,
      ...(seconds === undefined ? {} : { seconds }),
      ...(frames === undefined ? {} : { frames }),
    });
    return { name: `${path.basename(file)} encoded for ${rate} bpp`, bytes };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Prints the table of a container. */
async function measure({ name, bytes }: Opened, { threads, browser }: Options): Promise<void> {
  const runtime = nodeRuntime({ threads });
  const { width, height, frames } = readContainer(bytes).meta;
  const widths = [width, Math.min(ENLARGED_WIDTH, 4 * width)];
  const peer = peerOfBytes((channels) => hnerv({ width, height, frames }, channels), bytes.length);
  const peerWidth = peer.decoderSpecs[0]?.dims[0] as number;
  const node: DecodeSpeeds = {
    ...(await linrSpeeds(() => new LinrDecoder(bytes, runtime), frames, widths)),
    runtime: runtime.name,
    peer_fps: await peerSpeed(peer, runtime),
  };
  const page = browser ? await inChromium(bytes, { threads, container: '/container.linr', widths, peerWidth }) : null;

  const row = (title: string, figure: (speeds: DecodeSpeeds) => number): string[] => {
    const here = figure(node);
    if (page === null) return [title, here.toFixed(1)];
    const there = figure(page);
    return [title, here.toFixed(1), there.toFixed(1), (title.includes('ms') ? here / there : there / here).toFixed(2)];
  };
  const enlarged = `${widths[1] as number} x ${Math.round((height * (widths[1] as number)) / width)}`;
  console.log(
    `\n${name}: ${bytes.length} bytes, ${bitsPerPixel(bytes.length, frames, width, height).toFixed(3)} bpp, ` +
      `${frames} frames of ${width} x ${height}; ` +
      [node.runtime, ...(page === null ? [] : [page.runtime])].join('; '),
  );
  printTable([
    ['', 'Node', ...(page === null ? [] : ['Chromium', 'of Node'])],
    row(`${width} x ${height}, frames/s`, ({ fps }) => fps[0] as number),
    row(`${enlarged}, frames/s`, ({ fps }) => fps[1] as number),
    row('opening the file, ms', ({ open_ms }) => open_ms),
    row('opened to first frame, ms', ({ opened_to_first_ms }) => opened_to_first_ms),
    row('- making a segment ready, ms', ({ ready_ms }) => ready_ms),
    row('- first frame of a ready segment, ms', ({ first_ms }) => first_ms),
    row(`HNeRV, ${storedNumbers(peer)} numbers, ${width} x ${height}, frames/s`, ({ peer_fps }) => peer_fps),
  ]);
}

/** Runs decode-worker.ts in a page that is cross-origin isolated, as the product's is: wasm threads need it. */
async function inChromium(container: Uint8Array, request: DecodeRequest): Promise<DecodeSpeeds> {
  const bundle = await build({
    entryPoints: [path.join(root, 'test/bench/decode-worker.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['onnxruntime-web-use-extern-wasm'],
    minify: true,
    logLevel: 'warning',
  });
  const own: Readonly<Record<string, { type: string; body: Uint8Array | string }>> = {
    '/': { type: 'text/html', body: '<!doctype html><title>decode bench</title><link rel="icon" href="data:,">' },
    '/worker.js': { type: 'text/javascript', body: bundle.outputFiles[0]?.contents as Uint8Array },
    [request.container]: { type: 'application/octet-stream', body: container },
  };
  const server = createServer((incoming, response) => {
    const name = new URL(incoming.url ?? '/', 'http://localhost').pathname;
    const answer = async (): Promise<{ type: string; body: Uint8Array | string }> =>
      own[name] ?? {
        type: name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript',
        body: await readFile(path.join(publicFolder, path.basename(name))),
      };
    void answer().then(
      ({ type, body }) =>
        response
          .writeHead(200, {
            'content-type': type,
            'cross-origin-opener-policy': 'same-origin',
            'cross-origin-embedder-policy': 'require-corp',
          })
          .end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const chromium = await Chromium.start();
  try {
    const { page } = await chromium.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const answer = await page.evaluate(
      (asked) =>
        new Promise<unknown>((resolve, reject) => {
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
