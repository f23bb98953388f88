/**
 * Questions about the answer before: "Are you sure?" and "Why?". The language model would agree or make something up; what is said instead is
 * what speaks for that answer: how likely it is right, what the vision tower recognizes, and which moment is most like its words.
 */
import type { ChatModel } from './chat-model.js';
import { confidenceBy, testimonyFor, withoutDoubt, type Confidence } from './confidence.js';
import { focusOf, lastShown, lastText, videosOf } from './focus.js';
import type { ChatMessage } from './messages.js';
import { place, withoutOpening, type MomentAnnotation, type MomentFinder } from './moments.js';
import { askedMoment } from './when.js';

const CONNECTION = '(?:(?:and|but|so|ok|okay|hm+|really)[,.?!]* )*';
const SURE = new RegExp(
  `^${CONNECTION}(?:are you (?:really |quite |very |absolutely |100% )?(?:sure|certain|positive|confident)(?: (?:about|of) (?:that|this|it|your answer))?` +
    '|(?:is|was) (?:that|this|it) (?:really |actually )?(?:right|correct|true|so)|really|sure|how (?:sure|certain|confident) are you(?: (?:about|of) (?:that|this|it))?)$',
);
const WHY = new RegExp(
  `^${CONNECTION}(?:why(?: (?:is that|so|do you (?:think|say|believe) (?:so|that|this|it)))?|how (?:do|can|could) you (?:know|tell|be sure)(?: (?:that|this|it))?` +
    '|what makes you (?:think|say|believe) (?:so|that|this|it))$',
);
/** Chance of being right from which an answer is stood by. */
const FAIRLY_SURE = 0.75;

export interface FollowUp {
  readonly asks: 'sure' | 'why';
  /** The conversation up to the question that was answered. */
  readonly asked: readonly ChatMessage[];
  /** The model's words, without what was said of seconds and doubts. */
  readonly answer: string;
}

/** The last message as a question about an answer; null where it asks something else, or no answer about a video stands before it. */
export function followUpOf(messages: readonly ChatMessage[]): FollowUp | null {
  const asks = kindOf(lastText(messages));
  if (asks === null) return null;
  let end = messages.length - 1;
  // "Are you sure?" and then "Why?": both are about the answer before them.
  while (end >= 2 && kindOf(lastText(messages.slice(0, end - 1))) !== null) end -= 2;
  const asked = messages.slice(0, end - 1);
  const answer = withoutOpening(withoutDoubt(lastText(messages.slice(0, end))));
  if (messages[end - 1]?.role !== 'assistant' || answer === '' || lastShown(asked).length === 0) return null;
  return { asks, asked, answer };
}

function kindOf(question: string): FollowUp['asks'] | null {
  const text = question.trim().toLowerCase().replace(/\s+/g, ' ').replace(/[\s?.!]+$/, '');
  return SURE.test(text) ? 'sure' : WHY.test(text) ? 'why' : null;
}

/** @returns null for a pack that cannot judge its answers, and where nothing speaks for this one: the language model answers then */
export async function replyToFollowUp(
  chat: ChatModel,
  finder: MomentFinder | null,
  { asks, asked, answer }: FollowUp,
  { signal }: { readonly signal?: AbortSignal },
): Promise<{ readonly text: string; readonly annotations: readonly MomentAnnotation[] } | null> {
  const config = chat.confidence;
  if (config === null) return null;
  const testimony = await testimonyFor(chat, finder, asShown(chat, asked), answer, signal === undefined ? {} : { signal });
  if (testimony === null) return null;
  const reasons = await reasonsFor(chat, finder, asked, answer);
  const opening = asks === 'why' ? 'I go by what the frames show.' : standing(confidenceBy(config, testimony));
  return { text: [opening, ...reasons.sentences].join(' '), annotations: reasons.annotations };
}

function standing({ probability, doubtful, missing }: Confidence): string {
  if (missing !== null) return `No: I do not see a ${missing} here.`;
  if (doubtful) return 'No, I am not sure of it.';
  return probability >= FAIRLY_SURE ? 'Yes, I am fairly sure.' : 'I think so, but I may be wrong.';
}

/** The question as the language model was asked it. */
function asShown(chat: ChatModel, asked: readonly ChatMessage[]): readonly ChatMessage[] {
  const focused = focusOf(asked, chat.defaultQuestion)?.messages ?? asked;
  const last = focused.at(-1);
  if (last === undefined || askedMoment(lastText(focused)) === null) return focused;
  const shown = last.content.filter(({ type }) => type === 'video');
  return [...focused.slice(0, -1), { role: last.role, content: [...shown, { type: 'text', text: chat.defaultQuestion }] }];
}

async function reasonsFor(
  chat: ChatModel,
  finder: MomentFinder | null,
  asked: readonly ChatMessage[],
  answer: string,
): Promise<{ readonly sentences: readonly string[]; readonly annotations: readonly MomentAnnotation[] }> {
  const names = lastShown(asked).flatMap((video) => chat.recognized(video)).map(({ name }) => name);
  const recognized = names.length === 0 ? [] : [`I recognize: ${[...new Set(names)].join(', ')}.`];
  const videos = videosOf(asked);
  const video = videos.at(-1);
  const told = /\p{L}{2}/u.test(answer) && !/^(?:yes|no)\b/i.test(answer) ? answer : lastText(asked);
  if (finder === null || video === undefined || !/\p{L}{2}/u.test(told)) return { sentences: recognized, annotations: [] };
  const [best] = (await finder.find(video, await finder.query(told))).moments;
  if (best === undefined) return { sentences: recognized, annotations: [] };
  const { start_s, end_s, score } = best;
  const nearest = `What is most like it is ${place(video, best, videos)}.`;
  return { sentences: [...recognized, nearest], annotations: [{ type: 'moment', video: video.id, start_s, end_s, score }] };
}
