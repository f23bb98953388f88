import type { FastifyBaseLogger } from 'fastify';
import { ApiError, errorTable } from '../errors.js';
import type { ReplyRecord } from '../metrics.js';
import type { Embedding, EmbedTask, SearchHit, SearchTask } from '../search/messages.js';
import { WorkerHost } from '../workers/host.js';
import { NOTHING_WRITTEN, type FromInference, type InferenceWorkerData, type ReplyOutcome, type ReplyTask, type ToInference } from './messages.js';
import { mayBeAskedAgain, type Owed } from './resume.js';

export interface InferenceOptions extends InferenceWorkerData {
  /** Replies that may wait or run at once. */
  readonly most: number;
  /** Searches that may wait or run at once. */
  readonly mostSearches: number;
  /** Seconds the worker may show no sign of life. */
  readonly silence_s: number;
  /** The compiled program of the worker. Default: the language model's. */
  readonly program?: URL;
  /** Told of every piece of text and of every reply that has ended. */
  readonly observer?: ReplyObserver;
  /** Told when the first of several replies that somebody waits for is asked for, and when the last of them has ended. */
  readonly onAnswering?: (answering: boolean) => void;
  readonly log: FastifyBaseLogger;
}

export interface ReplyObserver {
  wrote(tokens?: number): void;
  replied(record: ReplyRecord): void;
}

export interface ReplyHandlers {
  /** The reply waits, and has this place in line; 1 is the next to begin. */
  readonly onQueued?: (place: number) => void;
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

interface Pending extends ReplyHandlers, Owed {
  readonly resolve: (outcome: ReplyOutcome) => void;
  readonly reject: (error: ApiError) => void;
  readonly task: ReplyTask;
  readonly background: boolean;
  /** Milliseconds, as performance.now() has them. */
  readonly asked: number;
  started: boolean;
  cancelled: boolean;
  startedAt: number | null;
  firstTextAt: number | null;
  pieces: number;
}

interface PendingSearch extends Owed {
  readonly message: ToInference;
  readonly resolve: (result: readonly SearchHit[] | Embedding) => void;
  readonly reject: (error: ApiError) => void;
}

export type InferenceStatus = 'loading' | 'ready' | 'failed';

/** The language model, in a worker of its own: loads in the background and is started again when it fails. */
export class Inference {
  readonly #host: WorkerHost<ToInference, FromInference>;
  readonly #log: FastifyBaseLogger;
  readonly #most: number;
  readonly #observer: ReplyObserver | null;
  readonly #onAnswering: (answering: boolean) => void;
  readonly #mostSearches: number;
  readonly #searches = new Map<number, PendingSearch>();
  readonly #pending = new Map<number, Pending>();
  #status: InferenceStatus = 'loading';
  #lastId = 0;
  #stopping = false;
  /** Called when the last running reply of a stopping server has ended. */
  #drained: (() => void) | null = null;

