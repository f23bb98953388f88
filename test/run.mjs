// npm test: installs what the tests need, checks types, lints, builds, and runs every test. `npm test -- unit model` runs those folders only.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ensureInstalled, root } from '../client/install.mjs';

ensureInstalled({ dev: true });

// Two files at a time: most of the time a test waits for a process, a server or a browser to start. The quick ones come first.
const groups = [['unit', 'fuzz'], ['model', 'e2e']];
const CONCURRENCY = 2;
const wanted = process.argv.slice(2);
/** Of one test file; the slowest take two minutes on two idle cores. */
const TIMEOUT_MS = 900_000;

step('types', [path.join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', root]);
step('lint', [path.join(root, 'node_modules/eslint/bin/eslint.js'), ...['model', 'projector', 'server', 'client', 'test'].map((room) => path.join(root, room))]);
step('build', [path.join(root, 'client/build.mjs'), '--clean']);
let failed = false;
for (const folders of groups) {
  const files = folders.filter((folder) => wanted.length === 0 || wanted.includes(folder)).flatMap(testsOf);
  if (files.length === 0) continue;
  // A test that hangs fails instead of stopping the rest, and a handle that a library leaves open does not keep a file alive.
  const args = ['--test', '--test-reporter=spec', '--test-force-exit', `--test-timeout=${TIMEOUT_MS}`, `--test-concurrency=${CONCURRENCY}`, ...files];
  failed = run(args) !== 0 || failed;
}
process.exit(failed ? 1 : 0);

function testsOf(folder) {
  const compiled = path.join(root, 'dist/test', folder);
  if (!existsSync(compiled)) return [];
  return readdirSync(compiled).filter((name) => name.endsWith('.test.js')).sort().map((name) => path.join(compiled, name));
}

function step(name, args) {
  console.log(`- ${name}`);
  if (run(args) !== 0) process.exit(1);
}

function run(args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}
