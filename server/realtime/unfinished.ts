import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { closeCodes } from './events.js';

/**
 * Counts what sockets have sent of messages that are not complete: it is held in memory until they are. When all of them hold too much
 * together, the one that holds most is closed.
 */
export class UnfinishedMessages {
  readonly #most: number;
  readonly #held = new Map<WebSocket, number>();
  #all = 0;

  /** @param most bytes that all sockets may hold together */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param connection what the socket's frames come over */
  watch(socket: WebSocket, connection: Socket): void {
    this.#held.set(socket, 0);
    // Before the socket has read them: what completes a message is then no longer counted.
    const came = (chunk: Buffer): void => this.#add(socket, chunk.length);
    const done = (): void => this.#add(socket, -(this.#held.get(socket) ?? 0));
    connection.prependListener('data', came);
    for (const event of ['message', 'ping', 'pong'] as const) socket.prependListener(event, done);
    socket.once('close', () => {
      connection.removeListener('data', came);
      done();
      this.#held.delete(socket);
    });
  }

  #add(socket: WebSocket, bytes: number): void {
    const held = this.#held.get(socket);
    if (held === undefined) return;
    this.#held.set(socket, held + bytes);
    this.#all += bytes;
    if (this.#all > this.#most) this.#closeLargest();
  }

  #closeLargest(): void {
    const [largest] = [...this.#held].reduce((most, other) => (other[1] > most[1] ? other : most));
    this.#add(largest, -(this.#held.get(largest) ?? 0));
    this.#held.delete(largest);
    largest.close(closeCodes.tryAgainLater, 'too many unfinished messages');
    // Its handshake would wait behind the rest of its message.
    largest.terminate();
  }
}
