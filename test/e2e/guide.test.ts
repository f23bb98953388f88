/** docs/guide.md as a reader would follow it: every command, in its order. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withoutTestRunner } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';
import { discScene, makeVideo } from '../helpers/videos.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
/** What is printed, by a piece of the command. */
const prints: readonly (readonly [command: string, output: RegExp])[] = [
  ['info clip.linr', /24 frames|frames.*24/s],
  ['latentchat chat', /\w+ \w+/],
  ['latentchat ls', /^vid_[0-9a-f]{24} .*clip\.mp4/m],
  ['/v1/models', /"object":"list"/],
  ['/v1/chat/completions', /"role":"assistant"/],
  ['program', /\w/],
  ['latentchat rm', /removed vid_/],
];

let folder: TestFolder;
let server: ChildProcess | null = null;

before(async () => {
  folder = await TestFolder.make();
  await folder.write('clip.mp4', await makeVideo({ width: 160, height: 96, times: Array.from({ length: 24 }, (_, index) => index / 12), picture: discScene }));
  // What npx finds in a checkout, and `import 'latentchat/sdk'` from a program in it.
  await mkdir(path.join(folder.path, 'node_modules/.bin'), { recursive: true });
  await symlink(root, path.join(folder.path, 'node_modules/latentchat'));
  await symlink(path.join(root, 'client/cli/latentchat.mjs'), path.join(folder.path, 'node_modules/.bin/latentchat'));
});
after(async () => {
  server?.kill('SIGTERM');
  await folder.remove();
});

test('every command of the guide does what it says', { skip: process.platform === 'win32' && 'its commands are for a POSIX shell' }, async () => {
  const port = await freePort();
  const hasCurl = spawnSync('curl', ['--version']).status === 0;
  const guide = (await readFile(path.join(root, 'docs/guide.md'), 'utf8')).replaceAll('7860', String(port));
  const { LATENTCHAT_URL: _, ...clean } = withoutTestRunner();
  const env: NodeJS.ProcessEnv = { ...clean, PATH: `${path.join(folder.path, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` };
  const blocks = [...guide.matchAll(/^```(sh|js)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, code: code ?? '' }));
  assert.ok(blocks.length >= 6);
  for (const { language, code } of blocks) {
    if (language === 'js') {
      await writeFile(path.join(folder.path, 'program.mjs'), code);
      run('node program.mjs', env);
      continue;
    }
    for (const line of code.trim().replaceAll('\\\n', '').split('\n')) {
      const command = line.replace(/^npx /, '');
      if (command.startsWith('curl') && !hasCurl) continue;
      if (command.endsWith(' &')) {
        server = await start(command.slice(0, -2), env);
        // Verbs that look for a server where it always is are told where this one is.
        env['LATENTCHAT_URL'] = `http://127.0.0.1:${port}`;
      } else run(command, env);
    }
  }
});

function run(command: string, env: NodeJS.ProcessEnv): void {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: folder.path, env, encoding: 'utf8', timeout: 180_000 });
  assert.equal(status, 0, `${command}: ${stderr}`);
  const expected = prints.find(([piece]) => command.includes(piece));
  if (expected) assert.match(stdout, expected[1], command);
}

/** Resolves as soon as it says where it is. */
async function start(command: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd: folder.path, env, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('latentchat is at') && resolve());
    child.once('exit', (code) => reject(new Error(`${command} ended with ${String(code)}`)));
  });
  return child;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
