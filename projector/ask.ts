/** One question about one video, or about nothing: the whole answer. */
import { canSearch } from '../model/retrieval/index.js';
import { captionSearch } from './captions.js';
import type { Models } from './library/models.js';
import type { ChatMessage, VideoPart } from './messages.js';
import { replyWithMoments, type AnnotatedReply, type AnswerOptions } from './moment-answers.js';
import type { MomentFinder } from './moments.js';

export interface AskOnceOptions extends AnswerOptions {
  /** Told the answer's text piece by piece, as it is written. */
  readonly onText?: (piece: string) => void;
}

/** What finds the moments that answers begin with, loaded when the first is asked for; null for a pack without retrieval towers. */
export function momentFinder(models: Pick<Models, 'pack' | 'search'>): MomentFinder | null {
  if (!canSearch(models.pack.manifest)) return null;
  return {
    query: async (words) => (await models.search()).query(words),
    find: async (video, query) => (await models.search()).find(video, query),
    likeness: async (videos, texts) => (await models.search()).likeness(videos, texts),
  };
}

/**
 * Asks one question and gives the whole answer; with a finder, one to when something is seen begins with the seconds.
 * @throws the signal's reason when it was aborted
 */
export function askOnce(
  models: Pick<Models, 'chat'>, video: VideoPart | null, question: string, options: AskOnceOptions, finder: MomentFinder | null = null,
): Promise<AnnotatedReply> {
  return replyTo(models, questionMessages(video, question), options, finder);
}

/** As askOnce, for the last of several messages. */
export async function replyTo(
  models: Pick<Models, 'chat'>, messages: readonly ChatMessage[], { onText, ...options }: AskOnceOptions, finder: MomentFinder | null,
): Promise<AnnotatedReply> {
  const reply = replyWithMoments(await models.chat(), finder, messages, options);
  for (;;) {
    const next = await reply.next();
    if (next.done !== true) {
      onText?.(next.value.text);
      continue;
    }
    if (next.value.finish === 'cancelled') options.signal?.throwIfAborted();
    return next.value;
  }
}

/** As askOnce, for a description: of what a search with beams finds, the one that is most like what is seen. */
export function captionOnce(
  models: Pick<Models, 'pack' | 'chat' | 'search'>, video: VideoPart | null, question: string, options: AskOnceOptions,
): Promise<AnnotatedReply> {
  return askOnce(models, video, question, { ...captionSearch(momentFinder(models)), sayDoubt: false, ...options });
}

/** The messages of a conversation that begins with this question. */
export function questionMessages(video: VideoPart | null, question: string): ChatMessage[] {
  return [{ role: 'user', content: [...(video === null ? [] : [video]), { type: 'text', text: question }] }];
}
