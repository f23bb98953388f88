/** Questions about videos, with the models of this program. */
import { jsonSchema, oneOf, type Grammar } from '../../model/language/index.js';
import { LinrVideo } from '../../model/video/linr-video.js';
import { momentFinder, replyTo } from '../ask.js';
import type { Confidence } from '../confidence.js';
import type { ChatMessage, VideoPart } from '../messages.js';
import { asksAboutTime, type AnnotatedReply, type AnswerOptions } from '../moment-answers.js';
import type { MomentAnnotation } from '../moments.js';
import { checkedVideo, framesToSearch, openAskable } from './askable.node.js';
import type { Models } from './models.js';
import { sharedModels, type ModelsOptions } from './shared-models.node.js';

/** What a question can be about: an opened video, the path of a container, a video or a photo, or latents. */
export type AskedVideo = LinrVideo | VideoPart | string;

export interface AskOptions extends ModelsOptions, Pick<AnswerOptions, 'maxTokens' | 'temperature' | 'topP' | 'seed' | 'stop' | 'beams' | 'sayDoubt'> {
  readonly signal?: AbortSignal;
  /** Told the answer's text piece by piece, as it is written. */
  readonly onText?: (piece: string) => void;
  /** Earlier questions and answers about the video, in turn. */
  readonly history?: readonly { readonly question: string; readonly answer: string }[];
  /** The answer is one of these texts. */
  readonly choices?: readonly string[];
  /** The answer is JSON under this JSON schema. Excludes `choices`. */
  readonly schema?: unknown;
}

export interface Answer {
  readonly text: string;
  /** The moments that the text names, in order of time. */
  readonly moments: readonly MomentAnnotation[];
  /** How likely the answer is right; null where nothing can be said about that. */
  readonly confidence: Confidence | null;
  /** Whether the answer came to its own end; false where `maxTokens` cut it short. */
  readonly complete: boolean;
  /** Tokens that were read and written. */
  readonly usage: AnnotatedReply['usage'];
  /** Seconds until the first words and until the end. */
  readonly seconds: AnnotatedReply['seconds'];
}

/**
 * Asks about one or several videos and gives the answer's text. Without a question: says what is seen.
 *
 * Runs of the models block the calling thread; in a server, call this in a worker.
 *
 * @throws as answer
 */
export async function ask(video: AskedVideo | readonly AskedVideo[], question?: string, options: AskOptions = {}): Promise<string> {
  return (await answer(video, question, options)).text;
}

/**
 * As ask, with all that is known of the answer: the moments it names, how likely it is right, what it cost.
 *
 * @throws FrameSourceError or ContainerError naming a file that cannot be used
 * @throws PromptError `wrong_pack` for a video that was encoded for another model pack; PackError for a pack that cannot be used
 * @throws ContextError for a question that is too long, RangeError for an option out of range, SchemaError for a schema that cannot be held
 * @throws the signal's reason when it is aborted
 */
export async function answer(video: AskedVideo | readonly AskedVideo[], question?: string, options: AskOptions = {}): Promise<Answer> {
  const { pack: _, threads: __, device: ___, history = [], choices, schema, signal, ...rest } = options;
  signal?.throwIfAborted();
  const models = await sharedModels(options);
  const asked = question ?? models.pack.manifest.prompt.default_question;
  if (asked.trim() === '') throw new RangeError('the question is empty; leave it out to be told what is seen');
  const parts: VideoPart[] = [];
  for (const one of isList(video) ? video : [video]) parts.push(await partOf(one, asked, models, signal));
  const grammar = grammarOf(choices, schema);
  const messages = conversation(parts, history, asked);
  const made = { ...rest, ...(grammar === null ? {} : { grammar }), ...(signal === undefined ? {} : { signal }) };
  const { text, annotations, confidence, finish, usage, seconds } = await replyTo(models, messages, made, momentFinder(models));
  return { text: text.trim(), moments: annotations, confidence, complete: finish === 'stop', usage, seconds };
}

function isList(video: AskedVideo | readonly AskedVideo[]): video is readonly AskedVideo[] {
  return Array.isArray(video);
}

async function partOf(video: AskedVideo, question: string, models: Models, signal: AbortSignal | undefined): Promise<VideoPart> {
  if (video instanceof LinrVideo) return checkedVideo(video, models);
  if (typeof video !== 'string') return video;
  // An answer needs a few frames, a moment many.
  const frames = asksAboutTime(question) ? { frames: framesToSearch } : {};
  return (await openAskable(video, models, { ...frames, ...(signal === undefined ? {} : { signal }) })).video;
}

function grammarOf(choices: readonly string[] | undefined, schema: unknown): Grammar | null {
  if (choices !== undefined && schema !== undefined) throw new RangeError('an answer is one of choices or follows a schema, not both');
  if (choices !== undefined) return oneOf(choices);
  return schema === undefined ? null : jsonSchema(schema);
}

/** The videos are shown with the first question. */
function conversation(videos: readonly VideoPart[], history: readonly { readonly question: string; readonly answer: string }[], question: string): ChatMessage[] {
  const questions = [...history.map((turn) => turn.question), question];
  return questions.flatMap((text, i): ChatMessage[] => {
    const said = history[i];
    const shown = i === 0 ? videos : [];
    return [
      { role: 'user', content: [...shown, { type: 'text', text }] },
      ...(said === undefined ? [] : [{ role: 'assistant', content: [{ type: 'text', text: said.answer }] } as const]),
    ];
  });
}
