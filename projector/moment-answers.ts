/**
 * Answers with moments. Asked when something is seen, the latents are scored against the question's words, and the answer begins with the
 * seconds that were found. Asked about a part of the video ("at 0:30", "at the end"), the answer begins with that part's seconds. Both times the
 * language model is shown those frames alone and says what is seen there; it never writes the seconds, which it would often get wrong.
 */
import { videoEnd } from '../model/retrieval/moments.js';
import type { Moment } from '../model/retrieval/index.js';
import { captionSearch, type Likeness } from './captions.js';
import type { ChatModel, ReplyOptions, ReplyResult } from './chat-model.js';
import { confidenceBy, doubtOf, testimonyFor, type Confidence } from './confidence.js';
import { cutVideo } from './cut.js';
import { asksWhatIsSeen, focusOf, lastText, videosOf } from './focus.js';
import { followUpOf, replyToFollowUp } from './follow-ups.js';
import { isForeign, languageNotice } from './language.js';
import type { ChatMessage, VideoPart } from './messages.js';
import { place, type MomentAnnotation, type MomentFinder } from './moments.js';
import { askedSpan, capital } from './span.js';
import { askedMoment } from './when.js';

export interface AnnotatedReply extends ReplyResult {
  /** Every moment that the text names, in order of time; none for answers that do not say when. */
  readonly annotations: readonly MomentAnnotation[];
  /** How likely what is said is right; null where no video stands behind it, in a form, and for a pack that has not learned to judge. */
  readonly confidence: Confidence | null;
}

export interface AnswerOptions extends ReplyOptions {
  /** Whether an answer that is probably wrong says so in words. Default: yes. */
  readonly sayDoubt?: boolean;
}

/** A reply with what is thought of it. */
type Judged = ReplyResult & Pick<AnnotatedReply, 'confidence'>;

/** A moment of one of the videos. */
interface Hit {
  readonly part: VideoPart;
  readonly moment: Moment;
  /** How far its cosine lies above that video's own threshold for a match, and whether it may be one. */
  readonly above: number;
  readonly possible: boolean;
}

/** Moments an answer names at most, and how far below the best one's cosine they may lie: further down they are probably something else. */
const MOST_NAMED = 3;
const NEARLY_AS_GOOD = 0.04;

/** Whether a question is about a time, for which more of a video's frames are needed than a prompt shows. */
export function asksAboutTime(question: string): boolean {
  return askedMoment(question) !== null || askedSpan(question) !== null;
}

/**
 * As ChatModel.reply, with annotations. A form (options.grammar) leaves no room for seconds: an answer in one has none. Where the pack's own question for a
 * caption is asked, which is also what is asked of a part, a caption is searched for, unless `beams` says otherwise.
 * @param finder null: nothing is looked for
 */
export async function* replyWithMoments(
  chat: ChatModel,
  finder: MomentFinder | null,
  messages: readonly ChatMessage[],
  options: AnswerOptions = {},
): AsyncGenerator<{ text: string }, AnnotatedReply> {
  const videos = videosOf(messages);
  const formed = options.grammar !== undefined;
  const { languages } = chat;
  if (languages !== null && !formed && (await isForeign(lastText(messages), languages))) return yield* say(languageNotice(languages));
  const followUp = formed ? null : followUpOf(messages);
  const told = followUp === null ? null : await replyToFollowUp(chat, finder, followUp, options);
  if (told !== null) return yield* say(told.text, told.annotations);
  const words = formed || finder === null || videos.length === 0 ? null : askedMoment(lastText(messages));
  if (finder !== null && words !== null) return yield* replyWhen(chat, finder, words, messages, options);

  const focus = focusOf(messages, chat.defaultQuestion);
  if (focus === null || formed) return { ...(yield* replyOrCaption(chat, finder, focus?.messages ?? messages, options)), annotations: [] };
  const { video, stretch, words: named } = focus;
  if (stretch === null) {
    const which = videos.length > 1 ? `Video ${videos.indexOf(video) + 1}` : 'The video';
    return yield* say(`${which} ends at ${videoEnd(video).toFixed(1)} s: there is nothing ${named}.`);
  }
  const opening = `${capital(place(video, stretch, videos))}: `;
  const annotation = { type: 'moment', video: video.id, start_s: stretch.start_s, end_s: stretch.end_s } as const;
  return yield* replyAfter(opening, performance.now(), [annotation], replyOrCaption(chat, finder, focus.messages, options));
}

