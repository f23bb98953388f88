import type { WebSocket } from 'ws';
import type { Limits } from '../config.js';
import { closeCodes } from './events.js';
import type { ServerEvent, ServerEventBody } from './protocol.js';
import type { Tap } from './tap.js';

/** Events that may wait for a slow reader before its socket is closed; text and progress are merged and count once. */
const mostWaiting = 1000;

/**
 * Sends events in order without letting a slow reader grow the memory. While the socket's buffer is full, deltas of one
 * response are joined, progress of one video is replaced by the newest, and nothing more is read from the client, so it
 * cannot ask for more either. A reader that stays behind is let go.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #limits: Limits;
  readonly #prefix: string;
  readonly #tap: Tap;
  #waiting: ServerEventBody[] = [];
  #congested: NodeJS.Timeout | null = null;
  #sent = 0;

  /** @param prefix of the event ids, which are numbered */
  constructor(socket: WebSocket, tap: Tap, limits: Limits, prefix: string) {
    this.#socket = socket;
    this.#tap = tap;
    this.#limits = limits;
    this.#prefix = prefix;
  }

  send(event: ServerEventBody): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#congested) this.#wait(event);
    else this.#write(event);
  }

  close(): void {
    if (this.#congested) clearTimeout(this.#congested);
    this.#congested = null;
    this.#waiting = [];
  }

  #write(body: ServerEventBody): void {
    const event: ServerEvent = { ...body, event_id: `${this.#prefix}_${(this.#sent++).toString(36)}` };
    this.#socket.send(JSON.stringify(event), () => this.#written());
    if (this.#socket.bufferedAmount > this.#limits.bufferedBytes && !this.#congested) {
      this.#congested = setTimeout(() => this.#giveUp(), this.#limits.slowReader_s * 1000).unref();
      this.#tap.close('outbox');
    }
  }

  #written(): void {
    if (!this.#congested || this.#socket.bufferedAmount > this.#limits.bufferedBytes / 2) return;
    clearTimeout(this.#congested);
    this.#congested = null;
    this.#tap.open('outbox');
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const event of waiting) this.send(event);
  }

  #wait(event: ServerEventBody): void {
    if (event.type === 'response.output_text.delta') {
      const index = this.#waiting.findIndex((other) => other.type === event.type && other.response_id === event.response_id);
      const before = this.#waiting[index];
      if (before?.type === event.type) {
        this.#waiting[index] = { ...event, delta: before.delta + event.delta };
        return;
      }
    }
    if (event.type === 'video.progress') {
      const index = this.#waiting.findIndex((other) => other.type === event.type && other.video.id === event.video.id);
      if (index >= 0) {
        this.#waiting[index] = event;
        return;
      }
    }
    if (event.type === 'response.queued') {
      const index = this.#waiting.findIndex((other) => other.type === event.type && other.response_id === event.response_id);
      if (index >= 0) {
        this.#waiting[index] = event;
        return;
      }
    }
    this.#waiting.push(event);
    if (this.#waiting.length > mostWaiting) this.#giveUp();
  }

  #giveUp(): void {
    this.close();
    this.#socket.close(closeCodes.slowReader, 'slow reader');
    // The closing handshake waits behind what was not read; it is not waited for.
    this.#socket.terminate();
  }
}
