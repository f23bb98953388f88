import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Compile } from 'typebox/compile';
import { WebSocket, type ClientOptions } from 'ws';
import type { ClientEvent, ServerEvent } from '../../server/realtime/protocol.js';
import { serverEvents } from '../../server/realtime/server-events.js';

type EventType = ServerEvent['type'];
/** Some members of the union stand for two types of event. */
type EventOf<T extends EventType, Event = ServerEvent> = Event extends { readonly type: EventType } ? (T extends Event['type'] ? Event : never) : never;

const validators = new Map(Object.entries(serverEvents).map(([type, schema]) => [type, Compile(schema)]));

/** Fails unless the event is what /asyncapi.json says it is. */
function assertDocumented(event: ServerEvent): void {
  const validator = validators.get(event.type);
  assert.ok(validator, `the event ${event.type} is not documented`);
  if (!validator.Check(event)) assert.fail(`${JSON.stringify(event).slice(0, 500)} is not as documented: ${JSON.stringify(validator.Errors(event)[0])}`);
}

/** A bare socket for tests: keeps every event, so that tests can wait for one and look at all, and holds each to its schema. */
export class TestSocket {
  readonly events: ServerEvent[] = [];
  readonly closed: Promise<number>;
  #next = 0;
  #wake: (() => void) | null = null;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.events.push(JSON.parse(String(data)) as ServerEvent);
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
  }

  /** Resolves after session.created, which is left to be read. */
  static async open(url: string, query = '', options: ClientOptions = {}): Promise<TestSocket> {
    const opened = new TestSocket(new WebSocket(`${url.replace('http', 'ws')}/v1/realtime${query}`, options));
    await once(opened.socket, 'open');
    return opened;
  }

  send(event: ClientEvent): void {
    this.socket.send(JSON.stringify(event));
  }

  sendRaw(data: string | Buffer): void {
    this.socket.send(data);
  }

  /** The next event of a type; those before it are passed over. Fails after `limit_s`. */
  async next<T extends EventType>(type: T, limit_s = 30): Promise<EventOf<T>> {
    return (await this.nextOf([type], limit_s)) as unknown as EventOf<T>;
  }

  /** The next event of one of the types; those before it are passed over. Fails after `limit_s`. */
  async nextOf(types: readonly EventType[], limit_s = 30): Promise<ServerEvent> {
    const deadline = performance.now() + limit_s * 1000;
    for (;;) {
      while (this.#next < this.events.length) {
        const event = this.events[this.#next++] as ServerEvent;
        assertDocumented(event);
        if (types.includes(event.type)) return event;
      }
      const left = deadline - performance.now();
      if (left <= 0) assert.fail(`no ${types.join(' or ')} within ${limit_s} s; last events: ${JSON.stringify(this.events.slice(-4)).slice(0, 1500)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, Math.min(left, 500)).unref();
      });
    }
  }

  /** To be called when `events` was emptied. */
  rewind(): void {
    this.#next = 0;
  }

  /** The code of the next error event. */
  async errorCode(): Promise<string> {
    return (await this.next('error')).error.code;
  }

  /** Asks about a video (or about nothing) and waits for the end of the answer. */
  async ask(question: string, videoId?: string, limit_s = 60): Promise<EventOf<'response.done'> & { text: string }> {
    this.send({
      type: 'conversation.item.create',
      item: { role: 'user', content: [...(videoId === undefined ? [] : [{ type: 'input_video' as const, video_id: videoId }]), { type: 'input_text', text: question }] },
    });
    this.send({ type: 'response.create' });
    const { text } = await this.next('response.output_text.done', limit_s);
    return { ...(await this.next('response.done', limit_s)), text };
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}
