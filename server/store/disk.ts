import { unlinkSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';
import { fileBytes, PRIVATE_MODE, type DataFolder } from './files.js';

/**
 * Length of the file whose room is given back when something is to be deleted on a full disk: deleting writes too. The database's log of
 * changes grows to 4 MiB before it is used again from its start.
 */
const RESERVE_BYTES = 4 * 1024 * 1024;
/** Bytes between two looks at how much of the disk is free, while bytes are coming in. */
const LOOK_BYTES = 4 * 1024 * 1024;

export interface DiskOptions {
  readonly folder: DataFolder;
  readonly limits: Pick<Limits, 'freeBytes' | 'diskRetry_s' | 'claim_s'>;
  readonly log: FastifyBaseLogger;
}

/** Room on the disk for bytes that are to come. To be released when they have come, or never will. */
export interface Claim {
  /**
   * To be called before so many bytes are written. Looks at the disk every few MB.
   * @throws ApiError `disk_full`
   */
  take(bytes: number): Promise<void>;
  release(): void;
}

/**
 * The disk under the data folder: how much of it may still be promised, and when it can be written again after it could not. What is
 * promised to uploads counts as taken, so that those which are let in have room to end.
 */
export class Disk {
  readonly #options: DiskOptions;
  readonly #claims = new Set<OpenClaim>();
  readonly #closed = new AbortController();
  #refilling: Promise<void> | null = null;
  /** One trial at a time, for all who wait. */
  #trying: Promise<boolean> | null = null;

  constructor(options: DiskOptions) {
    this.#options = options;
  }

  /** Bytes promised to what is under way and not written yet. What nobody went on with for a while is promised no longer. */
  get promised(): number {
    const now = performance.now();
    let sum = 0;
    for (const claim of this.#claims) if ((now - claim.touched) / 1000 < this.#options.limits.claim_s) sum += claim.left;
    return sum;
  }

  /**
   * Promises room for bytes that are to come; 0 where their number is not known.
   * @throws ApiError `disk_full`
   */
  async claim(bytes: number): Promise<Claim> {
    await this.check(bytes);
    return this.adopt(bytes);
  }

  /** Room that was promised before this server started. */
  adopt(bytes: number): Claim {
    const claim = new OpenClaim(this, bytes, () => this.#claims.delete(claim));
    this.#claims.add(claim);
    return claim;
  }

  /**
   * Holds that so many bytes more can be written beside what is promised and what must stay free.
   * @throws ApiError `disk_full`
   */
  async check(bytes = 0): Promise<void> {
    const { folder, limits } = this.#options;
    if ((await folder.freeBytes()) < limits.freeBytes + this.promised + bytes) throw new ApiError('disk_full');
  }

  /** As `check`, for bytes that are promised already. */
  async checkOwn(bytes: number): Promise<void> {
    const { folder, limits } = this.#options;
    if ((await folder.freeBytes()) < limits.freeBytes + bytes) throw new ApiError('disk_full');
  }

  /** Whether what must stay free is free, so that encodes may go on. */
  async hasRoom(): Promise<boolean> {
    const { folder, limits } = this.#options;
    return (await folder.freeBytes()) >= limits.freeBytes;
  }

  /** Resolves once the disk takes a small file, after a pause at least. Rejects when the signal aborts or the disk is closed. */
  async untilWritable(signal?: AbortSignal): Promise<void> {
    const { limits } = this.#options;
    const stopped = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    do await wait(limits.diskRetry_s * 1000, undefined, { signal: stopped, ref: false });
    while (!(await (this.#trying ??= this.#tryToWrite().finally(() => (this.#trying = null)))));
  }

  async #tryToWrite(): Promise<boolean> {
    const { folder, log } = this.#options;
    const trial = path.join(folder.root, 'trial');
    try {
      await writeAtomically(trial, 'Can this folder be written?\n', { mode: PRIVATE_MODE });
      await rm(trial, { force: true });
      return true;
    } catch (error) {
      log.debug({ err: error }, 'the disk cannot be written yet');
      return false;
    }
  }

  /** After a start: removes what a kill left of writing here, and makes the reserve where there is none, now or when there is room for it. */
  async fillReserve(): Promise<void> {
    const { root } = this.#options.folder;
    for (const name of await readdir(root)) {
      if (/^(reserve|trial)\.\d+\.part$/.test(name)) await rm(path.join(root, name), { force: true });
    }
    if (await this.#writeReserve()) return;
    this.#options.log.warn('there is no room for the reserve that deletions take on a full disk');
    this.#refillLater();
  }

  /** Gives the reserve's room to whoever writes next. @returns false where there is none */
  giveReserve(): boolean {
    const { folder, log } = this.#options;
    try {
      unlinkSync(folder.reserve);
    } catch {
      return false;
    }
    log.warn('the disk is full: the reserve is given back, so that deletions go on');
    this.#refillLater();
    return true;
  }

  close(): void {
    this.#closed.abort();
  }

  async #writeReserve(): Promise<boolean> {
    const { folder } = this.#options;
    try {
      if ((await fileBytes(folder.reserve)) === RESERVE_BYTES) return true;
      await this.check(RESERVE_BYTES);
      // Not zeros, which some file systems store without taking room.
      await writeAtomically(folder.reserve, new Uint8Array(RESERVE_BYTES).fill(0xa5), { mode: PRIVATE_MODE });
      return true;
    } catch {
      return false;
    }
  }

  #refillLater(): void {
    const refill = async (): Promise<void> => {
      do await this.untilWritable();
      while (!(await this.#writeReserve()));
    };
    // Closed meanwhile: the next start sees to it.
    this.#refilling ??= refill().catch(() => undefined).finally(() => (this.#refilling = null));
  }
}

class OpenClaim implements Claim {
  readonly #disk: Disk;
  readonly #onRelease: () => void;
  /** Bytes that may be written until the disk is looked at again. */
  #looked = 0;
  /** Bytes promised and not written yet. */
  left: number;
  /** When bytes came last, in milliseconds of performance.now(). */
  touched = performance.now();

  constructor(disk: Disk, bytes: number, onRelease: () => void) {
    this.#disk = disk;
    this.left = bytes;
    this.#onRelease = onRelease;
  }

  async take(bytes: number): Promise<void> {
    if (this.#looked < bytes) {
      const next = Math.max(bytes, LOOK_BYTES);
      // Up to what was promised only what must stay free is held; beyond it, what is promised to others as well.
      if (bytes <= this.left) await this.#disk.checkOwn(Math.min(next, this.left));
      else await this.#disk.check(next - this.left);
      this.#looked = next;
    }
    this.touched = performance.now();
    this.#looked -= bytes;
    this.left = Math.max(0, this.left - bytes);
  }

  release(): void {
    this.left = 0;
    this.#onRelease();
  }
}

/** Passes a stream's pieces on, each once there is room for it. */
export async function* withinRoom(chunks: AsyncIterable<Buffer>, claim: Claim): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    await claim.take(chunk.length);
    yield chunk;
  }
}
