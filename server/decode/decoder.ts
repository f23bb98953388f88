import type { FastifyBaseLogger } from 'fastify';
import type { Shot } from '../../model/inr/shots.js';
import { ApiError, errorTable } from '../errors.js';
import { WorkerHost } from '../workers/host.js';
import type { DecoderWorkerData, FrameTask, FromDecoder, Picture, ToDecoder } from './messages.js';

export interface FrameDecoderOptions extends DecoderWorkerData {
  /** Frames that may wait. */
  readonly most: number;
  /** Seconds without work after which the worker is ended. */
  readonly idle_s: number;
  /** Seconds a worker may show no sign of life. */
  readonly silence_s: number;
  readonly log: FastifyBaseLogger;
}

type Result = Exclude<FromDecoder, { type: 'failed' }>;

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: ApiError) => void;
}

/** Decodes frames, and finds shots, in a worker that is there only while it is used. */
export class FrameDecoder {
  readonly #host: WorkerHost<ToDecoder, FromDecoder>;
  readonly #options: FrameDecoderOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #idle: NodeJS.Timeout | null = null;

  constructor(options: FrameDecoderOptions) {
    this.#options = options;
    const { threads, containerBytes, silence_s, log } = options;
    const data: DecoderWorkerData = { threads, containerBytes };
    this.#host = new WorkerHost({
      program: new URL('./worker.js', import.meta.url),
      name: 'decoder',
      data,
      log,
      silence_s,
      onMessage: (message) => this.#receive(message),
      onCrash: () => this.#failAll(new ApiError('decode_failed')),
    });
  }

  /** Rejects with ApiError: `queue_full`, `frame_not_found`, `pictures_not_ready`, `decode_failed`. */
  async frame(task: FrameTask): Promise<Picture> {
    return (await this.#ask<'frame'>((id) => ({ type: 'frame', id, task }))).picture;
  }

  /** The shots of the video in a container. Rejects with ApiError: `queue_full`, `decode_failed`. */
  async shots(file: string): Promise<readonly Shot[]> {
    return (await this.#ask<'shots'>((id) => ({ type: 'shots', id, file }))).shots;
  }

  #ask<T extends Result['type']>(message: (id: number) => ToDecoder & { readonly type: T }): Promise<Extract<Result, { type: T }>> {
    if (this.#pending.size >= this.#options.most) return Promise.reject(new ApiError('queue_full'));
    if (this.#idle) clearTimeout(this.#idle);
    this.#idle = null;
    this.#host.start();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      // A message is answered by one of its own type.
      this.#pending.set(id, { resolve: (result) => resolve(result as Extract<Result, { type: T }>), reject });
      this.#host.post(message(id));
    });
  }

  async close(): Promise<void> {
    if (this.#idle) clearTimeout(this.#idle);
    this.#failAll(new ApiError('stopping'));
    await this.#host.close();
  }

  #receive(message: FromDecoder): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type !== 'failed') {
      pending?.resolve(message);
    } else {
      if (errorTable[message.code][0] >= 500) this.#options.log.error({ detail: message.detail }, 'a container could not be decoded');
      const { code, param } = message;
      pending?.reject(new ApiError(code, { param, message: message.message || errorTable[code][2] }));
    }
    if (this.#pending.size === 0) this.#endWhenIdle();
  }

  #endWhenIdle(): void {
    this.#idle = setTimeout(() => void this.#host.end(), this.#options.idle_s * 1000).unref();
  }

  #failAll(error: ApiError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }
}
