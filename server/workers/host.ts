import { Worker, type TransferListItem } from 'node:worker_threads';
import type { FastifyBaseLogger } from 'fastify';
import { boundary } from '../boundary.js';
import { newPulse, PulseWatch, type HostedData } from './pulse.js';

export interface WorkerHostOptions<From> {
  /** The compiled program of the worker. */
  readonly program: URL;
  readonly data: unknown;
  readonly name: string;
  readonly log: FastifyBaseLogger;
  /** Seconds without a sign of life (see `hosted`) after which the worker is ended and started again. Inside native code it may be silent. */
  readonly silence_s: number;
  readonly onMessage: (message: From) => void;
  /** The worker ended by itself, or was ended because it hung: everything that was asked of it is lost. */
  readonly onCrash: () => void;
}

/** Posted to a worker that is to end. Its program has to answer with `process.exit()`, which ends the thread alone. */
export const endMessage = 'end';

/** Seconds a worker gets to end by itself. Ending it from outside in the middle of native code takes the process down. */
const end_s = 10;

/** Milliseconds before a worker that ended by itself is started again; the last is repeated. */
const restart_ms = [50, 500, 2000, 10_000];
/** A worker that lived this long, in seconds, starts over with the shortest pause. */
const healthy_s = 60;
/** Looks at a worker's pulse within the seconds it may be silent. */
const looks = 10;

/** A worker thread that is started again when it ends by itself, or hangs. What is posted while none runs waits for the next one. */
export class WorkerHost<To, From> {
  readonly #options: WorkerHostOptions<From>;
  #worker: Worker | null = null;
  #outbox: { message: To; transfer: readonly TransferListItem[] }[] = [];
  #crashes = 0;
  #timer: NodeJS.Timeout | null = null;
  #watch: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WorkerHostOptions<From>) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#worker !== null;
  }

  start(): void {
    if (this.#worker || this.#closed) return;
    const { program, data, name, log, onMessage } = this.#options;
    const pulse = newPulse();
    const worker = new Worker(program, { workerData: { data, pulse } satisfies HostedData<unknown>, name, execArgv: ['--enable-source-maps'] });
    const started = performance.now();
    this.#worker = worker;
    this.#watchOver(worker, new PulseWatch(pulse));
    worker.on('message', boundary(log, `a message of the ${name} worker`, onMessage));
    worker.on('messageerror', (error) => log.error({ err: error, worker: name }, 'a message of the worker could not be read'));
    worker.on('error', (error) => log.error({ err: error, worker: name }, 'worker failed'));
    worker.on('exit', boundary(log, `the end of the ${name} worker`, (code: number) => {
      if (this.#worker !== worker) return;
      this.#worker = null;
      clearInterval(this.#watch);
      if (this.#closed) return;
      log.error({ worker: name, code }, 'worker ended and is started again');
      if ((performance.now() - started) / 1000 > healthy_s) this.#crashes = 0;
      const pause = restart_ms[Math.min(this.#crashes++, restart_ms.length - 1)] ?? 0;
      this.#outbox = [];
      this.#timer = setTimeout(boundary(log, `the start of the ${name} worker`, () => this.start()), pause).unref();
      this.#options.onCrash();
    }));
    for (const { message, transfer } of this.#outbox.splice(0)) worker.postMessage(message, transfer);
  }

  #watchOver(worker: Worker, pulse: PulseWatch): void {
    const { name, log, silence_s } = this.#options;
    const watch = setInterval(() => {
      if (pulse.look() < looks) return;
      clearInterval(watch);
      log.error({ worker: name, silence_s }, 'worker hangs and is ended');
      void worker.terminate();
    }, (silence_s * 1000) / looks).unref();
    this.#watch = watch;
  }

  post(message: To, transfer: readonly TransferListItem[] = []): void {
    if (this.#worker) this.#worker.postMessage(message, transfer);
    else this.#outbox.push({ message, transfer });
  }

  /** Ends the worker between two of its steps; a later `start` begins a new one. */
  async end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    clearInterval(this.#watch);
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.postMessage(endMessage);
    const timer = setTimeout(() => void worker.terminate(), end_s * 1000);
    await ended;
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.end();
  }
}
