/** The tools over a server's own API, so that keys, limits and owners hold for them as for every request. */
import type { ErrorBody } from '../errors.js';
import type { SearchResult, Video } from '../api/schemas.js';
import { clipName, ToolError, type Answer, type Caption, type FoundMoment, type ListedVideo, type Stretch, type VideoTools } from './backend.js';

export interface ApiAnswer {
  readonly status: number;
  text(): Promise<string> | string;
}

/** Sends a request to the API; `body` is sent as JSON. */
export type ApiRequest = (method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal) => Promise<ApiAnswer>;

/** As much of a chat completion as the tools read. */
interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string; readonly annotations: readonly Stretch[] }; readonly finish_reason: string }[];
}

/** Asked of a whole video. */
const WHOLE = 'Describe what you see in one sentence.';
/** What an answer about a part of a video begins with. */
const OPENING = /^From [\d.]+ s to [\d.]+ s: /;

/** Makes a clip of the API reachable to the caller. @param path of the API @param name for a file. @returns its path or address */
export type ClipPlace = (path: string, name: string, signal: AbortSignal) => Promise<string>;

export class HttpVideos implements VideoTools {
  constructor(
    private readonly request: ApiRequest,
    private readonly placeClip: ClipPlace,
  ) {}

  async list(signal: AbortSignal): Promise<readonly ListedVideo[]> {
    const { data } = await this.#json<{ data: readonly Video[] }>('GET', '/v1/videos', undefined, signal);
    return data.map(({ id, name, kind, duration_s, askable, state, error }) => ({ id, name, kind, duration_s, askable, state: error === null ? state : `${state}: ${error.message}` }));
  }

  async search(query: string, videos: readonly string[] | null, limit: number, signal: AbortSignal): Promise<readonly FoundMoment[]> {
    const asked = { text: query, limit, ...(videos === null ? {} : { videos }) };
    return (await this.#json<{ data: readonly SearchResult[] }>('POST', '/v1/search', asked, signal)).data;
  }

  async ask(video: string, question: string, maxTokens: number | null, signal: AbortSignal): Promise<Answer> {
    const content = [{ type: 'video_url', video_url: { url: `video://${video}` } }, { type: 'text', text: question }];
    const asked = { messages: [{ role: 'user', content }], ...(maxTokens === null ? {} : { max_tokens: maxTokens }) };
    const { choices } = await this.#json<Completion>('POST', '/v1/chat/completions', asked, signal);
    const [choice] = choices;
    if (!choice) throw new ToolError('The server gave no answer.');
    return { answer: choice.message.content, moments: choice.message.annotations, complete: choice.finish_reason === 'stop' };
  }

  async caption({ id, duration_s }: ListedVideo, part: Stretch | null, signal: AbortSignal): Promise<Caption> {
    const question = part === null ? WHOLE : `What happens between ${millisecond(part.start_s)} and ${millisecond(part.end_s)} seconds?`;
    const { answer, moments } = await this.ask(id, question, null, signal);
    const { start_s, end_s } = moments[0] ?? part ?? { start_s: 0, end_s: duration_s ?? 0 };
    return { caption: answer.replace(OPENING, '').trim(), start_s, end_s };
  }

  clip({ id, name }: ListedVideo, part: Stretch, signal: AbortSignal): Promise<string> {
    const query = new URLSearchParams({ from: String(part.start_s), to: String(part.end_s) });
    return this.placeClip(`/v1/videos/${encodeURIComponent(id)}/clip?${query}`, clipName(name, part), signal);
  }

  async shots(video: string, signal: AbortSignal): Promise<readonly Stretch[]> {
    return (await this.#json<{ data: readonly Stretch[] }>('GET', `/v1/videos/${encodeURIComponent(video)}/shots`, undefined, signal)).data;
  }

  async #json<T>(method: 'GET' | 'POST', path: string, body: unknown, signal: AbortSignal): Promise<T> {
    const answer = await this.request(method, path, body, signal);
    const text = await answer.text();
    if (answer.status >= 200 && answer.status < 300) return JSON.parse(text) as T;
    throw new ToolError(messageOf(text) ?? `The server answered with status ${answer.status} and no reason.`);
  }
}

/** Not before the frame that begins there: a time that is rounded down would show the one before as well. */
function millisecond(seconds: number): string {
  return (Math.ceil(seconds * 1000) / 1000).toFixed(3);
}

function messageOf(text: string): string | null {
  try {
    return (JSON.parse(text) as ErrorBody).error.message;
  } catch {
    return null;
  }
}
