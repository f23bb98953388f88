import type { MomentAnnotation } from '../../projector/index.js';
import type { ResponseFormat } from '../api/chat-schemas.js';
import type { ErrorCode } from '../errors.js';
import type { Embedding, EmbedTask, SearchHit, SearchTask } from '../search/messages.js';

/** A video in a prompt: the worker reads its latents from the container itself. */
export interface VideoReference {
  readonly type: 'video';
  readonly id: string;
  /** The container on disk. */
  readonly file: string;
}

export type PromptPart = { readonly type: 'text'; readonly text: string } | VideoReference;

export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: readonly PromptPart[];
}

export interface Sampling {
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number | null;
  /** Taken off a token's logit for each time it was written, and once where it was. */
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly stop: readonly string[];
  /** What the answer must be; null: any text. */
  readonly format: ResponseFormat | null;
  /** Whether it is searched for, as captions are; null: where the pack's own question for a caption is asked. */
  readonly caption: boolean | null;
}

export interface ReplyTask {
  /** Whose turn it is: clients are served in turn, however many replies one of them asks for. */
  readonly client: string;
  /** Replies that this client may have waiting or running; absent: as many as fit the queue. */
  readonly mostOfClient?: number;
  /** It is written only while nobody else asks anything, and pauses as soon as somebody does. Nobody waits for it: it has no place in line. */
  readonly background?: boolean;
  readonly messages: readonly PromptMessage[];
  readonly sampling: Sampling;
}

/** How a reply ended, as ChatModel gives it. */
export interface ReplyOutcome {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'cancelled';
  readonly usage: { readonly prompt_tokens: number; readonly cached_tokens: number; readonly completion_tokens: number };
  /** Moments the answer names. */
  readonly annotations: readonly MomentAnnotation[];
  /** Chance that the answer is right, 0 to 1; null where nothing is known of that. */
  readonly confidence: number | null;
}

/** Of a reply that was given up before it had any text. */
export const NOTHING_WRITTEN: ReplyOutcome = {
  text: '',
  finish: 'cancelled',
  usage: { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 },
  annotations: [],
  confidence: null,
};

export type ToInference =
  | { readonly type: 'reply'; readonly id: number; readonly task: ReplyTask }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'search'; readonly id: number; readonly task: SearchTask }
  | { readonly type: 'embed'; readonly id: number; readonly task: EmbedTask };

export type FromInference =
  | { readonly type: 'ready' }
  | { readonly type: 'unavailable'; readonly detail: string }
  /** Places in line of replies whose place has changed; 1 is the next to begin. */
  | { readonly type: 'positions'; readonly places: readonly (readonly [id: number, place: number])[] }
  | { readonly type: 'started'; readonly id: number }
  | { readonly type: 'delta'; readonly id: number; readonly text: string }
  | { readonly type: 'done'; readonly id: number; readonly outcome: ReplyOutcome }
  | { readonly type: 'found'; readonly id: number; readonly hits: readonly SearchHit[] }
  | { readonly type: 'embedded'; readonly id: number; readonly embedding: Embedding }
  | { readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string; readonly param: string | null; readonly detail: string };

export interface InferenceWorkerData {
  readonly packDir: string;
  readonly threads: number;
  /** Seconds without a search or an answer after which the text tower's memory is given back. */
  readonly searchIdle_s: number;
  /** Tokens of the longest conversation; null: as many as the model takes where nobody says otherwise. */
  readonly context: number | null;
}
