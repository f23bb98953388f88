#!/usr/bin/env node
// The command `latentchat`. In a clone of the repository: installs and builds what is missing or older than its sources first.
import { existsSync } from 'node:fs';

if (existsSync(new URL('main.ts', import.meta.url))) {
  const { ensureInstalled } = await import('../install.mjs');
  ensureInstalled({ dev: false });
  await (await import('../build.mjs')).buildIfStale();
}
if (process.argv.includes('--debug')) process.setSourceMapsEnabled(true);
await import('../../dist/client/cli/main.js');
