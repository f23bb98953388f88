/**
 * Answers with moments: asked when something is seen, the latents are scored against the question's words, and the answer begins with the
 * seconds that were found. The language model then says what is seen there; it never writes the seconds, which it would often get wrong.
 */
import type { FoundMoments, Moment, SearchableVideo } from '../model/retrieval/index.js';
import type { ChatModel, ReplyOptions, ReplyResult } from './chat-model.js';
import { cutVideo } from './cut.js';
import type { ChatMessage, VideoPart } from './messages.js';
import { askedMoment } from './when.js';

/** A moment an answer speaks of. */
export interface MomentAnnotation {
  readonly type: 'moment';
  /** Id of the video part. */
  readonly video: string;
  readonly start_s: number;
  readonly end_s: number;
  /** Cosine of its frames with the question's words. */
  readonly score: number;
}

export interface AnnotatedReply extends ReplyResult {
  /** Every moment that the text names, in order of time; none for answers that do not say when. */
  readonly annotations: readonly MomentAnnotation[];
}

export interface MomentFinder {
  find(video: SearchableVideo, words: string): Promise<FoundMoments>;
}

interface Hit {
  readonly part: VideoPart;
  readonly moment: Moment;
}

/** Moments an answer names at most, and how far below the best one's cosine they may lie: further down they are probably something else. */
const MOST_NAMED = 3;
const NEARLY_AS_GOOD = 0.04;

/**
 * As ChatModel.reply, with annotations.
 * @param finder null: no answer has moments
 */
export async function* replyWithMoments(
  chat: ChatModel,
  finder: MomentFinder | null,
  messages: readonly ChatMessage[],
  options: ReplyOptions = {},
): AsyncGenerator<{ text: string }, AnnotatedReply> {
  const videos = videosOf(messages);
  const words = finder === null || videos.length === 0 ? null : askedMoment(lastText(messages));
  if (finder === null || words === null) return { ...(yield* chat.reply(messages, options)), annotations: [] };

  const started = performance.now();
  const hits: Hit[] = [];
  let thresholds = { match: Infinity, possible: Infinity };
  for (const part of videos) {
    options.signal?.throwIfAborted();
    const found = await finder.find(part, words);
    thresholds = found;
    hits.push(...found.moments.map((moment) => ({ part, moment })));
  }
  hits.sort((a, b) => b.moment.score - a.moment.score);
  const best = hits[0] as Hit;
  const { match, possible } = thresholds;
  const found = hits.slice(0, MOST_NAMED).filter(({ moment: { score } }) => score >= match && score >= best.moment.score - NEARLY_AS_GOOD);
  found.sort((a, b) => videos.indexOf(a.part) - videos.indexOf(b.part) || a.moment.start_s - b.moment.start_s);

  const named = found.length > 0 ? found : [best];
  const where = named.map((hit) => place(hit, videos)).join(', and ');
  const opening = found.length > 0 ? `${capital(where)}: ` : best.moment.score >= possible ? `Perhaps ${where}: ` : `I do not find that in the video. What comes nearest is ${where}: `;
  yield { text: opening };
  const opened = performance.now();
  const system = messages.filter(({ role }) => role === 'system');
  const shown: ChatMessage = { role: 'user', content: [cutVideo(best.part, best.moment), { type: 'text', text: chat.defaultQuestion }] };
  const told = yield* chat.reply([...system, shown], options);
  const annotations = named.map(({ part, moment: { start_s, end_s, score } }): MomentAnnotation => ({ type: 'moment', video: part.id, start_s, end_s, score }));
  const seconds = { first_token: (opened - started) / 1000, total: (performance.now() - started) / 1000 };
  return { ...told, text: opening + told.text, seconds, annotations };
}

/** The videos of a conversation that have more than one moment, each once. */
function videosOf(messages: readonly ChatMessage[]): VideoPart[] {
  const videos = new Map<string, VideoPart>();
  for (const { content } of messages) for (const part of content) if (part.type === 'video' && part.times_s.length > 1) videos.set(part.id, part);
  return [...videos.values()];
}

function lastText(messages: readonly ChatMessage[]): string {
  const texts = messages.at(-1)?.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])) ?? [];
  return texts.at(-1) ?? '';
}

function place({ part, moment }: Hit, videos: readonly VideoPart[]): string {
  const which = videos.length > 1 ? `in video ${videos.indexOf(part) + 1} ` : '';
  return `${which}from ${moment.start_s.toFixed(1)} s to ${moment.end_s.toFixed(1)} s`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
