// The library as a program uses it: the README's lines as they stand, in a folder of their own where `latentchat` is installed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from '../../index.js';
import { withoutTestRunner } from '../helpers/cli.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

describe('the library', () => {
  let folder: TestFolder;
  before(async () => {
    folder = await TestFolder.make();
    await mkdir(path.join(folder.path, 'node_modules'));
    await symlink(root, path.join(folder.path, 'node_modules/latentchat'));
    await decode(path.join(demoDir, 'bunny.linr'), { output: path.join(folder.path, 'clip.mp4'), frames: [[0, 23]], threads: 1 });
  });
  after(() => folder.remove());

  test("README's lines encode, open, ask and draw, and the program ends by itself", async () => {
    const readme = await readFile(path.join(root, 'README.md'), 'utf8');
    const [, lines] = /```js\n(import \{ ask, encode, openLinr \} from 'latentchat';\n[^`]*)```/.exec(readme) ?? [];
    assert.ok(lines);
    const program = await folder.write('program.mjs', `${lines}console.log(JSON.stringify([data.constructor.name, data.length, width, height]));\n`);
    // A program that is kept alive by a worker or a handle is killed, and fails.
    const { stdout, stderr } = await run(process.execPath, [program], { cwd: folder.path, env: withoutTestRunner(), timeout: 600_000 });
    const [size, answer, frame] = stdout.trimEnd().split('\n');
    assert.equal(size, '24 320 180');
    assert.match(answer ?? '', /^\w.*\w\.?$/);
    assert.deepEqual(JSON.parse(frame ?? ''), ['Uint8Array', 320 * 180 * 3, 320, 180]);
    assert.equal(stderr, '');
    await assert.rejects(stat(path.join(folder.path, 'clip.linr.checkpoint')), { code: 'ENOENT' });
  });
});
