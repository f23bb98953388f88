import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Facts } from '../store/facts.js';
import type { Library } from './library.js';

/**
 * Puts the containers of `demoDir` into a data folder that is used for the first time, so that the page opens with
 * something to ask about. Once done it is never repeated: a demo that was deleted stays deleted.
 */
export async function importDemos(options: { library: Library; facts: Facts; demoDir: string; log: FastifyBaseLogger }): Promise<void> {
  const { library, facts, demoDir, log } = options;
  if (facts.has('demos')) return;
  const names = await readdir(demoDir).catch(() => []);
  for (const name of names.filter((entry) => entry.endsWith('.linr')).sort()) {
    log.info({ name }, 'demo added');
    await library.addDemo(await readFile(path.join(demoDir, name)), name);
  }
  facts.set('demos', String(names.length));
}
