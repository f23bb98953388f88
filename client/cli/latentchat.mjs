#!/usr/bin/env node
// The command `latentchat`: installs and builds what is missing or older than its sources, then runs the compiled command line.
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureInstalled, root } from '../install.mjs';

const main = path.join(root, 'dist/client/cli/main.js');

/** Newest change among the files that the build reads, in milliseconds. */
function newestSource() {
  let newest = 0;
  for (const room of ['model', 'projector', 'server', 'client']) {
    for (const entry of readdirSync(path.join(root, room), { recursive: true, withFileTypes: true })) {
      if (!/\.(ts|mjs|html|css|svg)$/.test(entry.name)) continue;
      newest = Math.max(newest, statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
    }
  }
  return newest;
}

ensureInstalled({ dev: false });
if (!existsSync(main) || statSync(main).mtimeMs < newestSource()) {
  const { buildAll } = await import('../build.mjs');
  await buildAll();
}
if (process.argv.includes('--debug')) process.setSourceMapsEnabled(true);
await import(pathToFileURL(main).href);
