/** Files that tools write: where a new one may lie. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** A path in the folder that no file has yet: nothing is ever written over. The folder is made where it is absent. */
export async function freePlace(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { name: base, ext } = path.parse(name);
  for (let number = 1; ; number++) {
    const place = path.resolve(folder, number === 1 ? name : `${base} (${number})${ext}`);
    if ((await stat(place).catch(() => null)) === null) return place;
  }
}
