import { randomBytes } from 'node:crypto';
import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import type { Limits } from '../config.js';
import { ApiError, errorTable } from '../errors.js';
import { Turns } from '../inference/turns.js';
import { startChild } from './child.js';
import type { ClipReport, ClipRequest, FailedMessage } from './messages.js';

export interface ClipsOptions {
  readonly limits: Pick<Limits, 'clip_s' | 'clipRun_s' | 'clipQueue' | 'childSilence_s'>;
  readonly log: FastifyBaseLogger;
}

/** What is cut, and where the clip is written until it is sent. */
export interface ClipOrder extends Pick<ClipRequest, 'file' | 'name' | 'kind' | 'from_s' | 'to_s'> {
  /** The video's folder: what is left there by a kill is removed at the next start. */
  readonly folder: string;
  /** Whose turn it takes. */
  readonly client: string;
}

/** Cuts clips, one at a time in a child process; whoever waits is served in turns of their clients. */
export class Clips {
  readonly #options: ClipsOptions;
  readonly #waiting = new Turns<() => void>();
  #running = false;

  constructor(options: ClipsOptions) {
    this.#options = options;
  }

  /**
   * The clip as an open file without a name, which is gone when it is closed. Aborting ends the work.
   * @throws ApiError `queue_full`, `clip_out_of_range`, `clip_too_long`, `not_a_video`, `pictures_not_ready`, `clip_failed`, and those of files
   */
  async cut(order: ClipOrder, signal: AbortSignal): Promise<FileHandle> {
    await this.#turn(order.client, signal);
    try {
      signal.throwIfAborted();
      return await this.#cut(order, signal);
    } finally {
      // The place is handed on: nobody who comes in between takes it.
      const next = this.#waiting.next();
      if (next) next();
      else this.#running = false;
    }
  }

  async #turn(client: string, signal: AbortSignal): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      return;
    }
    if (this.#waiting.length >= this.#options.limits.clipQueue) throw new ApiError('queue_full');
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.remove((entry) => entry === go);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.add(client, go);
    });
  }

  async #cut({ folder, file, name, kind, from_s, to_s }: ClipOrder, signal: AbortSignal): Promise<FileHandle> {
    const base = `clip-${randomBytes(8).toString('hex')}.part`;
    const output = path.join(folder, base);
    try {
      const report = await this.#run({ file, name, kind, from_s, to_s, output, longest_s: this.#options.limits.clip_s, threads: 1 }, signal);
      if (report.type === 'failed') {
        if (errorTable[report.code][0] >= 500) this.#options.log.error({ detail: report.detail }, 'a clip could not be cut');
        throw new ApiError(report.code, report.message === '' ? {} : { message: report.message });
      }
      return await open(output, 'r');
    } finally {
      // A file that is open can be read to its end without a name. A process that was killed leaves what it had written.
      const names = await readdir(folder).catch(() => []);
      for (const left of names.filter((entry) => entry.startsWith(base))) await rm(path.join(folder, left), { force: true });
    }
  }

  #run(task: ClipRequest, signal: AbortSignal): Promise<ClipReport | FailedMessage> {
    const { log, limits } = this.#options;
    return new Promise((resolve, reject) => {
      let report: ClipReport | FailedMessage | null = null;
      const child = startChild<ClipReport | FailedMessage>({
        program: 'clip-process',
        log,
        silence_s: limits.childSilence_s,
        onMessage: (message) => {
          report = message;
        },
        onEnd: (how) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          if (signal.aborted) reject(signal.reason as Error);
          else resolve(report ?? { type: 'failed', code: 'clip_failed', message: '', detail: `the process ended with ${how}` });
        },
      });
      const end = (): void => void child.kill('SIGKILL');
      const timer = setTimeout(end, limits.clipRun_s * 1000);
      signal.addEventListener('abort', end, { once: true });
      child.send(task, (error) => {
        if (error) end();
      });
    });
  }
}
