import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Store } from '../store/database.js';
import type { Library } from './library.js';

/**
 * Puts the containers of `demoDir` into a data folder that is used for the first time, so that the page opens with
 * something to ask about. Once done it is never repeated: a demo that was deleted stays deleted.
 */
export async function importDemos(options: { library: Library; store: Store; demoDir: string; log: FastifyBaseLogger }): Promise<void> {
  const { library, store, demoDir, log } = options;
  if (store.get("SELECT value FROM facts WHERE name = 'demos'")) return;
  const names = await readdir(demoDir).catch(() => []);
  for (const name of names.filter((entry) => entry.endsWith('.linr')).sort()) {
    log.info({ name }, 'demo added');
    await library.addDemo(await readFile(path.join(demoDir, name)), name);
  }
  store.run("INSERT INTO facts (name, value) VALUES ('demos', ?)", String(names.length));
}
