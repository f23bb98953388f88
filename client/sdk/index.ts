import { WebSocket as NodeSocket } from 'ws';
import { Http, type Fetch } from './http.js';
import { connectionLost, RealtimeSocket, type RealtimeOptions, type SocketLike } from './realtime.js';
import { LatentChatError } from './errors.js';
import { uploadFile, type UploadOptions } from './upload.js';
import type { ClientEvent, ResponseObject, Video } from './types.js';

export { LatentChatError } from './errors.js';
export { RealtimeSocket, type RealtimeOptions, type RealtimeStatus } from './realtime.js';
export type { UploadOptions, UploadProgress } from './upload.js';
export type * from './types.js';

export interface LatentChatOptions {
  /** Where the server is, such as `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** For a server that asks for one. */
  readonly apiKey?: string;
  /** Default: the platform's own. */
  readonly fetch?: Fetch;
  /** Makes a WebSocket. Default: the platform's own, in Node 20 that of the package `ws`. */
  readonly webSocket?: (url: string, protocols: readonly string[]) => SocketLike;
}

export interface ChatOptions {
  /**
   * Aborting cancels the answer on the server; the iteration throws the signal's reason and what was yielded stays valid.
   * Leaving the iteration early cancels too.
   */
  readonly signal?: AbortSignal;
  /** Id of a stored conversation to go on with. Default: a new one. */
  readonly conversation?: string;
}

interface Cancellable {
  readonly signal?: AbortSignal;
}

/** Client of one latentchat server, for the browser and for Node 20 or later. Times are in seconds, sizes in bytes. */
export class LatentChat {
  readonly #http: Http;
  readonly #webSocket: (url: string, protocols: readonly string[]) => SocketLike;
  /** Browsers cannot set headers on sockets, so the key goes among the subprotocols. */
  readonly #protocols: readonly string[];

  /** @throws TypeError when `baseUrl` is not an http or https address. */
  constructor(options: LatentChatOptions) {
    const { apiKey } = options;
    const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    this.#http = new Http(options.baseUrl, options.fetch ?? ((input, init) => fetch(input, init)), headers);
    this.#protocols = apiKey === undefined ? [] : ['latentchat', `latentchat-key.${apiKey}`];
    this.#webSocket = options.webSocket ?? platformSocket;
  }

  /** The videos on the server. Every method throws {@link LatentChatError}. */
  readonly videos = {
    /** All videos, newest first. */
    list: async ({ signal }: Cancellable = {}): Promise<readonly Video[]> =>
      (await this.#http.json<{ data: readonly Video[] }>('/v1/videos', init(signal))).data,

    /** One video as it stands now. Code `video_not_found` when there is none with this id. */
    get: (id: string, { signal }: Cancellable = {}): Promise<Video> => this.#http.json<Video>(videoPath(id), init(signal)),

    /** Removes a video and everything that belongs to it; a running encoding is cancelled. */
    delete: async (id: string, { signal }: Cancellable = {}): Promise<void> => {
      await this.#http.request(videoPath(id), { method: 'DELETE', ...init(signal) });
    },
  };

  /** Address of a video's `.linr` container, which a `LinrDecoder` reads in parts. */
  containerUrl(id: string): string {
    return this.#http.url(`${videoPath(id)}/container`);
  }

  /**
   * The `.linr` container of a video as it is now, bytes. Answers are cached by version, so asking again for one that
   * has not changed is cheap. Code `container_not_ready` before the latents exist.
   */
  async containerBytes(id: string, { signal }: Cancellable = {}): Promise<Uint8Array> {
    const answer = await this.#http.request(`${videoPath(id)}/container`, { cache: 'no-cache', ...init(signal) });
    return new Uint8Array(await answer.arrayBuffer());
  }

  /**
   * Uploads a video, a photo or a `.linr` container, resuming where a broken connection stopped, and resolves with the
   * video as the server lists it: not yet askable, follow `video.progress` for that.
   */
  async upload(file: File | Blob | Buffer, options: UploadOptions = {}): Promise<Video> {
    const id = await uploadFile(this.#http.url('/v1/uploads'), file, options, this.#http.headers);
    return this.videos.get(id, options.signal ? { signal: options.signal } : {});
  }

  /** Opens a socket that carries any number of conversations and the progress of videos. Close it when done. */
  realtime(options: RealtimeOptions = {}): RealtimeSocket {
    const url = this.#http.socketUrl('/v1/realtime');
    return new RealtimeSocket(() => this.#webSocket(url, this.#protocols), options);
  }

  /**
   * Asks one question about a video and yields the answer's text piece by piece; returns how it ended.
   * @throws LatentChatError with the server's reason, or `connection_lost` when the connection broke before the end.
   */
  async *chat(videoId: string, question: string, options: ChatOptions = {}): AsyncGenerator<string, ResponseObject, undefined> {
    const { signal, conversation } = options;
    signal?.throwIfAborted();
    const place = conversation === undefined ? {} : { conversation };
    const socket = this.realtime({ reconnect: false });
    // The server finishes and keeps an answer whose socket closes: one that nobody waits for must be cancelled first.
    const cancel = async (): Promise<void> => {
      await socket.send({ type: 'response.cancel', ...place }).catch(() => undefined);
      socket.close();
    };
    const abort = (): void => void cancel();
    signal?.addEventListener('abort', abort, { once: true });
    let done = false;
    let responseId: string | null = null;
    try {
      for await (const event of socket) {
        signal?.throwIfAborted();
        if (event.type === 'session.created') await sendAll(socket, questionEvents(videoId, question, place));
        if (event.type === 'response.created') responseId = event.response.id;
        if (event.type === 'response.output_text.delta' && event.response_id === responseId) yield event.delta;
        if (event.type === 'error') {
          done = true;
          throw new LatentChatError(event.error);
        }
        if (event.type === 'response.done' && event.response.id === responseId) {
          done = true;
          return finished(event.response);
        }
      }
      signal?.throwIfAborted();
      throw connectionLost();
    } finally {
      signal?.removeEventListener('abort', abort);
      if (done) socket.close();
      else await cancel();
    }
  }
}

/** The events that ask a question, in the socket's own conversation or the stored one that `place` names. */
function questionEvents(videoId: string, question: string, place: { conversation?: string }): ClientEvent[] {
  const content = [
    { type: 'input_video', video_id: videoId },
    { type: 'input_text', text: question },
  ] as const;
  return [
    ...(place.conversation === undefined ? [] : [{ type: 'conversation.retrieve', conversation: place.conversation } as const]),
    { type: 'conversation.item.create', ...place, item: { type: 'message', role: 'user', content: [...content] } },
    { type: 'response.create', ...place },
  ];
}

async function sendAll(socket: RealtimeSocket, events: readonly ClientEvent[]): Promise<void> {
  for (const event of events) await socket.send(event);
}

function finished(response: ResponseObject): ResponseObject {
  const error = response.status_details?.error;
  if (response.status === 'failed') {
    throw new LatentChatError(error ?? { code: 'response_failed', message: 'The server could not finish the answer and gave no reason.' });
  }
  return response;
}

function videoPath(id: string): string {
  return `/v1/videos/${encodeURIComponent(id)}`;
}

function init(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}

/** The browser's WebSocket, or that of `ws` in Node before version 22 (bundled for a browser, `ws` is an empty stub). */
function platformSocket(url: string, protocols: readonly string[]): SocketLike {
  return typeof WebSocket === 'undefined' ? new NodeSocket(url, [...protocols]) : new WebSocket(url, [...protocols]);
}