/** An answer that needs no model. */
async function* say(text: string, annotations: readonly MomentAnnotation[] = []): AsyncGenerator<{ text: string }, AnnotatedReply> {
  yield { text };
  const usage = { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 };
  return { text, finish: 'stop', usage, seconds: { first_token: 0, total: 0 }, annotations, confidence: null };
}

/** Looks for what a question asks the time of, and says what is seen at the best place. */
async function* replyWhen(
  chat: ChatModel,
  finder: MomentFinder,
  words: string,
  messages: readonly ChatMessage[],
  options: AnswerOptions,
): AsyncGenerator<{ text: string }, AnnotatedReply> {
  const started = performance.now();
  const videos = videosOf(messages);
  const query = await finder.query(words);
  const hits: Hit[] = [];
  for (const part of videos) {
    options.signal?.throwIfAborted();
    const { moments, match, possible } = await finder.find(part, query);
    hits.push(...moments.map((moment) => ({ part, moment, above: moment.score - match, possible: moment.score >= possible })));
  }
  hits.sort((a, b) => b.above - a.above);
  const best = hits[0] as Hit;
  const found = hits.slice(0, MOST_NAMED).filter(({ above }) => above >= 0 && above >= best.above - NEARLY_AS_GOOD);
  found.sort((a, b) => videos.indexOf(a.part) - videos.indexOf(b.part) || a.moment.start_s - b.moment.start_s);

  const named = found.length > 0 ? found : [best];
  const where = named.map(({ part, moment }) => place(part, moment, videos)).join(', and ');
  const opening = found.length > 0 ? `${capital(where)}: ` : best.possible ? `Perhaps ${where}: ` : `I do not find that in the video. What comes nearest is ${where}: `;
  const annotations = named.map(({ part, moment: { start_s, end_s, score } }): MomentAnnotation => ({ type: 'moment', video: part.id, start_s, end_s, score }));
  const system = messages.filter(({ role }) => role === 'system');
  const shown: ChatMessage = { role: 'user', content: [cutVideo(best.part, best.moment), { type: 'text', text: chat.defaultQuestion }] };
  return yield* replyAfter(opening, started, annotations, replyOrCaption(chat, finder, [...system, shown], options));
}

/** Searches for a caption where one is asked for, and judges what was answered. */
async function* replyOrCaption(
  chat: ChatModel,
  towers: Likeness | null,
  messages: readonly ChatMessage[],
  options: AnswerOptions,
): AsyncGenerator<{ text: string }, Judged> {
  const written = options.beams !== undefined || options.grammar !== undefined || (options.temperature ?? 0) > 0;
  const captioned = !written && towers !== null && asksWhatIsSeen(messages, chat.defaultQuestion);
  const told = yield* chat.reply(messages, captioned ? { ...options, ...captionSearch(towers) } : options);
  const config = chat.confidence;
  if (config === null || options.grammar !== undefined || told.finish !== 'stop') return { ...told, confidence: null };
  const testimony = await testimonyFor(chat, towers, messages, told.text, options.signal === undefined ? {} : { signal: options.signal });
  const confidence = testimony === null ? null : confidenceBy(config, testimony);
  const doubt = confidence === null || options.sayDoubt === false ? '' : doubtOf(confidence);
  if (doubt !== '') yield { text: doubt };
  return { ...told, text: told.text + doubt, confidence };
}

/** A reply behind an opening that is there at once. */
async function* replyAfter(
  opening: string,
  started: number,
  annotations: readonly MomentAnnotation[],
  reply: AsyncGenerator<{ text: string }, Judged>,
): AsyncGenerator<{ text: string }, AnnotatedReply> {
  yield { text: opening };
  const opened = performance.now();
  const told = yield* reply;
  const seconds = { first_token: (opened - started) / 1000, total: (performance.now() - started) / 1000 };
  return { ...told, text: opening + told.text, seconds, annotations };
}
