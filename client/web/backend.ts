import { LatentChat, type ClientEvent, type RealtimeSocket, type RealtimeStatus, type ServerEvent } from '../sdk/index.js';
import { Signal } from './signal.js';

/** The one connection of the page: HTTP through the SDK, one socket for all conversations and progress. */
export class Backend {
  readonly client: LatentChat;
  /** Every event of the socket, in order. `session.created` marks each new connection. */
  readonly events = new Signal<ServerEvent>();
  readonly statusChanged = new Signal<RealtimeStatus>();
  #socket: RealtimeSocket | null = null;
  #model: string | null = null;

  constructor(baseUrl: string) {
    this.client = new LatentChat({ baseUrl });
  }

  get status(): RealtimeStatus {
    return this.#socket?.status ?? 'connecting';
  }

  /** The name of the model that answers, once connected. */
  get model(): string | null {
    return this.#model;
  }

  /** Connects and keeps connected. */
  start(): void {
    this.#socket = this.client.realtime({ onStatus: (status) => this.statusChanged.emit(status) });
    void this.#follow(this.#socket);
    // A laptop that wakes up or a network that comes back should not wait for the planned attempt.
    globalThis.addEventListener('online', () => this.reconnectNow());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.reconnectNow();
    });
  }

  reconnectNow(): void {
    this.#socket?.retryNow();
  }

  /** @throws LatentChatError `connection_lost` where the socket is not open. */
  async send(event: ClientEvent): Promise<void> {
    await this.#socket?.send(event);
  }

  async #follow(socket: RealtimeSocket): Promise<void> {
    for await (const event of socket) {
      if (event.type === 'session.created') this.#model = event.session.model;
      this.events.emit(event);
    }
  }
}
