#!/usr/bin/env node
// The command `latentchat`: installs and builds what is missing or older than its sources, then runs the compiled command line.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale } from '../build.mjs';
import { ensureInstalled, root } from '../install.mjs';

ensureInstalled({ dev: false });
await buildIfStale();
if (process.argv.includes('--debug')) process.setSourceMapsEnabled(true);
await import(pathToFileURL(path.join(root, 'dist/client/cli/main.js')).href);
