import type { FastifyBaseLogger } from 'fastify';
import { ApiError, errorTable } from '../errors.js';
import { WorkerHost } from '../workers/host.js';
import type { FromInference, InferenceWorkerData, ReplyOutcome, ReplyTask, ToInference } from './messages.js';

export interface InferenceOptions extends InferenceWorkerData {
  /** Replies that may wait or run at once. */
  readonly most: number;
  readonly log: FastifyBaseLogger;
}

export interface ReplyHandlers {
  /** The model begins to read the prompt. */
  readonly onStart?: () => void;
  readonly onDelta: (text: string) => void;
}

/** A reply that was asked for. */
export interface Reply {
  /** Rejects with ApiError; a cancelled reply resolves, with what it had. */
  readonly outcome: Promise<ReplyOutcome>;
  readonly started: boolean;
  cancel(): void;
}

interface Pending extends ReplyHandlers {
  readonly resolve: (outcome: ReplyOutcome) => void;
  readonly reject: (error: ApiError) => void;
  readonly client: string;
  started: boolean;
}

export type InferenceStatus = 'loading' | 'ready' | 'failed';

/** The language model, in a worker of its own: loads in the background and is started again when it fails. */
export class Inference {
  readonly #host: WorkerHost<ToInference, FromInference>;
  readonly #log: FastifyBaseLogger;
  readonly #most: number;
  readonly #pending = new Map<number, Pending>();
  #status: InferenceStatus = 'loading';
  #lastId = 0;

  constructor({ packDir, threads, most, log }: InferenceOptions) {
    this.#log = log;
    this.#most = most;
    const data: InferenceWorkerData = { packDir, threads };
    this.#host = new WorkerHost({
      program: new URL('./worker.js', import.meta.url),
      name: 'inference',
      data,
      log,
      onMessage: (message) => this.#receive(message),
      onCrash: () => {
        this.#status = 'loading';
        this.#failAll(new ApiError('inference_crashed'));
      },
    });
  }

  get status(): InferenceStatus {
    return this.#status;
  }

  start(): void {
    this.#host.start();
  }

  /** Replies that run or wait. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Throws `model_unavailable`, `queue_full` or `too_many_replies` where nothing can be queued. */
  reply(task: ReplyTask, handlers: ReplyHandlers): Reply {
    if (this.#status === 'failed') throw new ApiError('model_unavailable');
    if (this.#pending.size >= this.#most) throw new ApiError('queue_full');
    if (task.mostOfClient !== undefined && this.#pendingOf(task.client) >= task.mostOfClient) {
      throw new ApiError('too_many_replies', { message: `This key may have ${task.mostOfClient} answers waiting or running. Wait for one of them.` });
    }
    const id = ++this.#lastId;
    let entry: Pending | undefined;
    const outcome = new Promise<ReplyOutcome>((resolve, reject) => {
      entry = { ...handlers, resolve, reject, client: task.client, started: false };
      this.#pending.set(id, entry);
    });
    this.#host.post({ type: 'reply', id, task });
    return {
      outcome,
      get started() {
        return entry?.started ?? false;
      },
      cancel: () => {
        if (this.#pending.has(id)) this.#host.post({ type: 'cancel', id });
      },
    };
  }

  async close(): Promise<void> {
    this.#failAll(new ApiError('stopping'));
    await this.#host.close();
  }

  #pendingOf(client: string): number {
    let count = 0;
    for (const entry of this.#pending.values()) if (entry.client === client) count++;
    return count;
  }

  #receive(message: FromInference): void {
    switch (message.type) {
      case 'ready':
        this.#status = 'ready';
        this.#log.info('the model is loaded');
        return;
      case 'unavailable':
        this.#status = 'failed';
        this.#log.error({ detail: message.detail }, 'the model could not be loaded');
        this.#failAll(new ApiError('model_unavailable'));
        return;
    }
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.type) {
      case 'started':
        pending.started = true;
        pending.onStart?.();
        break;
      case 'delta':
        pending.onDelta(message.text);
        break;
      case 'done':
        this.#pending.delete(message.id);
        pending.resolve(message.outcome);
        break;
      case 'failed':
        this.#pending.delete(message.id);
        this.#log.error({ code: message.code, detail: message.detail }, 'reply failed');
        pending.reject(new ApiError(message.code, { message: message.message || errorTable[message.code][2] }));
    }
  }

  #failAll(error: ApiError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }
}
