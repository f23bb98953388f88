/** A conversation whose last question names a part of a video, as one about that part alone. */
import { cutVideo } from './cut.js';
import type { ChatMessage, VideoPart } from './messages.js';
import { askedSpan, stretchOf, type Stretch } from './span.js';

export interface Focus {
  readonly video: VideoPart;
  /** The part; null where the question is about seconds after the video's end. */
  readonly stretch: Stretch | null;
  /** How the question names it. */
  readonly words: string;
  /** What to ask instead. */
  readonly messages: readonly ChatMessage[];
}

/**
 * null where the last message names no part of a video, or only photos are shown. Of several videos the one shown last is meant.
 * @param defaultQuestion what is asked where the question asks for nothing but what is seen then
 */
export function focusOf(messages: readonly ChatMessage[], defaultQuestion: string): Focus | null {
  const video = videosOf(messages).at(-1);
  const asked = video === undefined ? null : askedSpan(lastText(messages));
  if (video === undefined || asked === null) return null;
  const stretch = stretchOf(video, asked.span);
  if (stretch === null) return { video, stretch, words: asked.words, messages };
  const cut = cutVideo(video, stretch);
  const question = { type: 'text', text: asked.rest ?? defaultQuestion } as const;
  const system = messages.filter(({ role }) => role === 'system');
  const told = messages.slice(0, -1).filter(({ role }) => role !== 'system');
  // What was said of other parts is kept for the words of a question ("What color is it at the end?"); to see what is there it would mislead.
  if (asked.rest === null || told.length === 0) return { video, stretch, words: asked.words, messages: [...system, { role: 'user', content: [cut, question] }] };
  const isVideo = (part: ChatMessage['content'][number]): boolean => part.type === 'video' && part.id === video.id;
  const history = told.map(({ role, content }) => ({ role, content: content.map((part) => (isVideo(part) ? cut : part)) }));
  const shown = history.some(({ content }) => content.includes(cut)) ? [] : [cut];
  return { video, stretch, words: asked.words, messages: [...system, ...history, { role: 'user', content: [...shown, question] }] };
}

/** The videos of a conversation that have more than one moment, each once. */
export function videosOf(messages: readonly ChatMessage[]): VideoPart[] {
  const videos = new Map<string, VideoPart>();
  for (const { content } of messages) for (const part of content) if (part.type === 'video' && part.times_s.length > 1) videos.set(part.id, part);
  return [...videos.values()];
}

/** The videos of the last message that has any, photos too: of several in a conversation, it is about these. */
export function lastShown(messages: readonly ChatMessage[]): VideoPart[] {
  const shown = messages.map(({ content }) => content.flatMap((part) => (part.type === 'video' ? [part] : [])));
  return shown.findLast((parts) => parts.length > 0) ?? [];
}

/** The words of the last message. */
export function lastText(messages: readonly ChatMessage[]): string {
  const texts = messages.at(-1)?.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])) ?? [];
  return texts.at(-1) ?? '';
}

/** Whether a conversation's last message asks for nothing but what is seen: it is the pack's own question for a caption. */
export function asksWhatIsSeen(messages: readonly ChatMessage[], defaultQuestion: string): boolean {
  return lastText(messages) === defaultQuestion;
}
