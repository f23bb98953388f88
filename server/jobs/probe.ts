import type { FastifyBaseLogger } from 'fastify';
import { startChild } from './child.js';
import type { ProbeReport, ProbeTask } from './messages.js';

/** Looks at files in child processes, a few at once, each with a time limit. */
export class Prober {
  readonly #atOnce: number;
  readonly #limit_s: number;
  readonly #silence_s: number;
  readonly #log: FastifyBaseLogger;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: { readonly limit_s: number; readonly silence_s: number; readonly log: FastifyBaseLogger; readonly atOnce?: number }) {
    this.#limit_s = options.limit_s;
    this.#silence_s = options.silence_s;
    this.#log = options.log;
    this.#atOnce = options.atOnce ?? 2;
  }

  /** Never rejects for what is in the file: that is a report of type `failed`. Aborting kills the process. */
  async probe(task: ProbeTask, signal: AbortSignal): Promise<ProbeReport> {
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      signal.throwIfAborted();
      return await this.#run(task, signal);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #run(task: ProbeTask, signal: AbortSignal): Promise<ProbeReport> {
    return new Promise((resolve, reject) => {
      let report: ProbeReport | null = null;
      const child = startChild<ProbeReport>({
        program: 'probe-process',
        log: this.#log,
        silence_s: this.#silence_s,
        onMessage: (message) => {
          report = message;
        },
        onEnd: (how) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          if (signal.aborted) reject(signal.reason as Error);
          else if (child.pid === undefined) reject(new Error('the process that looks at files could not be started'));
          // A file that takes its reader down is not one that can be read.
          else resolve(report ?? { type: 'failed', code: how === 'silent' ? 'probe_timeout' : 'damaged_media', message: '', detail: `probe ended with ${how}` });
        },
      });
      const abort = (): void => void child.kill('SIGKILL');
      const timer = setTimeout(() => {
        report = { type: 'failed', code: 'probe_timeout', message: '', detail: `no result after ${this.#limit_s} s` };
        child.kill('SIGKILL');
      }, this.#limit_s * 1000);
      signal.addEventListener('abort', abort, { once: true });
      child.send(task, (error) => {
        if (error) abort();
      });
    });
  }
}
