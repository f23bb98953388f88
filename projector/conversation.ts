/**
 * What of a long conversation the model is shown, and where its videos are. A turn is a message of the user's with the answer to it. The newest turn,
 * the system text and the videos stay; of the other turns the oldest are left out as soon as not all fit.
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
  /** Tokens that a video takes. */
  videoTokens(video: VideoPart): number;
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
 * Tokens of talk between a video and the newest question from which on the video is shown beside the question instead. Of what is further away a
 * small model tells little: after 300 tokens of talk the default pack no longer knew the cat of its demo video, beside the question it did
 * after 3,600.
 */
const FAR = 200;

/**
 * The prompt of a conversation: all of it, or without the oldest turns. Videos that were shown long before the newest question are shown beside it,
 * others of turns that are left out in the first turn that is kept. Where not even the newest turn fits beside all videos, those shown first are
 * left out.
 * @throws ContextError when the newest message does not fit with the system text and its own videos
 */
export function fitConversation<Prompt>(told: readonly ChatMessage[], shown: Shown<Prompt>): readonly Prompt[] {
  const { context, answer, shortest, tokensOf, build } = shown;
  const starts = turnStarts(told);
  const newest = starts.at(-1) ?? 0;
  const messages = besideQuestion(told, newest, shown);
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
  if (prompt.length + shortest <= context) return prompt;
  const own = videosIn(told[newest]).map(({ id }) => id);
  const earlier = told.slice(0, newest).flatMap(videosIn).map(({ id }) => id).filter((id) => !own.includes(id));
  return withoutOldVideos(messages, newest, [...new Set(earlier)], shown);
}

/** The conversation with videos that were shown long before message `newest` moved there. */
function besideQuestion<Prompt>(messages: readonly ChatMessage[], newest: number, { tokensOf, videoTokens }: Shown<Prompt>): readonly ChatMessage[] {
  const near = new Set(videosIn(messages[newest]).map(({ id }) => id));
  const far = new Set<string>();
  let between = 0;
  for (const message of messages.slice(0, newest).reverse()) {
    between += textsOf(message).reduce((sum, text) => sum + tokensOf(text), 0);
    for (const video of videosIn(message)) {
      // Beside each question it is read anew: that is worth it where what lies between is more.
      if (between < Math.max(FAR, videoTokens(video))) near.add(video.id);
      else if (!near.has(video.id)) far.add(video.id);
    }
  }
  if (far.size === 0) return messages;
  const moved = new Map(messages.slice(0, newest).flatMap(videosIn).filter(({ id }) => far.has(id)).map((video) => [video.id, video]));
  return messages.map((message, index) => {
    const content = message.content.filter((part) => part.type !== 'video' || !far.has(part.id));
    return index === newest ? { ...message, content: [...moved.values(), ...content] } : { ...message, content };
  });
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
function from(messages: readonly ChatMessage[], start: number): ChatMessage[] {
  const kept = messages.filter(({ role }, index) => index >= start || role === 'system');
  const own = new Set(kept.flatMap(videosIn).map(({ id }) => id));
  const carried = new Map(messages.slice(0, start).flatMap(videosIn).filter(({ id }) => !own.has(id)).map((video) => [video.id, video]));
  const first = messages[start];
  return kept.map((message) => (message === first ? { ...message, content: [...carried.values(), ...message.content] } : message));
}

function videosIn(message: ChatMessage | undefined): VideoPart[] {
  return message?.content.flatMap((part) => (part.type === 'video' ? [part] : [])) ?? [];
}

/** The newest turn alone, without as many of the videos `earlier`, the first ones first, as do not fit. */
function withoutOldVideos<Prompt>(messages: readonly ChatMessage[], newest: number, earlier: readonly string[], { context, shortest, build }: Shown<Prompt>): readonly Prompt[] {
  const turn = from(messages, newest);
  for (let count = 0; ; count++) {
    const leftOut = new Set(earlier.slice(0, count));
    const prompt = build(turn.map((message) => ({ ...message, content: message.content.filter((part) => part.type !== 'video' || !leftOut.has(part.id)) })));
    if (prompt.length + shortest <= context) return prompt;
    if (count >= earlier.length) throw new ContextError(prompt.length + shortest, context, 'the newest message, with its videos and the system text,');
  }
}
