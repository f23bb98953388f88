// The programs in examples/ run as they stand: in Node, in a real browser, and against a real server.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode, openLinr } from '../../index.js';
import { withoutTestRunner } from '../helpers/cli.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { RangeServer } from '../helpers/range-server.js';
import { ServerProcess } from '../helpers/server-process.js';
import { Chromium } from './page-harness.js';

const examples = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../examples');
const bunny = path.join(demoDir, 'bunny.linr');
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

const run = (name: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [path.join(examples, name), ...args], { env: withoutTestRunner(), timeout: 600_000 });

describe('examples', () => {
  let folder: TestFolder;
  const at = (name: string): string => path.join(folder.path, name);
  before(async () => {
    folder = await TestFolder.make();
    await mkdir(at('videos'));
    await decode(bunny, { output: at('videos/clip.mp4'), frames: [[0, 11]], threads: 1 });
    // Encoded already, as an earlier run of the batch would have left it.
    await copyFile(bunny, at('videos/clip.mp4.linr'));
    await folder.write('videos/broken.mp4', 'no video');
  });
  after(() => folder.remove());

  test('ask.mjs opens the file beside the video, answers with the moment and keeps a frame', async () => {
    const { stdout } = await run('ask.mjs', at('videos/clip.mp4'), 'What happens at the end?');
    assert.match(stdout, /^132 frames of 320 x 180, 5\.\d s\nFrom \d\.\d s to 5\.\d s: .+\n\d\.\d s to 5\.\d s\n$/);
    assert.deepEqual(await readdir(at('videos/clip.mp4-frames')), ['frame-00066.png']);
  });

  test('batch.mjs captions what can be read, says of the rest why not, and finds moments by words', async () => {
    const { stdout, stderr } = await run('batch.mjs', at('videos'), 'an animal in the grass');
    assert.match(stdout, /^clip\.mp4: \w.+\nclip\.mp4\.linr from \d/);
    assert.match(stderr, /broken\.mp4: .+ \(not_media\)/);
    assert.deepEqual(Object.keys(JSON.parse(await readFile(at('videos/captions.json'), 'utf8')) as object), ['clip.mp4']);
  });

  test('server-client.mjs uploads, waits and answers', async () => {
    const server = new ServerProcess(at('server'), { threads: 1, encode: { preset: 'draft', seconds: 1 } });
    await server.start();
    try {
      const { stdout, stderr } = await run('server-client.mjs', server.url, bunny, 'What is happening?');
      assert.match(stdout, /^\w.+\n$/);
      assert.match(stderr, /ready/);
      const refused = await run('server-client.mjs', 'http://127.0.0.1:9', bunny).catch((error: { stderr: string; code: number }) => error);
      assert.match(refused.stderr, /\(connection_failed\)/);
    } finally {
      await server.stop();
    }
  });

  test('page/ shows the frames that Node draws, in a real browser', async () => {
    await run('page/build.mjs', at('page'));
    const files = new Map(await Promise.all((await readdir(at('page'))).map(async (name) => [name, await readFile(at(`page/${name}`))] as const)));
    const server = await RangeServer.start(await readFile(bunny), {
      intercept: (request, response) => {
        const name = new URL(request.url ?? '', 'http://localhost').pathname.slice(1);
        if (name === 'video.linr') return false;
        const file = files.get(name);
        response.writeHead(file ? 200 : 404, { 'content-type': TYPES[path.extname(name)] ?? 'text/plain' }).end(file);
        return true;
      },
    });
    const browser = await Chromium.start();
    const video = await openLinr(bunny, { threads: 1 });
    try {
      const { page } = await browser.open(new URL('/index.html?video=video.linr', server.url).href);
      await page.getByText('132 frames of 320 x 180').waitFor({ timeout: 120_000 });
      await page.locator('#frame').fill('77');
      await page.waitForFunction(() => document.querySelector('output')?.value === '77', null, { timeout: 120_000 });
      const pixels = await page.evaluate(() => {
        const canvas = document.querySelector('canvas') as HTMLCanvasElement;
        return Array.from((canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(0, 0, canvas.width, canvas.height).data).filter((_, i) => i % 4 < 3);
      });
      const { data } = await video.frame(77);
      assert.equal(pixels.length, data.length);
      assert.ok(data.every((value, i) => Math.abs(value - (pixels[i] ?? NaN)) <= 1));
      await page.locator('#file').setInputFiles(path.join(examples, 'ask.mjs'));
      await page.getByText('(not_a_container)').waitFor();
    } finally {
      await video.close();
      await browser.close();
      await server.stop();
    }
  });
});