  constructor({ packDir, threads, searchIdle_s, context, most, mostSearches, silence_s, program, observer, onAnswering, log }: InferenceOptions) {
    this.#log = log;
    this.#observer = observer ?? null;
    this.#onAnswering = onAnswering ?? (() => undefined);
    this.#most = most;
    this.#mostSearches = mostSearches;
    const data: InferenceWorkerData = { packDir, threads, searchIdle_s, context };
    this.#host = new WorkerHost({
      program: program ?? new URL('./worker.js', import.meta.url),
      name: 'inference',
      data,
      log,
      silence_s,
      onMessage: (message) => this.#receive(message),
      onCrash: () => {
        this.#status = 'loading';
        this.#resume();
      },
    });
  }

  get status(): InferenceStatus {
    return this.#status;
  }

  start(): void {
    this.#host.start();
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Replies that somebody waits for, and those of the background. */
  counts(): { running: number; waiting: number; background: number } {
    const counts = { running: 0, waiting: 0, background: 0 };
    for (const { started, background } of this.#pending.values()) counts[background ? 'background' : started ? 'running' : 'waiting']++;
    return counts;
  }

  /** Throws `stopping`, `model_unavailable`, `queue_full` or `too_many_replies` where nothing can be queued. */
  reply(task: ReplyTask, handlers: ReplyHandlers): Reply {
    if (this.#stopping) throw new ApiError('stopping');
    if (this.#status === 'failed') throw new ApiError('model_unavailable');
    const { background = false } = task;
    if (this.#pendingOf(background, () => true) >= this.#most) throw new ApiError('queue_full');
    if (task.mostOfClient !== undefined && this.#pendingOf(background, (entry) => entry.task.client === task.client) >= task.mostOfClient) {
      throw new ApiError('too_many_replies', { message: `This key may have ${task.mostOfClient} answers waiting or running. Wait for one of them.` });
    }
    const id = ++this.#lastId;
    let entry: Pending | undefined;
    const outcome = new Promise<ReplyOutcome>((resolve, reject) => {
      entry = { ...handlers, resolve, reject, task, background, crashes: 0, asked: performance.now(), started: false, cancelled: false, startedAt: null, firstTextAt: null, pieces: 0 };
      this.#pending.set(id, entry);
    });
    if (!background && this.#awaited === 1) this.#onAnswering(true);
    this.#host.post({ type: 'reply', id, task });
    return {
      outcome,
      get started() {
        return entry?.started ?? false;
      },
      cancel: () => {
        if (!entry || !this.#pending.has(id)) return;
        entry.cancelled = true;
        this.#host.post({ type: 'cancel', id });
      },
    };
  }

  /** The best hits, best first. Rejects with ApiError: `stopping`, `model_unavailable`, `queue_full` and what the search itself meets. */
  search(task: SearchTask): Promise<readonly SearchHit[]> {
    return this.#lookUp((id) => ({ type: 'search', id, task }));
  }

  /** The vector of a text or a video. Rejects as a search does. */
  embed(task: EmbedTask): Promise<Embedding> {
    return this.#lookUp((id) => ({ type: 'embed', id, task }));
  }

  #lookUp<Result extends readonly SearchHit[] | Embedding>(messageOf: (id: number) => ToInference): Promise<Result> {
    if (this.#stopping) return Promise.reject(new ApiError('stopping'));
    if (this.#status === 'failed') return Promise.reject(new ApiError('model_unavailable'));
    if (this.#searches.size >= this.#mostSearches) return Promise.reject(new ApiError('queue_full', { message: 'Too many searches are waiting. Try again in a moment.' }));
    const id = ++this.#lastId;
    const message = messageOf(id);
    return new Promise((resolve, reject) => {
      this.#searches.set(id, { message, started: true, pieces: 0, crashes: 0, resolve: (result) => resolve(result as Result), reject });
      this.#host.post(message);
    });
  }

  /** Takes no more replies, gives up those that have not begun, and waits up to `seconds` for the others to end. */
  async drain(seconds: number): Promise<void> {
    this.#stopping = true;
    for (const [id, pending] of this.#pending) {
      // Those of the background can be asked for again without anybody noticing.
      if (pending.started && !pending.background) continue;
      this.#host.post({ type: 'cancel', id });
      this.#fail(id, pending, new ApiError('stopping'));
    }
    if (this.#pending.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      timer = setTimeout(resolve, seconds * 1000);
    });
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    this.#stopping = true;
    this.#failAll(new ApiError('stopping'));
    await this.#host.close();
  }

  get #awaited(): number {
    return this.#pendingOf(false, () => true);
  }

  /** Those of the background do not count against those that somebody waits for, nor the other way round. */
  #pendingOf(background: boolean, fits: (entry: Pending) => boolean): number {
    let count = 0;
    for (const entry of this.#pending.values()) if (entry.background === background && fits(entry)) count++;
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
      case 'positions':
        for (const [id, place] of message.places) this.#pending.get(id)?.onQueued?.(place);
        return;
    }
    if (this.#searches.has(message.id)) return this.#searched(message);
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    switch (message.type) {
      case 'started':
        pending.started = true;
        if (pending.startedAt !== null) break;
        pending.startedAt = performance.now();
        pending.onStart?.();
        break;
      case 'delta':
        pending.firstTextAt ??= performance.now();
        pending.pieces++;
        this.#observer?.wrote();
        pending.onDelta(message.text);
        break;
      case 'done':
        this.#observer?.wrote(Math.max(0, message.outcome.usage.completion_tokens - pending.pieces));
        this.#ended(message.id, pending, message.outcome);
        pending.resolve(message.outcome);
        break;
      case 'failed':
        this.#fail(message.id, pending, this.#problem(message, 'reply failed'));
    }
  }

  #searched(message: FromInference): void {
    if (message.type !== 'found' && message.type !== 'embedded' && message.type !== 'failed') return;
    const search = this.#searches.get(message.id);
    this.#searches.delete(message.id);
    if (message.type === 'found') search?.resolve(message.hits);
    else if (message.type === 'embedded') search?.resolve(message.embedding);
    else search?.reject(this.#problem(message, 'search failed'));
  }

  /** What the worker met, in the log where it is the server's own fault. */
  #problem({ code, message, param, detail }: Extract<FromInference, { type: 'failed' }>, what: string): ApiError {
    if (errorTable[code][0] >= 500) this.#log.error({ code, detail }, what);
    return new ApiError(code, { param, message: message || errorTable[code][2] });
  }

  /** Asks the next worker for what the last one owes, as far as nobody has seen the beginning of an answer; the others are told. */
  #resume(): void {
    for (const [id, search] of [...this.#searches]) {
      if (mayBeAskedAgain(search)) this.#host.post(search.message);
      else if (this.#searches.delete(id)) search.reject(new ApiError('inference_crashed'));
    }
    for (const [id, pending] of [...this.#pending]) {
      if (pending.cancelled) {
        this.#ended(id, pending, NOTHING_WRITTEN);
        pending.resolve(NOTHING_WRITTEN);
      } else if (!this.#stopping && mayBeAskedAgain(pending)) {
        pending.started = false;
        this.#host.post({ type: 'reply', id, task: pending.task });
      } else this.#fail(id, pending, new ApiError('inference_crashed'));
    }
  }

  #failAll(error: ApiError): void {
    for (const { reject } of this.#searches.values()) reject(error);
    this.#searches.clear();
    for (const [id, pending] of [...this.#pending]) this.#fail(id, pending, error);
  }

  #fail(id: number, pending: Pending, error: ApiError): void {
    this.#ended(id, pending, null);
    pending.reject(error);
  }

  #ended(id: number, { asked, startedAt, firstTextAt, background }: Pending, outcome: ReplyOutcome | null): void {
    this.#pending.delete(id);
    const since = (time: number | null): number | null => (time === null ? null : (time - asked) / 1000);
    this.#observer?.replied({
      queue_s: since(startedAt),
      firstToken_s: since(firstTextAt),
      total_s: (performance.now() - asked) / 1000,
      finish: outcome?.finish ?? 'failed',
      usage: outcome?.usage ?? null,
      background,
    });
    if (!background && this.#awaited === 0) this.#onAnswering(false);
    if (this.#pending.size === 0) this.#drained?.();
  }
}
