/** The verbs that talk to a server: ls, chat --server, export, rm; with and without a key. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readContainer } from '../../model/container/index.js';
import { KeyFile } from '../../server/index.js';
import { runCli } from '../helpers/cli.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let server: ServerProcess;
let key: string;

before(async () => {
  folder = await TestFolder.make();
  const dataDir = path.join(folder.path, 'data');
  key = (await new KeyFile(dataDir).add({ name: 'tests' })).secret;
  server = new ServerProcess(dataDir, { demoDir });
  await server.start();
});
after(async () => {
  await server.stop();
  await folder.remove();
});

/** Runs a verb against the server. */
const run = (...args: string[]) => runCli([...args, '--server', server.url, '--key', key]);

test('ls lists the videos, for people and for programs', async () => {
  const { code, stdout, stderr } = await run('ls');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^vid_[0-9a-f]{24} .* bytes .*\(ready\)\n$/);
  const json = JSON.parse((await run('ls', '--json')).stdout) as { id: string; state: string };
  assert.deepEqual([json.state, stdout.startsWith(json.id)], ['ready', true]);
});

test('chat asks about a video of the server by its name, several questions in one conversation', async () => {
  const { name } = JSON.parse((await run('ls', '--json')).stdout) as { name: string };
  const one = await run('chat', name, 'What do you see?', '--max-tokens', '12');
  assert.equal(one.code, 0, one.stderr);
  assert.match(one.stdout, /\w+ \w+.*\n$/s);
  const two = await runCli(['chat', name, '--server', server.url, '--key', key, '--max-tokens', '8'], { input: 'What do you see?\nAnd where?\n' });
  assert.equal(two.code, 0, two.stderr);
  assert.equal(two.stdout.trimEnd().split('\n').length, 2, two.stdout);
});

test('chat uploads a file that exists here, export saves its container, rm removes it', async () => {
  const file = await folder.write('corners.mp4', await makeVideo());
  const asked = await run('chat', file, 'What do you see?', '--max-tokens', '6');
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stdout, /\w/);
  const out = path.join(folder.path, 'corners.linr');
  const exported = await run('export', 'corners.mp4', '-o', out);
  assert.equal(exported.code, 0, exported.stderr);
  assert.equal(readContainer(await readFile(out)).meta.source.name, 'corners.mp4');
  const again = await run('export', 'corners.mp4', '-o', out);
  assert.deepEqual([again.code, /exists already/.test(again.stderr)], [1, true]);
  const nothing = await run('rm', 'corners.mp4', 'never.mp4');
  assert.deepEqual([nothing.code, nothing.stdout], [1, ''], 'nothing is removed where one name is wrong');
  const removed = await run('rm', 'corners.mp4');
  assert.match(removed.stdout, /^removed vid_\w+ {2}corners\.mp4\n$/);
  assert.ok(!(await run('ls')).stdout.includes('corners.mp4'));
});

const failures: readonly (readonly [string, () => ReturnType<typeof runCli>, RegExp])[] = [
  ['without the key', () => runCli(['ls', '--server', server.url]), /needs an API key/],
  ['with a wrong key', () => runCli(['ls', '--server', server.url, '--key', 'lck_wrong']), /key is not known/],
  ['where no server is', () => runCli(['ls', '--server', 'http://127.0.0.1:1']), /No answer from http/],
  ['with an address that is none', () => runCli(['ls', '--server', 'localhost:80']), /--server must be an address such as/],
  ['about a video that is not there', () => run('chat', 'nothing.mp4', 'What?'), /The server has no video "nothing\.mp4"/],
];
for (const [name, call, message] of failures) {
  test(`a verb ${name} fails in one line`, async () => {
    const { code, stdout, stderr } = await call();
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, message);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  });
}
