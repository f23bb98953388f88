import { accessSync, chmodSync, constants, mkdirSync, type BigIntStats } from 'node:fs';
import { readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { isId, type IdPrefix } from '../ids.js';

/**
 * Permissions of every file in the data folder, and of folders made for one (with the right to enter): videos, conversations and keys are
 * for the user alone who runs the server.
 */
export const PRIVATE_MODE = 0o600;
const PRIVATE_FOLDER_MODE = 0o700;

/**
 * Where things lie in the data folder:
 * `latentchat.db`, `reserve` (see Disk), `uploads/<id>` (bytes received so far), `videos/<id>/source.<ext>`, `videos/<id>/video.linr`,
 * `videos/<id>/video.vectors` (what search needs of it), `videos/<id>/checkpoint`, `files/<id>` (of the files API). Every name is made here from an id that was checked, never from what a caller sent.
 */
export class DataFolder {
  readonly root: string;

  /** @throws Error in one sentence when the folder cannot be made or written */
  constructor(root: string) {
    this.root = path.resolve(root);
    try {
      for (const folder of [this.uploads, this.videos, this.files]) {
        mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
        makePrivate(folder, PRIVATE_FOLDER_MODE);
      }
      makePrivate(path.join(this.root, 'keys.json'));
      accessSync(this.root, constants.W_OK);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message.replace(/, \w+ '.*$/, '') : String(cause);
      throw new Error(`The data folder ${this.root} cannot be written (${reason}). Make it writable or choose another with --data.`, { cause });
    }
  }

  get database(): string {
    return path.join(this.root, 'latentchat.db');
  }

  get reserve(): string {
    return path.join(this.root, 'reserve');
  }

  get uploads(): string {
    return path.join(this.root, 'uploads');
  }

  get videos(): string {
    return path.join(this.root, 'videos');
  }

  get files(): string {
    return path.join(this.root, 'files');
  }

  upload(id: string): string {
    return path.join(this.uploads, checked('vid', id));
  }

  video(id: string): string {
    return path.join(this.videos, checked('vid', id));
  }

  /** Of the files API. */
  file(id: string): string {
    return path.join(this.files, checked('file', id));
  }

  /** The original as it was uploaded; `file` is the name the store keeps, such as `source.media`. */
  source(id: string, file: string): string {
    return path.join(this.video(id), path.basename(file));
  }

  container(id: string): string {
    return path.join(this.video(id), 'video.linr');
  }

  /** What search keeps of the video; made anew whenever it is gone. */
  vectors(id: string): string {
    return path.join(this.video(id), 'video.vectors');
  }

  checkpoint(id: string): string {
    return path.join(this.video(id), 'checkpoint');
  }

  /** Name of the original in the video's folder, or null. */
  async findSource(id: string): Promise<string | null> {
    const names = await readdir(this.video(id)).catch(() => []);
    return names.find((name) => /^source\.[a-z0-9]+$/.test(name)) ?? null;
  }

  /** Removes what an interrupted write left in the video's folder. */
  async removeParts(id: string): Promise<void> {
    for (const name of await readdir(this.video(id))) {
      if (name.endsWith('.part')) await rm(path.join(this.video(id), name), { force: true });
    }
  }

  /** The version of the video's container, or null where it has none. */
  async containerVersion(id: string): Promise<string | null> {
    try {
      return versionOf(await stat(this.container(id), { bigint: true }));
    } catch {
      return null;
    }
  }

  /** Bytes of the disk that a program without privileges may still write. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.root);
    return bavail * bsize;
  }

  /** Ids of the videos that have a folder. */
  async videoFolders(): Promise<string[]> {
    return (await readdir(this.videos)).filter((name) => isId('vid', name));
  }
}

/** Takes away what a version before this one, or another program, let others read. Who does not own a file cannot: then its owner decided. */
export function makePrivate(file: string, mode = PRIVATE_MODE): void {
  try {
    chmodSync(file, mode);
  } catch {
    // Not ours, or not there yet.
  }
}

function checked(prefix: IdPrefix, id: string): string {
  if (!isId(prefix, id)) throw new Error(`"${id.slice(0, 60)}" is not an id that begins with ${prefix}_`);
  return id;
}

/**
 * A name for the bytes of a file that is only ever replaced, never written in place: when it was written, and its size.
 * Asked of an open file it always belongs to the bytes that are read from it, even while a newer one takes its place.
 */
export function versionOf(stats: BigIntStats): string {
  return `${stats.mtimeNs.toString(36)}-${stats.size.toString(36)}`;
}

/** Size of a file in bytes, or null where there is none. */
export async function fileBytes(file: string): Promise<number | null> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
