/** One answer from any server that speaks OpenAI's chat completions. */
import { setTimeout as wait } from 'node:timers/promises';
import { UserError } from './failure.js';

export interface ChatService {
  /** Address that `/chat/completions` is added to, such as `http://127.0.0.1:7860/v1`. */
  readonly baseUrl: string;
  /** Sent as a bearer token; never part of a message or a report. */
  readonly key: string | null;
}

export type ChatContent = string | readonly ({ readonly type: 'text'; readonly text: string } | { readonly type: 'video_url'; readonly video_url: { readonly url: string } })[];

export interface ChatRequest {
  readonly model?: string;
  readonly messages: readonly { readonly role: 'system' | 'user' | 'assistant'; readonly content: ChatContent }[];
  readonly max_tokens: number;
  readonly temperature: number;
  readonly seed: number;
  /** Of a latentchat server: search for a caption. */
  readonly caption?: boolean;
}

/** A request that the server refused, or that it did not answer. */
export class ChatServiceError extends UserError {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Pauses in milliseconds before a request that was told to come later, or got no answer, is sent again. */
const PAUSES_MS = [500, 2000, 5000, 15_000];
/** A Retry-After beyond this is not waited for. */
const LONGEST_PAUSE_MS = 60_000;
/** An answer of a few sentences has some kilobytes. */
const MAX_ANSWER_CHARS = 1024 * 1024;
const TIMEOUT_MS = 600_000;

/**
 * @throws ChatServiceError saying what the server said, after several attempts where another may help
 * @throws the signal's reason when it is aborted
 */
export async function completeChat(service: ChatService, request: ChatRequest, signal: AbortSignal): Promise<{ text: string; tokens: number }> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await send(service, request, signal);
    if ('text' in outcome) return outcome;
    const pause = PAUSES_MS[attempt];
    if (!outcome.again || pause === undefined) throw outcome.error;
    await wait(Math.min(LONGEST_PAUSE_MS, Math.max(pause, outcome.after_ms)), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

type Outcome = { readonly text: string; readonly tokens: number } | { readonly error: ChatServiceError; readonly again: boolean; readonly after_ms: number };

async function send({ baseUrl, key }: ChatService, request: ChatRequest, signal: AbortSignal): Promise<Outcome> {
  const url = `${baseUrl.replace(/\/+$/, '')}/chat/completions`;
  let answer: Response;
  let body: string;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(request),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    body = await answer.text();
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : cause instanceof Error ? cause.message : String(cause);
    return { error: new ChatServiceError('connection_failed', `${url} did not answer: ${why}.`, { cause }), again: true, after_ms: 0 };
  }
  if (!answer.ok) {
    const after_ms = 1000 * (Number(answer.headers.get('retry-after')) || 0);
    const { code, message } = refusal(body);
    const error = new ChatServiceError(code ?? `http_${answer.status}`, `${url} answered ${answer.status}: ${message ?? answer.statusText}`);
    return { error, again: answer.status === 429 || answer.status >= 500, after_ms };
  }
  const text = body.length > MAX_ANSWER_CHARS ? null : contentOf(body);
  if (text !== null) return text;
  return { error: new ChatServiceError('bad_response', `${url} did not answer as OpenAI's chat completions do.`), again: false, after_ms: 0 };
}

function contentOf(body: string): { text: string; tokens: number } | null {
  const { choices, usage } = objectIn(body) as { choices?: readonly { message?: { content?: unknown } | null }[]; usage?: { completion_tokens?: unknown } | null };
  const text = Array.isArray(choices) ? (choices[0] as { message?: { content?: unknown } | null } | undefined)?.message?.content : undefined;
  const tokens = usage?.completion_tokens;
  return typeof text === 'string' ? { text, tokens: typeof tokens === 'number' ? tokens : 0 } : null;
}

function refusal(body: string): { code?: string; message?: string } {
  const { error } = objectIn(body) as { error?: { code?: unknown; message?: unknown } | null };
  return {
    ...(typeof error?.code === 'string' ? { code: error.code } : {}),
    ...(typeof error?.message === 'string' ? { message: error.message.slice(0, 500) } : {}),
  };
}

function objectIn(body: string): object {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
