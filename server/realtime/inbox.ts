import type { RawData, WebSocket } from 'ws';
import { TokenBucket } from '../access/bucket.js';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';
import { checkClientEvent, closeCodes, eventIdOf } from './events.js';
import type { ClientEvent } from './protocol.js';
import type { Tap } from './tap.js';

/** Events dropped for flooding after which the socket is closed, in multiples of the burst. */
const floodFactor = 10;

export interface InboxOptions {
  readonly socket: WebSocket;
  readonly tap: Tap;
  readonly limits: Pick<Limits, 'eventsPerSecond' | 'eventsBurst' | 'messageBytes'>;
  /** Asked before a message is looked at; false: it is dropped. */
  readonly admits: () => boolean;
  /** Does what an event asks for; a promise where that takes time. */
  readonly handle: (event: ClientEvent) => Promise<void> | undefined;
  /** @param eventId of the event that is refused, where it has one */
  readonly refuse: (error: unknown, eventId: string | null) => void;
}

/**
 * The events of one client, checked and handed on one after the other. While one takes time nothing more is read from the socket, so a
 * client that sends faster than its messages can be stored waits, and holds no memory.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #bucket: TokenBucket;
  /** Takes from what is dropped: a client that stays far above the rate empties it, whatever single events get through. */
  readonly #patience: TokenBucket;
  #waiting: ClientEvent[] = [];
  #busy = false;
  #dropping = false;

  constructor(options: InboxOptions) {
    this.#options = options;
    const { eventsPerSecond, eventsBurst } = options.limits;
    this.#bucket = new TokenBucket(eventsPerSecond, eventsBurst);
    this.#patience = new TokenBucket(eventsPerSecond, eventsBurst * floodFactor);
  }

  receive(data: RawData, isBinary: boolean): void {
    const { limits, admits, refuse } = this.#options;
    let eventId: string | null = null;
    try {
      if (!this.#inTime() || !admits()) return;
      const text = textOf(data);
      if (text.length > limits.messageBytes) {
        throw new ApiError('message_too_large', { message: `The message has ${text.length} bytes; the limit is ${limits.messageBytes}.` });
      }
      if (isBinary) throw new ApiError('invalid_json', { message: 'Socket messages must be text frames of JSON.' });
      const value = parseJson(text);
      eventId = eventIdOf(value);
      this.#waiting.push(checkClientEvent(value));
    } catch (error) {
      refuse(error, eventId);
      return;
    }
    if (!this.#busy) this.#work();
  }

  /** What has not had its turn is given up. */
  close(): void {
    this.#waiting = [];
  }

  /** Goes on until an event takes time; when that has ended it goes on again. */
  #work(): void {
    const { tap, handle, refuse } = this.#options;
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      const eventId = event.event_id ?? null;
      try {
        const pending = handle(event);
        if (pending === undefined) continue;
        this.#busy = true;
        tap.close('inbox');
        void pending.catch((error: unknown) => refuse(error, eventId)).finally(() => {
          this.#busy = false;
          tap.open('inbox');
          this.#work();
        });
        return;
      } catch (error) {
        refuse(error, eventId);
      }
    }
  }

  /** False where the event is dropped unread because there are far too many. */
  #inTime(): boolean {
    const first = !this.#dropping;
    this.#dropping = !this.#bucket.take();
    if (!this.#dropping) return true;
    if (!this.#patience.take()) this.#options.socket.close(closeCodes.flooding, 'too many events');
    else if (first) throw new ApiError('rate_limited');
    return false;
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ApiError('invalid_json', { message: 'The socket message is not valid JSON.', cause: error });
  }
}
