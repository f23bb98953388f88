import { connectionFailed, errorFromAnswer, LatentChatError } from './errors.js';

/** What both `fetch` of the browser and of Node accept here. */
export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** As of `fetch`; headers are the same for every request, and a body is JSON. */
export type RequestOptions = Omit<RequestInit, 'headers'>;

/** HTTP requests against one server: joins addresses and turns every failure into a {@link LatentChatError}. */
export class Http {
  readonly #base: URL;
  readonly #fetch: Fetch;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param headers sent with every request */
  constructor(baseUrl: string, fetcher: Fetch, headers: Readonly<Record<string, string>> = {}) {
    this.#base = checkedBase(baseUrl);
    this.#fetch = fetcher;
    this.#headers = headers;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** The absolute address of an API path such as `/v1/videos`. */
  url(path: string): string {
    return new URL(path.replace(/^\//, ''), this.#base).href;
  }

  /** The same address for a WebSocket. */
  socketUrl(path: string): string {
    return this.url(path).replace(/^http/, 'ws');
  }

  /**
   * Sends one request and resolves with its answer when the status is a success.
   * @throws LatentChatError for a failing status or no answer; the signal's own reason when it was aborted.
   */
  async request(path: string, init: RequestOptions = {}): Promise<Response> {
    const url = this.url(path);
    let answer: Response;
    try {
      const content = init.body === undefined ? {} : { 'content-type': 'application/json' };
      answer = await this.#fetch(url, { ...init, headers: { ...this.#headers, ...content } });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw connectionFailed(url, cause);
    }
    if (!answer.ok) throw errorFromAnswer(answer.status, await answer.text());
    return answer;
  }

  /** As {@link request}, with the answer's JSON. The caller names the type the API documents for this path. */
  async json<T>(path: string, init: RequestOptions = {}): Promise<T> {
    const answer = await this.request(path, init);
    try {
      return (await answer.json()) as T;
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new LatentChatError(
        { code: 'bad_response', message: `${this.url(path)} did not answer with JSON. Is this a latentchat server?` },
        answer.status,
        { cause },
      );
    }
  }
}

function checkedBase(baseUrl: string): URL {
  let base: URL;
  try {
    base = new URL(baseUrl);
  } catch (cause) {
    throw new TypeError(`baseUrl must be an absolute http or https address, got "${baseUrl}".`, { cause });
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new TypeError(`baseUrl must start with http:// or https://, got "${baseUrl}".`);
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return base;
}
