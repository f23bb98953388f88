// What `npm start` and `npm test` do first, with Node's own modules only: dependencies installed as the lockfile says.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const MIN_NODE = [20, 14];

/** Installs what is missing or older than the lockfile. `dev`: what tests need, too. */
export function ensureInstalled({ dev }) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    stop(`latentchat needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}.`);
  }
  if (installed(dev)) return;
  // What the tests need stays where it is: npm would take it away.
  const whole = dev || hasTestModules();
  console.log(`Installing ${whole ? 'what the tests need' : 'dependencies'} (once, a minute or two) ...`);
  const started = Date.now();
  const result = spawnSync('npm', ['ci', ...(whole ? [] : ['--omit=dev']), '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) stop('npm ci failed; its message is above. Check the network and run the command again.');
  console.log(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}

function installed(dev) {
  const stamp = path.join(root, 'node_modules/.package-lock.json');
  if (!existsSync(stamp)) return false;
  if (statSync(stamp).mtimeMs < statSync(path.join(root, 'package-lock.json')).mtimeMs) return false;
  return !dev || hasTestModules();
}

function hasTestModules() {
  return existsSync(path.join(root, 'node_modules/typescript'));
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
