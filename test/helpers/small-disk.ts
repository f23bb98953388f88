import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { TestFolder } from './folder.js';

/** Why a file system cannot be mounted here; null where it can. */
export const cannotMount = process.platform !== 'linux' ? 'needs Linux' : process.getuid?.() === 0 && canMount() ? null : 'needs to mount a file system';

function canMount(): boolean {
  // In a mount namespace of its own, which ends with the command.
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt']).status === 0;
}

function mount(...words: string[]): void {
  const { status, stderr } = spawnSync('mount', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount ${words.join(' ')}: ${stderr}`);
}

/** A real disk of a few MB, in memory, that can be filled to its last byte. `data` is an empty folder on it. */
export class SmallDisk {
  private constructor(
    private readonly folder: TestFolder,
    readonly data: string,
  ) {}

  static async make(bytes: number): Promise<SmallDisk> {
    const folder = await TestFolder.make();
    mount('-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder.path);
    const data = path.join(folder.path, 'data');
    await mkdir(data);
    return new SmallDisk(folder, data);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder.path);
    return bavail * bsize;
  }

  /** Takes everything but `leave` bytes. */
  async fill(leave = 0): Promise<void> {
    const file = openSync(this.#filler, 'a');
    try {
      for (let left = (await this.freeBytes()) - leave; left > 0; ) left -= writeSync(file, Buffer.alloc(Math.min(left, 1 << 20), 1));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Gives back what `fill` took. */
  empty(): Promise<void> {
    return rm(this.#filler, { force: true });
  }

  async remove(): Promise<void> {
    // A server that is just ending may still have a file open.
    spawnSync('umount', ['-l', this.folder.path]);
    await this.folder.remove();
  }

  /** Makes a folder of it read-only; gives what takes that back. */
  protect(folder: string): () => void {
    mount('--bind', folder, folder);
    mount('-o', 'remount,bind,ro', folder);
    return () => void spawnSync('umount', ['-l', folder]);
  }

  get #filler(): string {
    return path.join(this.folder.path, 'filler');
  }
}
