/** Captioning in several threads, each with a model of its own: a run of the model blocks its thread. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { TaskWorker } from '../batch.js';
import type { JsonLine } from '../json-lines.js';
import type { ModelOptions } from '../models.js';
import type { CaptionSettings, CaptionTask } from './caption-source.js';

/** What a worker is started with. */
export interface CaptionWorkerData {
  readonly models: ModelOptions;
  readonly settings: CaptionSettings;
  readonly run: string;
}

export type ToWorker = { readonly type: 'task'; readonly task: CaptionTask } | { readonly type: 'stop' };
export type FromWorker = { readonly type: 'ready' } | { readonly type: 'line'; readonly line: JsonLine } | { readonly type: 'done' };

export class CaptionWorker {
  private constructor(private readonly thread: Worker) {}

  /** @throws what kept the worker from loading its models */
  static async start(data: CaptionWorkerData): Promise<CaptionWorker> {
    const thread = new Worker(fileURLToPath(new URL('./worker.js', import.meta.url)), { workerData: data });
    // once() rejects with what the thread threw.
    await once(thread, 'message');
    return new CaptionWorker(thread);
  }

  /** Lines of one task at a time. */
  readonly work: TaskWorker<CaptionTask> = (task, signal) => this.#lines(task, signal);

  /** Ends the thread once what it is running has come to an end. */
  async stop(): Promise<void> {
    const ended = once(this.thread, 'exit');
    this.#post({ type: 'stop' });
    await ended.catch(() => undefined);
  }

  async *#lines(task: CaptionTask, signal: AbortSignal): AsyncGenerator<JsonLine> {
    this.#post({ type: 'task', task });
    for (;;) {
      const [message] = (await once(this.thread, 'message', { signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      })) as [FromWorker];
      if (message.type === 'line') yield message.line;
      if (message.type === 'done') return;
    }
  }

  #post(message: ToWorker): void {
    this.thread.postMessage(message);
  }
}
