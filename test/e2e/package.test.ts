// The packages as npm makes them, installed into an empty project: no build at first use, no compiler, no sources.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from '../../index.js';
import { withoutTestRunner } from '../helpers/cli.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

interface Packed {
  readonly name: string;
  readonly version: string;
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

describe('the packages', () => {
  let folder: TestFolder;
  let packed: ReadonlyMap<string, Packed>;
  const at = (name: string): string => path.join(folder.path, name);
  const run = async (command: string, ...args: string[]): Promise<string> =>
    (await promisify(execFile)(command, args, { cwd: at('project'), env: withoutTestRunner(), timeout: 600_000, maxBuffer: 1 << 26 })).stdout;

  before(async () => {
    folder = await TestFolder.make();
    await mkdir(at('project'));
    await run(process.execPath, path.join(root, 'node_modules/typescript/bin/tsc'), '-p', path.join(root, 'tsconfig.declarations.json'));
    // Scripts stay off: what `npm run package` builds first is built already.
    const told = await run('npm', 'pack', root, path.join(root, 'weights'), '--pack-destination', folder.path, '--json', '--ignore-scripts');
    packed = new Map((JSON.parse(told) as Packed[]).map((one) => [one.name, one]));
    await folder.write('project/package.json', '{ "name": "empty", "private": true, "type": "module" }');
    const tarballs = [...packed.values()].map(({ filename }) => at(filename));
    await run('npm', 'install', ...tarballs, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
    await decode(path.join(demoDir, 'bunny.linr'), { output: at('project/clip.mp4'), frames: [[0, 11]], threads: 1 });
  });
  after(() => folder.remove());

  test('hold what runs and what it says: no tests, no recipe, no sources, and the weights apart', () => {
    const [program, weights] = [packed.get('latentchat'), packed.get('latentchat-weights')];
    assert.ok(program && weights);
    assert.equal(program.version, weights.version);
    const names = program.files.map((file) => file.path);
    assert.deepEqual(names.filter((name) => /^(test|weights|model|server|examples)\/|dist\/test\/|\.safetensors$|(?<!\.d)\.ts$/.test(name)), []);
    for (const needed of ['dist/index.js', 'dist/index.d.ts', 'dist/browser.d.ts', 'dist/client/sdk/index.d.ts', 'dist/client/web/public/index.html', 'README.md', 'LICENSE', 'NOTICE']) {
      assert.ok(names.includes(needed), needed);
    }
    assert.ok(program.size < 12e6, `${program.size} bytes`);
    assert.deepEqual([...new Set(weights.files.map((file) => file.path.split('/')[0]))].sort(), ['default', 'demo', 'package.json']);
  });

  test('encode and ask in a program of an empty project, which has no compiler and builds nothing', async () => {
    await folder.write('project/program.mjs', `
      import { ask, encode, openLinr } from 'latentchat';
      await encode('clip.mp4', { output: 'clip.linr', preset: 'draft', seconds: 4, threads: 1 });
      const video = await openLinr('clip.linr');
      console.log(video.frames, video.width, video.height, await ask(video, 'What is happening?', { threads: 1 }));
    `);
    assert.match(await run(process.execPath, 'program.mjs'), /^12 320 180 \w.+\n$/);
    const modules = await readdir(at('project/node_modules'));
    assert.ok(!modules.includes('esbuild') && !modules.includes('typescript'));
  });

  test('bring the command, which answers at once', async () => {
    assert.equal(await run(at('project/node_modules/.bin/latentchat'), '--version'), `${packed.get('latentchat')?.version}\n`);
    assert.match(await run(at('project/node_modules/.bin/latentchat'), 'chat', 'clip.mp4', 'What is happening?', '--threads', '1'), /^\w.+\n$/);
    await assert.rejects(stat(at('project/node_modules/latentchat/dist/built')), { code: 'ENOENT' }, 'nothing was built');
  });

  test("carry types that a stranger's compiler reads", async () => {
    await folder.write('project/typed.ts', `
      import { answer, type Answer, CodedError, decode, encode, LinrVideo, openLinr, search } from 'latentchat';
      import { LinrDecoder, openLinr as openInPage } from 'latentchat/browser';
      import { LatentChat } from 'latentchat/sdk';
      export async function main(signal: AbortSignal): Promise<Answer> {
        const { psnr_db } = await encode('a.mp4', { output: 'a.linr', signal, onProgress: ({ stage }) => stage.length });
        const video: LinrVideo = await openLinr('a.linr');
        const width: number = (await video.frame(3, 320)).width + psnr_db;
        const [hit] = await search(video, 'a dog');
        const videos: readonly { readonly name: string }[] = await new LatentChat({ baseUrl: 'http://127.0.0.1:1' }).videos.list();
        await decode(video, { output: 'frames', frames: [width, [hit?.frame ?? 0, videos.length]] });
        // @ts-expect-error a width is a number
        await video.frame(3, '320');
        // @ts-expect-error there is no such preset
        await encode('a.mp4', { output: 'a.linr', preset: 'best' });
        return answer([video, 'b.mp4'], 'What?', { choices: ['a', 'b'] });
      }
      export const code = (error: unknown): string | null => (error instanceof CodedError ? error.code : null);
      export const frame = (bytes: Uint8Array) => new LinrDecoder(bytes).frame(0);
      export const page = openInPage;
    `);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022', '--typeRoots', path.join(root, 'node_modules/@types'), '--types', 'node', 'typed.ts'];
    const told = await run(process.execPath, path.join(root, 'node_modules/typescript/bin/tsc'), ...options).catch((error: { stdout: string }) => error.stdout);
    assert.equal(told, '');
  });

  test('cost a page or a client of a server no native code and no weights', async () => {
    await folder.write('project/light.mjs', `
      import { LatentChat } from 'latentchat/sdk';
      import { LinrDecoder } from 'latentchat/browser';
      const native = process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node') || file.includes('onnxruntime'));
      console.log(typeof LatentChat, typeof LinrDecoder, native.length);
    `);
    assert.equal(await run(process.execPath, 'light.mjs'), 'function function 0\n');
  });
});
