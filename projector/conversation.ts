/**
 * Which turns of a long conversation the model is shown. A turn is a message of the user's with the answer to it. The newest turn, the system
 * text and the videos stay; of the other turns the oldest are left out as soon as not all fit.
 */
import { ContextError } from '../model/language/index.js';
import { firstKept } from './first-kept.js';
import type { ChatMessage, VideoPart } from './messages.js';

/** Neighboring messages of one role as one, as chat templates want them; where an answer was cancelled, questions follow each other. */
export function joinNeighbors(messages: readonly ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = [];
  for (const message of messages) {
    const before = joined.at(-1);
    if (before?.role === message.role) joined[joined.length - 1] = { ...before, content: [...before.content, ...message.content] };
    else joined.push(message);
  }
  return joined;
}

/** What one language model can be shown. */
export interface Shown<Prompt> {
  /** Tokens of prompt and answer together. */
  readonly context: number;
  /** Tokens that an answer may have: room that old turns do not get. */
  readonly answer: number;
  /** Tokens that are left for an answer in any case. */
  readonly shortest: number;
  /** How many tokens a text has, without those that a template puts around it. Asked again for the same texts with each question. */
  tokensOf(text: string): number;
  /** The whole prompt of messages. */
  build(messages: readonly ChatMessage[]): readonly Prompt[];
}

/** Of the context, at most this part is kept free for the answer: a long answer is not worth more than what it is about. */
const LARGEST_ANSWER_SHARE = 1 / 2;
/**
 * Of the context, this part is left out at once. Everything after a new beginning is read anew: with a smaller part that happens more often,
 * with a larger one the model remembers less.
 */
const STEP_SHARE = 1 / 2;

/**
 * The prompt of a conversation: all of it, or without the oldest turns. Videos of turns that are left out move to the first turn that is kept. Where
 * not even the newest turn fits beside all videos, those shown first are left out.
 * @throws ContextError when the newest message does not fit with the system text and its own videos
 */
export function fitConversation<Prompt>(messages: readonly ChatMessage[], shown: Shown<Prompt>): readonly Prompt[] {
  const { context, answer, shortest, tokensOf, build } = shown;
  const starts = turnStarts(messages);
  const prompts = new Map<number, readonly Prompt[]>();
  const promptFrom = (turn: number): readonly Prompt[] => {
    const prompt = prompts.get(turn) ?? build(from(messages, starts[turn] ?? 0));
    prompts.set(turn, prompt);
    return prompt;
  };
  const most = context - Math.max(shortest, Math.min(answer, Math.floor(context * LARGEST_ANSWER_SHARE)));
  const texts = starts.map((start, turn) => messages.slice(start, starts[turn + 1]).flatMap(textsOf).reduce((sum, text) => sum + tokensOf(text), 0));
  const fits = (turn: number): boolean => texts.slice(turn).reduce((sum, tokens) => sum + tokens, 0) <= most && promptFrom(turn).length <= most;
  const prompt = promptFrom(firstKept(texts, context * STEP_SHARE, fits));
  return prompt.length + shortest <= context ? prompt : withoutOldVideos(messages, starts.at(-1) ?? 0, shown);
}

/** Indices of the messages that turns begin with: each message of the user's, and the first one that is not the system's. */
function turnStarts(messages: readonly ChatMessage[]): number[] {
  const starts: number[] = [];
  for (const [index, { role }] of messages.entries()) if (role === 'user' || (role === 'assistant' && starts.length === 0)) starts.push(index);
  return starts;
}

function textsOf({ content }: ChatMessage): string[] {
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
}

/** The conversation from message `start` on, with the system's messages before it and the videos that only messages before it show. */
function from(messages: readonly ChatMessage[], start: number, leftOut: ReadonlySet<string> = new Set()): ChatMessage[] {
  if (start === 0) return [...messages];
  const kept = messages.filter(({ role }, index) => index >= start || role === 'system');
  const own = new Set(kept.flatMap(videosIn).map(({ id }) => id));
  const carried = new Map<string, VideoPart>();
  for (const message of messages.slice(0, start)) for (const video of videosIn(message)) if (!own.has(video.id) && !leftOut.has(video.id)) carried.set(video.id, video);
  const first = messages[start];
  return kept.map((message) => (message === first ? { ...message, content: [...carried.values(), ...message.content] } : message));
}

function videosIn({ content }: ChatMessage): VideoPart[] {
  return content.flatMap((part) => (part.type === 'video' ? [part] : []));
}

/** The newest turn alone, with as many of the videos shown last as fit. */
function withoutOldVideos<Prompt>(messages: readonly ChatMessage[], last: number, { context, shortest, build }: Shown<Prompt>): readonly Prompt[] {
  const earlier = new Set(messages.slice(0, last).flatMap(videosIn).map(({ id }) => id));
  const leftOut = new Set<string>();
  for (;;) {
    const prompt = build(from(messages, last, leftOut));
    if (prompt.length + shortest <= context) return prompt;
    const next = [...earlier].find((id) => !leftOut.has(id));
    if (next === undefined) throw new ContextError(prompt.length + shortest, context, 'the newest message, with its videos and the system text,');
    leftOut.add(next);
  }
}
