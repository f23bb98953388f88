/** Packs in folders, and where the default pack lies. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { weightBytesAt } from './bytes.node.js';
import { PackError, parseManifest } from './manifest.js';
import { ModelPack } from './pack.js';

export { ModelPack } from './pack.js';

/** The folder of the default pack: `default` of the package `latentchat-weights`, wherever it is installed. */
export function defaultPackFolder(): string {
  let manifest: string;
  try {
    manifest = createRequire(import.meta.url).resolve('latentchat-weights/package.json');
  } catch (cause) {
    throw new PackError('the package latentchat-weights, which holds the default pack, is not installed: install it, or name the folder of a pack', { code: 'pack_missing', cause });
  }
  return path.join(path.dirname(manifest), 'default');
}

/**
 * Opens the pack in `folder`. Its other files are read when they are asked for.
 * @param folder default: that of the default pack
 * @throws PackError when pack.json is absent or not valid
 */
export async function openPack(folder: string = defaultPackFolder()): Promise<ModelPack> {
  const where = path.resolve(folder);
  const manifestPath = path.join(where, 'pack.json');
  const text = await readFile(manifestPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw new PackError(`${where} is not a model pack: it has no pack.json. Name the folder of a pack, or none for the default one`, { code: 'pack_missing' });
    }
    throw error;
  });
  /** `use` of the file's path; that it is missing is said in the pack's words. */
  const file = async <Result>(name: string, use: (place: string) => Result | Promise<Result>): Promise<Result> => {
    try {
      return await use(path.join(where, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new PackError(`${name} is missing from the pack in ${where}: fetch the pack again`, { code: 'pack_damaged' });
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
