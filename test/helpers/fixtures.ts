import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiled tests lie in dist/test; fixtures are read from the source tree. */
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** The path of a file below test/fixtures. */
export function fixture(name: string): string {
  return path.join(root, 'test/fixtures', name);
}
