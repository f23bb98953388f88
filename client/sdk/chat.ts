import { LatentChatError } from './errors.js';
import { connectionLost, type RealtimeSocket } from './realtime.js';
import type { ClientEvent, Conversation, Item, ResponseObject, ServerEvent } from './types.js';

export interface ChatOptions {
  /**
   * Aborting cancels the answer on the server; the iteration throws the signal's reason and what was yielded stays valid.
   * Leaving the iteration early cancels too.
   */
  readonly signal?: AbortSignal;
  /** Id of a stored conversation to go on with. Default: a new one; its id is in the response that is returned. */
  readonly conversation?: string;
  /** Most tokens of the answer. Default: the server's. */
  readonly maxTokens?: number;
}

/** Where an answer stands: enough to go on with it on another connection. */
interface Progress {
  asked: boolean;
  conversation: string | null;
  response: ResponseObject | null;
  itemId: string | null;
  /** What was yielded so far. */
  text: string;
}

/**
 * Asks a question over a socket of its own and yields the answer. When the connection breaks in the middle, the socket
 * connects again, and the answer goes on where it was: the server writes it to its end and keeps it meanwhile.
 */
export async function* askOver(socket: RealtimeSocket, videoId: string, question: string, options: ChatOptions): AsyncGenerator<string, ResponseObject, undefined> {
  const { signal } = options;
  const progress: Progress = { asked: false, conversation: options.conversation ?? null, response: null, itemId: null, text: '' };
  // The server finishes and keeps an answer whose socket closes: one that nobody waits for must be cancelled first.
  const cancel = async (): Promise<void> => {
    await socket.send({ type: 'response.cancel', ...placeOf(progress) }).catch(() => undefined);
    socket.close();
  };
  const abort = (): void => void cancel();
  signal?.addEventListener('abort', abort, { once: true });
  let done = false;
  try {
    for await (const event of socket) {
      signal?.throwIfAborted();
      if (event.type === 'error') {
        done = true;
        throw new LatentChatError(event.error);
      }
      if (event.type === 'session.created') await sendAll(socket, opening(event, progress, videoId, question, options));
      const { pieces, response } = follow(event, progress);
      for (const piece of pieces) yield piece;
      if (!response) continue;
      done = true;
      return finished(response);
    }
    signal?.throwIfAborted();
    throw connectionLost();
  } finally {
    signal?.removeEventListener('abort', abort);
    if (done) socket.close();
    else await cancel();
  }
}

/** What a new connection begins with: the question, or, where it was asked before, a look at what became of it. */
function opening(
  event: ServerEvent & { type: 'session.created' },
  progress: Progress,
  videoId: string,
  question: string,
  { conversation, maxTokens }: ChatOptions,
): ClientEvent[] {
  if (progress.response) return [{ type: 'conversation.retrieve', ...placeOf(progress) }];
  // The connection broke before the server had heard of the question: whether it has cannot be known.
  if (progress.asked) throw connectionLost();
  progress.asked = true;
  progress.conversation ??= event.conversation.id;
  const place = placeOf(progress);
  const content = [{ type: 'input_video', video_id: videoId } as const, { type: 'input_text', text: question } as const];
  return [
    ...(conversation === undefined ? [] : [{ type: 'conversation.retrieve', ...place } as const]),
    { type: 'conversation.item.create', ...place, item: { type: 'message', role: 'user', content } },
    { type: 'response.create', ...place, response: maxTokens === undefined ? {} : { max_output_tokens: maxTokens } },
  ];
}

/** Takes an event in: gives the text it brings, and the response once it has ended. */
function follow(event: ServerEvent, progress: Progress): { pieces: string[]; response: ResponseObject | null } {
  const nothing = { pieces: [], response: null };
  switch (event.type) {
    case 'response.created':
      // Another client may answer in the same conversation, but only one answer is written at a time.
      if (event.response.conversation === progress.conversation) progress.response ??= event.response;
      return nothing;
    case 'conversation.item.added':
      if (progress.response && event.conversation === progress.conversation && event.item.role === 'assistant') progress.itemId ??= event.item.id;
      return nothing;
    case 'response.output_text.delta':
      if (event.response_id !== progress.response?.id) return nothing;
      progress.text += event.delta;
      return { pieces: [event.delta], response: null };
    case 'response.done':
      return { pieces: [], response: event.response.id === progress.response?.id ? event.response : null };
    case 'conversation.retrieved':
      return progress.response && event.conversation.id === progress.conversation ? resumed(event.conversation, progress, progress.response) : nothing;
    default:
      return nothing;
  }
}

/** After a reconnect: what was written meanwhile, and the response where it has ended meanwhile. */
function resumed(conversation: Conversation, progress: Progress, response: ResponseObject): { pieces: string[]; response: ResponseObject | null } {
  const item = conversation.items.find(({ id }) => id === progress.itemId);
  // The server was killed: the question is kept, the answer is not.
  if (!item) throw connectionLost();
  const text = textOf(item);
  const pieces = text.length > progress.text.length ? [text.slice(progress.text.length)] : [];
  progress.text = text;
  if (conversation.response?.id === response.id) return { pieces, response: null };
  return { pieces, response: { ...response, output: [item], status: item.status === 'completed' ? 'completed' : 'incomplete' } };
}

function textOf(item: Item): string {
  return item.content.map((part) => (part.type === 'output_text' ? part.text : '')).join('');
}

function placeOf({ conversation }: Progress): { conversation: string } {
  // Set by the first event of the socket, before anything is sent.
  return { conversation: conversation ?? '' };
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
