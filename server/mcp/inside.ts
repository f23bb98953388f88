/** The API of a server asked from within its own process, by the same routes and with the same checks as from outside. */
import { randomUUID } from 'node:crypto';
import type { App } from '../api/typed.js';
import type { ApiRequest } from './http-backend.js';

/** Names the signal of a request from inside. From outside it names nothing: the values are random and hold for one request. */
const SIGNAL_HEADER = 'x-latentchat-signal';

/** As whom the requests are made. */
export interface InsideCaller {
  readonly headers: Readonly<Record<string, string>>;
  /** Address that limits count by where there is no key. */
  readonly ip: string;
}

export class InsideApi {
  readonly #app: App;
  readonly #signals = new Map<string, AbortSignal>();

  /** To be made before the app is ready. */
  constructor(app: App) {
    this.#app = app;
    // An injected request whose signal is aborted does not look like one whose client has hung up; its answer has to be destroyed.
    app.addHook('onRequest', (request, reply, done) => {
      const signal = this.#signals.get(String(request.headers[SIGNAL_HEADER]));
      signal?.addEventListener('abort', () => reply.raw.destroy(), { once: true });
      done();
    });
  }

  requests({ headers, ip }: InsideCaller): ApiRequest {
    return async (method, url, body, signal) => {
      const name = randomUUID();
      this.#signals.set(name, signal);
      try {
        signal.throwIfAborted();
        const content = body === undefined ? {} : { 'content-type': 'application/json' };
        const { statusCode, payload } = await this.#app.inject({
          method,
          url,
          headers: { ...headers, ...content, [SIGNAL_HEADER]: name },
          remoteAddress: ip,
          ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
        });
        return { status: statusCode, text: () => payload };
      } finally {
        this.#signals.delete(name);
      }
    };
  }
}
