import { LatentChatError } from './errors.js';
import type { ClientEvent, ServerEvent } from './types.js';

/** The part of a WebSocket used here: the browser's own, or that of the package `ws`. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** `waiting`: the connection broke and the next attempt is planned. `closed` is final. */
export type RealtimeStatus = 'connecting' | 'open' | 'waiting' | 'closed';

export interface RealtimeOptions {
  /** Aborting closes the socket for good; running iterations then end. */
  readonly signal?: AbortSignal;
  /** Connect again after a broken connection. Default true. */
  readonly reconnect?: boolean;
  /** Called on every change of status; with `waiting`, how many seconds until the next attempt. */
  readonly onStatus?: (status: RealtimeStatus, retryIn_s: number | null) => void;
}

/** Seconds before the n-th attempt to reconnect; the last is repeated. Up to a quarter is taken off at random. */
const backoff_s = [0.3, 0.7, 1.5, 3, 6, 12, 20];
/** Events one iteration may fall behind before it fails: a reader that never reads must not fill the memory. */
const mostBuffered = 10_000;
const openState = 1;

interface Reader {
  readonly events: ServerEvent[];
  wake: (() => void) | null;
  overrun: boolean;
}

/**
 * A socket to `/v1/realtime` that yields typed events and reconnects by itself.
 *
 * `for await (const event of socket)` sees every event from the moment the iteration starts; several iterations may run
 * side by side. Every connection starts with `session.created`, which names a fresh conversation. Nothing is repeated after
 * a reconnect: send `conversation.retrieve` for each conversation to go on with; what was said meanwhile is in the answer.
 */
export class RealtimeSocket implements AsyncIterable<ServerEvent> {
  readonly #connect: () => SocketLike;
  readonly #options: RealtimeOptions;
  readonly #readers = new Set<Reader>();
  readonly #waitingToOpen = new Set<() => void>();
  #socket: SocketLike | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #attempt = 0;
  #status: RealtimeStatus = 'connecting';

  /** @param connect opens the socket; called again for every attempt to reconnect. */
  constructor(connect: () => SocketLike, options: RealtimeOptions = {}) {
    this.#connect = connect;
    this.#options = options;
    if (options.signal?.aborted) {
      this.#status = 'closed';
      return;
    }
    options.signal?.addEventListener('abort', () => this.close(), { once: true });
    this.#open();
  }

  get status(): RealtimeStatus {
    return this.#status;
  }

  /**
   * Sends an event as soon as the socket is open.
   * @throws LatentChatError `connection_lost` when the socket is closed, or breaks before the event could leave.
   */
  async send(event: ClientEvent): Promise<void> {
    if (this.#status === 'connecting') await new Promise<void>((resolve) => this.#waitingToOpen.add(resolve));
    if (this.#status !== 'open' || this.#socket?.readyState !== openState) throw connectionLost();
    this.#socket.send(JSON.stringify(event));
  }

  /** Tries to connect now instead of waiting for the planned attempt. */
  retryNow(): void {
    if (this.#status !== 'waiting') return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#open();
  }

  /** Closes for good. Iterations yield what has arrived and then end. */
  close(): void {
    if (this.#status === 'closed') return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#setStatus('closed', null);
    this.#socket?.close(1000, 'client closed');
    this.#socket = null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ServerEvent, void, undefined> {
    const reader: Reader = { events: [], wake: null, overrun: false };
    this.#readers.add(reader);
    try {
      for (;;) {
        const event = reader.events.shift();
        if (event) {
          yield event;
        } else if (reader.overrun) {
          throw new LatentChatError({ code: 'reader_too_slow', message: `More than ${mostBuffered} events were waiting to be read.` });
        } else if (this.#status === 'closed') {
          return;
        } else {
          await new Promise<void>((resolve) => (reader.wake = resolve));
        }
      }
    } finally {
      this.#readers.delete(reader);
    }
  }

  #open(): void {
    this.#setStatus('connecting', null);
    const socket = this.#connect();
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#attempt = 0;
      this.#setStatus('open', null);
    };
    socket.onmessage = (message: { data?: unknown }) => {
      if (this.#socket === socket && typeof message.data === 'string') this.#receive(message.data);
    };
    // The close event that always follows carries on; without a listener ws would throw.
    socket.onerror = () => undefined;
    socket.onclose = () => {
      if (this.#socket === socket) this.#broken();
    };
  }

  #broken(): void {
    this.#socket = null;
    if (this.#options.reconnect === false) {
      this.#setStatus('closed', null);
      return;
    }
    const planned = backoff_s[Math.min(this.#attempt, backoff_s.length - 1)] ?? 1;
    const delay_s = planned * (1 - Math.random() / 4);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#open(), delay_s * 1000);
    this.#setStatus('waiting', delay_s);
  }

  #receive(data: string): void {
    let event: ServerEvent;
    try {
      event = JSON.parse(data) as ServerEvent;
    } catch {
      return; // Not this API's: nothing in it can be acted on.
    }
    for (const reader of this.#readers) {
      if (reader.events.length >= mostBuffered) reader.overrun = true;
      else reader.events.push(event);
      wake(reader);
    }
  }

  #setStatus(status: RealtimeStatus, retryIn_s: number | null): void {
    this.#status = status;
    if (status !== 'connecting') {
      for (const resolve of this.#waitingToOpen) resolve();
      this.#waitingToOpen.clear();
    }
    this.#options.onStatus?.(status, retryIn_s);
    for (const reader of this.#readers) wake(reader);
  }
}

function wake(reader: Reader): void {
  reader.wake?.();
  reader.wake = null;
}

export function connectionLost(): LatentChatError {
  return new LatentChatError({ code: 'connection_lost', message: 'The connection to the server was lost.' });
}
