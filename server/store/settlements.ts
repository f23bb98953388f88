import type { FastifyBaseLogger } from 'fastify';
import { storageProblem, type ErrorCode } from '../errors.js';
import type { Disk } from './disk.js';

interface Waiting {
  readonly problem: ErrorCode;
  /** What is to be done writes much: not before what must stay free is free. */
  readonly needsRoom: boolean;
  readonly works: (() => void)[];
}

/**
 * What follows from things that have happened already and cannot be refused any more: a process has ended, a file was looked at. Nobody is
 * there to hear an error, so nothing is thrown: while the disk is full or cannot be written, what is to be done waits, in order for each
 * subject, and is done when the disk can be written again.
 */
export class Settlements {
  readonly #disk: Disk;
  readonly #log: FastifyBaseLogger;
  readonly #waiting = new Map<string, Waiting>();
  readonly #stopped = new AbortController();
  #running = false;

  constructor(disk: Disk, log: FastifyBaseLogger) {
    this.#disk = disk;
    this.#log = log;
  }

  /** Does it now, or when the disk can be written; after what waits for the same subject. */
  settle(subject: string, work: () => void): void {
    const waiting = this.#waiting.get(subject);
    if (waiting) waiting.works.push(work);
    else this.#try(subject, [work]);
  }

  /** Does it when the disk has room again, which it had not just now. */
  whenRoom(subject: string, problem: ErrorCode, work: () => void): void {
    const waiting = this.#waiting.get(subject);
    if (waiting) waiting.works.push(work);
    else this.#waiting.set(subject, { problem, needsRoom: true, works: [work] });
    void this.#run();
  }

  /** Why something waits for the subject; null where nothing does. */
  problemOf(subject: string): ErrorCode | null {
    return this.#waiting.get(subject)?.problem ?? null;
  }

  get size(): number {
    return this.#waiting.size;
  }

  forget(subject: string): void {
    this.#waiting.delete(subject);
  }

  /** What waits is for the next start to find out. */
  stop(): void {
    this.#stopped.abort();
    this.#waiting.clear();
  }

  /** Does the works one after the other; where the disk refuses one, it and the rest wait. */
  #try(subject: string, works: readonly (() => void)[]): void {
    for (const [k, work] of works.entries()) {
      try {
        work();
      } catch (error) {
        const problem = storageProblem(error);
        this.#log.error({ err: error, subject }, problem === null ? 'what had happened could not be stored' : 'the disk cannot be written: tried again when it can');
        if (problem === null) continue;
        this.#waiting.set(subject, { problem, needsRoom: false, works: works.slice(k) });
        void this.#run();
        return;
      }
    }
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#waiting.size > 0) {
        await this.#disk.untilWritable(this.#stopped.signal);
        const room = await this.#disk.hasRoom();
        for (const [subject, { works, needsRoom }] of [...this.#waiting]) {
          if (needsRoom && !room) continue;
          this.#waiting.delete(subject);
          this.#try(subject, works);
        }
      }
    } catch {
      // Stopped, or the disk was closed.
    } finally {
      this.#running = false;
    }
  }
}
