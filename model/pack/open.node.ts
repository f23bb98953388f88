/** Packs in folders, and where the default pack lies. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { weightBytesAt } from './bytes.node.js';
import { PackError, parseManifest } from './manifest.js';
import { ModelPack } from './pack.js';

export { ModelPack } from './pack.js';

/** `weights/default` of this package, found by walking up from this file (source and build lie at different depths). */
export function defaultPackFolder(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new PackError('the package that holds weights/default was not found; name a pack folder');
    folder = parent;
  }
  return path.join(folder, 'weights', 'default');
}

/** Opens the pack in `folder`. Its other files are read when they are asked for. */
export async function openFolder(folder: string = defaultPackFolder()): Promise<ModelPack> {
  const where = path.resolve(folder);
  const manifestPath = path.join(where, 'pack.json');
  const text = await readFile(manifestPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw new PackError(`${where} is not a model pack: it has no pack.json. Name the folder of a pack, or none for the default one`);
    }
    throw error;
  });
  /** `use` of the file's path; that it is missing is said in the pack's words. */
  const file = async <Result>(name: string, use: (place: string) => Result | Promise<Result>): Promise<Result> => {
    try {
      return await use(path.join(where, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new PackError(`${name} is missing from the pack in ${where}: fetch the pack again`);
      throw error;
    }
  };
  return new ModelPack(parseManifest(text, manifestPath), {
    where,
    read: (name) => file(name, (place) => readFile(place)),
    sha256: async (bytes) => createHash('sha256').update(bytes).digest('hex'),
    open: (name) => file(name, (place) => ({ bytes: weightBytesAt(place), sha256: () => sha256Of(place) })),
  });
}

async function sha256Of(place: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(place)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
