/** What routes that give answers have in common: who asks, when nobody listens any more, server-sent events. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Asking } from '../chat/completion.js';
import { ApiError } from '../errors.js';
import type { Services } from '../services.js';

/** Bytes that base64 makes of `bytes`. */
const base64Bytes = (bytes: number): number => Math.ceil(bytes / 3) * 4;

/** Largest body of a request that may bring a video along. */
export function answerBodyLimit({ limits }: Services): number {
  return limits.bodyBytes + base64Bytes(limits.dataUrlBytes);
}

/** Clients are told apart by their keys, without keys by their addresses. */
export function clientOf({ access }: Services, { apiKey, caller, ip }: FastifyRequest): Asking {
  return apiKey
    ? { caller, client: apiKey.id, mostOfClient: access.mostReplies(apiKey) }
    : { caller, client: `http:${ip}` };
}

/** Aborts when the client hangs up before it has its answer. */
export function closing(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new ApiError('cancelled'));
  });
  return controller.signal;
}

/** A client that hangs up wants no answer any more. */
export function cancelWithClient(signal: AbortSignal, answer: { cancel(): void }): void {
  if (signal.aborted) answer.cancel();
  else signal.addEventListener('abort', () => answer.cancel(), { once: true });
}

/** Server-sent events. Until the first one, an error still has a status of its own. */
export class EventStream {
  readonly #reply: FastifyReply;
  #begun = false;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** @param event its name, for streams of several kinds of events */
  send(data: object | string, event?: string): void {
    const { raw } = this.#reply;
    if (!this.#begun) {
      this.#begun = true;
      const headers = sentHeaders(this.#reply);
      this.#reply.hijack();
      raw.writeHead(200, {
        ...headers,
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
      });
    }
    if (raw.destroyed) return;
    const name = event === undefined ? '' : `event: ${event}\n`;
    raw.write(`${name}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  }

  end(): FastifyReply {
    this.#reply.raw.end();
    return this.#reply;
  }
}

/** Headers that hooks have set (security above all) and that a hijacked reply would lose. */
function sentHeaders(reply: FastifyReply): Record<string, string | number | readonly string[]> {
  const headers: Record<string, string | number | readonly string[]> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}
