import { WebSocket as NodeSocket } from 'ws';
import { Http, type Fetch } from './http.js';
import { askOver, type ChatOptions } from './chat.js';
import { connectionLost, RealtimeSocket, type RealtimeOptions, type SocketLike } from './realtime.js';
import { LatentChatError } from './errors.js';
import { uploadFile, type UploadOptions } from './upload.js';
import type { ResponseObject, SearchRequest, SearchResult, Video } from './types.js';

export type { ChatOptions } from './chat.js';
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

interface Cancellable {
  readonly signal?: AbortSignal;
}

export interface ClipOptions extends Cancellable {
  /** Seconds from the start of the video. Default: 0. */
  readonly from_s?: number;
  /** Default: the end of the video. */
  readonly to_s?: number;
}

interface WaitOptions extends Cancellable {
  readonly onProgress?: (video: Video) => void;
}

/** Seconds for which a chat whose connection broke tries to come back. */
const resume_s = 30;

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

    /**
     * Waits until questions about the video can be answered; `onProgress` hears how far it is.
     * @throws LatentChatError with the reason when the video cannot be read, `video_not_found` when it is deleted meanwhile
     */
    untilAskable: async (id: string, { signal, onProgress }: WaitOptions = {}): Promise<Video> => {
      const socket = this.realtime(signal ? { signal } : {});
      try {
        for await (const event of socket) {
          const about = event.type === 'session.created' || (event.type === 'video.progress' && event.video.id === id) || (event.type === 'video.deleted' && event.video_id === id);
          if (!about) continue;
          const video = await this.videos.get(id, signal ? { signal } : {});
          onProgress?.(video);
          if (video.askable) return video;
          if (video.error && video.state === 'failed') throw new LatentChatError(video.error);
        }
        signal?.throwIfAborted();
        throw connectionLost();
      } finally {
        socket.close();
      }
    },

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
   * A part of a video as an MP4 file, as it is read; without sound. From the original while the server has it, else drawn from the latents.
   * Codes: `clip_out_of_range`, `clip_too_long`, `not_a_video`, `pictures_not_ready`. Aborting stops the cutting as well.
   */
  async clip(id: string, { from_s = 0, to_s, signal }: ClipOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const query = new URLSearchParams({ from: String(from_s), ...(to_s === undefined ? {} : { to: String(to_s) }) });
    const { body } = await this.#http.request(`${videoPath(id)}/clip?${query}`, init(signal));
    return body ?? new ReadableStream();
  }

  /**
   * Uploads a video, a photo or a `.linr` container, resuming where a broken connection stopped, and resolves with the
   * video as the server lists it: not yet askable, follow `video.progress` for that.
   */
  async upload(file: File | Blob | Buffer, options: UploadOptions = {}): Promise<Video> {
    const id = await uploadFile(this.#http.url('/v1/uploads'), file, options, this.#http.headers);
    return this.videos.get(id, options.signal ? { signal: options.signal } : {});
  }

  /**
   * Frames, moments (the default) or videos that words tell of, or that are like a frame; best first. Times in seconds, scores are cosines,
   * comparable within one search. Codes: `video_not_found`, `video_not_ready`, `frame_not_found`, `empty_question`, `search_unavailable`.
   */
  async search(request: SearchRequest, { signal }: Cancellable = {}): Promise<readonly SearchResult[]> {
    const asked = { method: 'POST', body: JSON.stringify(request), ...init(signal) };
    return (await this.#http.json<{ data: readonly SearchResult[] }>('/v1/search', asked)).data;
  }

  /** Opens a socket that carries any number of conversations and the progress of videos. Close it when done. */
  realtime(options: RealtimeOptions = {}): RealtimeSocket {
    const url = this.#http.socketUrl('/v1/realtime');
    return new RealtimeSocket(() => this.#webSocket(url, this.#protocols), options);
  }

  /**
   * Asks one question about a video and yields the answer's text piece by piece; returns how it ended.
   * A connection that breaks is taken up again, and the answer with it, for up to 30 seconds.
   * @throws LatentChatError with the server's reason, or `connection_lost` when the answer could not be taken up again.
   */
  async *chat(videoId: string, question: string, options: ChatOptions = {}): AsyncGenerator<string, ResponseObject, undefined> {
    options.signal?.throwIfAborted();
    let opened = false;
    let broken: ReturnType<typeof setTimeout> | undefined;
    const socket: RealtimeSocket = this.realtime({
      onStatus: (status) => {
        // A server that was never there is not waited for.
        if (status === 'waiting') broken ??= setTimeout(() => socket.close(), opened ? resume_s * 1000 : 0);
        if (status !== 'open' && status !== 'closed') return;
        opened ||= status === 'open';
        clearTimeout(broken);
        broken = undefined;
      },
    });
    return yield* askOver(socket, videoId, question, options);
  }
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
