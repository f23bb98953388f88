/**
 * How likely it is that an answer about a video is right. Three witnesses are asked: the language model, how likely the answer is to it; the
 * retrieval towers, how like the frames its words are; the vision tower's classes, whether it names what they recognize. A question such as
 * "What color is the mat?" takes for granted that there is a mat: the model is asked that as well. What the witnesses are worth is learned from
 * answers that are known to be right or wrong (weights/recipe/confidence.py), for each kind of answer alone.
 */
import type { ConfidenceConfig } from '../model/pack/index.js';
import type { Likeness } from './captions.js';
import type { ChatModel } from './chat-model.js';
import type { Concept } from './concepts.js';
import { lastShown, lastText } from './focus.js';
import type { ChatMessage } from './messages.js';

/** Kinds of answers: they begin with yes or no, they are a word or a few, they are sentences. */
export type AnswerKind = 'yes_no' | 'words' | 'sentence';

/** What the witnesses say; 0 where one of them has nothing to say. */
export interface Evidence {
  /** Mean and least natural log probability of the answer's tokens. */
  readonly likelihood: number;
  readonly least: number;
  /** Mean cosine of the frames with the words; of a question that is answered with no, its negative. */
  readonly likeness: number;
  /** 1 for yes, -1 for no. */
  readonly agrees: number;
  /** Probability of the likeliest recognized class whose name the words have, and of the likeliest one of all where they name none. */
  readonly named: number;
  readonly unnamed: number;
  /** How much likelier yes is than no, as natural logarithm, where the model is asked whether what the question takes for granted is there. */
  readonly presence: number;
}
export const WITNESSES = ['likelihood', 'least', 'likeness', 'agrees', 'named', 'unnamed', 'presence'] as const satisfies readonly (keyof Evidence)[];

/** What speaks for an answer. */
export interface Testimony {
  readonly kind: AnswerKind;
  readonly evidence: Evidence;
  /** What the question takes for granted and the model does not see: "mat". */
  readonly missing: string | null;
}

export interface Confidence extends Testimony {
  /** Chance that the answer is right, 0 to 1. */
  readonly probability: number;
  /** It is so low that the answer should say so. */
  readonly doubtful: boolean;
}

/** Longer texts are right in one part and wrong in another. */
const LONGEST_JUDGED = 400;
const LONGEST_WORDS = 4;
/** From here on the model says that there is no such thing, as a natural logarithm. */
const NOT_SEEN = -1;

export function kindOf(answer: string): AnswerKind {
  if (/^(?:yes|no)\b/i.test(answer.trim())) return 'yes_no';
  return answer.trim().split(/\s+/).length <= LONGEST_WORDS ? 'words' : 'sentence';
}

/**
 * What a question takes for granted: "mat" of "What color is the mat?". Null where it asks whether something is there, or names no thing.
 */
export function takenForGranted(question: string): string | null {
  const text = question.trim().toLowerCase().replace(/[\s?.!]+$/, '');
  const asked = /^(?:what|which|where|how|who|why)\b.*?\b(?:is|are|was|were|does|do|did)\b (?:the|that|this|those|these) ((?:[a-z-]+ ){0,2}?[a-z-]+?)(?= (?:in|on|at|of|under|behind|beside|next|near|with|doing|wearing|holding|made|look|have|like|from)\b|$)/.exec(text);
  const thing = asked?.[1];
  return thing === undefined || /\b(?:video|clip|film|photo|picture|image|frame|scene|footage)s?\b/.test(thing) ? null : thing;
}

/**
 * What speaks for `answer`.
 * @param messages what was answered
 * @returns null for an answer that no video stands behind, and for one that is too long to be right or wrong as a whole
 * @throws as ChatModel.score
 */
export async function testimonyFor(
  chat: ChatModel,
  towers: Likeness | null,
  messages: readonly ChatMessage[],
  answer: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Testimony | null> {
  const videos = lastShown(messages);
  const text = answer.trim();
  if (videos.length === 0 || text === '' || text.length > LONGEST_JUDGED) return null;
  const kind = kindOf(text);
  const question = lastText(messages);
  const words = { yes_no: question, words: `${question} ${text}`, sentence: text }[kind];
  const agrees = kind !== 'yes_no' ? 0 : /^yes/i.test(text) ? 1 : -1;
  const [likelihood] = await chat.score(messages, [text], options);
  const cosines = towers === null ? [] : await towers.likeness(videos, [words]);
  const likeness = cosines.reduce((sum, [cosine = 0]) => sum + cosine / cosines.length, 0);
  const thing = takenForGranted(question);
  const presence = thing === null ? 0 : await presenceOf(chat, messages, thing, options);
  const evidence: Evidence = {
    likelihood: (likelihood?.logProbability ?? 0) / (likelihood?.tokens ?? 1),
    least: likelihood?.least ?? 0,
    likeness: agrees === -1 ? -likeness : likeness,
    agrees,
    presence,
    ...recognitionOf(videos.flatMap((video) => chat.recognized(video)), words),
  };
  return { kind, evidence, missing: thing !== null && presence < NOT_SEEN ? thing : null };
}

/** How likely an answer is right by what speaks for it: a logistic regression of its kind. */
export function confidenceBy({ kinds, doubt }: ConfidenceConfig, testimony: Testimony): Confidence {
  const { bias, weights } = kinds[testimony.kind];
  const score = WITNESSES.reduce((sum, witness, i) => sum + (weights[i] ?? 0) * testimony.evidence[witness], bias);
  const probability = 1 / (1 + Math.exp(-score));
  return { ...testimony, probability, doubtful: probability < doubt };
}

/** What an answer of this confidence says after it; '' where it is not doubtful. */
export function doubtOf({ doubtful, missing }: Confidence): string {
  if (!doubtful) return '';
  return missing === null ? DOUBT : ` I am not sure that there is ${missing.endsWith('s') ? 'any' : 'a'} ${missing}.`;
}

const DOUBT = ' I am not sure of this.';
const SAID_DOUBT = / I am not sure (?:of this|that there is (?:a|any) [a-z -]+)\.$/;

/** An answer without the doubt that was said after it. */
export function withoutDoubt(answer: string): string {
  return answer.replace(SAID_DOUBT, '');
}

async function presenceOf(chat: ChatModel, messages: readonly ChatMessage[], thing: string, options: { readonly signal?: AbortSignal }): Promise<number> {
  const question = { type: 'text', text: `Is there a ${thing} in the video?` } as const;
  const last = messages.at(-1);
  const videos = last?.content.filter(({ type }) => type === 'video') ?? [];
  const asked: ChatMessage[] = [...messages.slice(0, -1), { role: 'user', content: [...videos, question] }];
  const [yes, no] = await chat.score(asked, ['Yes.', 'No.'], options);
  return (yes?.logProbability ?? 0) - (no?.logProbability ?? 0);
}

function recognitionOf(concepts: readonly Concept[], words: string): Pick<Evidence, 'named' | 'unnamed'> {
  const text = words.toLowerCase();
  const probabilities = (of: readonly Concept[]): number => Math.max(0, ...of.map(({ probability }) => probability));
  const named = probabilities(concepts.filter(({ name }) => text.includes(name.toLowerCase())));
  return { named, unnamed: named > 0 ? 0 : probabilities(concepts) };
}
