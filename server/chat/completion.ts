/** Answers that are asked for over HTTP: from a request to what the model is to do, and to a chat completion. */
import type { Static } from 'typebox';
import type { Caller } from '../access/caller.js';
import { SchemaError } from '../../model/language/schema-error.js';
import { nucleusOf, type ChatRequest, type RequestMessage, type ResponseFormat } from '../api/chat-schemas.js';
import type { ChatCompletionSchema, Usage } from '../api/schemas.js';
import { DEFAULT_ANSWER_TOKENS } from '../config.js';
import { ApiError } from '../errors.js';
import { newId } from '../ids.js';
import { grammarOf } from '../inference/format.js';
import type { ReplyOutcome, ReplyTask, Sampling } from '../inference/messages.js';
import type { Services } from '../services.js';
import { turnOf } from './parts.js';
import { buildPrompt, type Turn } from './prompt.js';

export type CompletionServices = Pick<Services, 'limits' | 'model' | 'library' | 'folder' | 'arrivals'>;

/** Who asks, and how. */
export interface Asking extends Pick<ReplyTask, 'client' | 'mostOfClient' | 'background'> {
  readonly caller: Caller;
}

export interface CompletionHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

export function completionHead({ model }: Pick<Services, 'model'>): CompletionHead {
  return { id: newId('chatcmpl'), created: Math.floor(Date.now() / 1000), model: model?.id ?? '' };
}

/** @throws ApiError `cancelled` for an answer that was given up */
export function completionOf(head: CompletionHead, outcome: ReplyOutcome): Static<typeof ChatCompletionSchema> {
  if (outcome.finish === 'cancelled') throw new ApiError('cancelled');
  const message = {
    role: 'assistant' as const,
    content: outcome.text,
    refusal: null,
    annotations: [...outcome.annotations],
    confidence: outcome.confidence,
  };
  return {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: outcome.finish, logprobs: null }],
    usage: usageOf(outcome),
  };
}

/** What an answer is asked for with, whatever route it came by. */
export interface AnswerRequest extends SamplingFields {
  readonly model?: string | null;
  readonly messages: readonly AskedMessage[];
}

/** A message with its own place in the request and that of its content, for errors. */
export interface AskedMessage {
  readonly message: RequestMessage;
  readonly param: string;
  readonly content: string;
}

interface SamplingFields {
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly seed?: number | null;
  readonly frequency_penalty?: number | null;
  readonly presence_penalty?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly caption?: boolean | null;
  /** Most tokens of the answer; null: the server's choice. */
  readonly maxTokens: number | null;
  readonly format: { readonly value: ResponseFormat | null; readonly param: string };
}

/** As `taskOf`, for the body of a chat completion. */
export function chatTaskOf(
  services: CompletionServices,
  body: ChatRequest,
  client: Asking,
  signal: AbortSignal,
): Promise<ReplyTask> {
  const messages = body.messages.map((message, index) => ({
    message,
    param: `messages[${index}]`,
    content: `messages[${index}].content`,
  }));
  const format = { value: body.response_format ?? null, param: 'response_format.json_schema.schema' };
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? null;
  return taskOf(services, { ...body, messages, maxTokens, format }, client, signal);
}

/**
 * What the model is to answer; videos that the request brings along are waited for.
 * @throws ApiError naming the field that is wrong
 */
export async function taskOf(
  services: CompletionServices,
  request: AnswerRequest,
  { caller, ...client }: Asking,
  signal: AbortSignal,
): Promise<ReplyTask> {
  const { limits } = services;
  const { messages } = request;
  checkModel(services.model?.id, request.model);
  const last = messages.at(-1);
  if (messages.length > limits.requestMessages) {
    const message = `There are ${messages.length} messages; the limit is ${limits.requestMessages}.`;
    throw new ApiError('invalid_request', { param: last?.param.replace(/\[.*$/, '') ?? null, message });
  }
  if (last?.message.role === 'assistant') {
    const message =
      'The last message is of the assistant. It must be of the user: an answer that was begun is not gone on with.';
    throw new ApiError('invalid_request', { param: `${last.param}.role`, message });
  }
  // What costs nothing to check is checked before any video is fetched.
  const sampling = samplingOf(services, request);
  const turns: Turn[] = [];
  for (const { message, content } of messages) turns.push(await turnOf(services, message, content, caller, signal));
  const library = services.library.seenBy(caller);
  return { ...client, messages: buildPrompt({ ...services, library }, turns, last?.content ?? 'messages'), sampling };
}

/** Throws `model_not_found` where another model is asked for than there is. */
export function checkModel(served: string | undefined, asked: string | null | undefined, param = 'model'): void {
  if (asked && served && asked !== served)
    throw new ApiError('model_not_found', {
      param,
      message: `There is no model "${asked}". This server runs "${served}".`,
    });
}

function samplingOf({ limits }: CompletionServices, request: SamplingFields): Sampling {
  const { temperature, top_p, seed, stop, format, frequency_penalty, presence_penalty } = request;
  // A most is kept by a smaller one: an answer that ends at the server's own limit says so by its `finish_reason`.
  const maxTokens = Math.min(request.maxTokens ?? DEFAULT_ANSWER_TOKENS, limits.answerTokens);
  checkFormat(format);
  const penalties = { frequencyPenalty: frequency_penalty ?? 0, presencePenalty: presence_penalty ?? 0 };
  return {
    maxTokens,
    temperature: temperature ?? 0,
    topP: nucleusOf(top_p),
    seed: seed ?? null,
    ...penalties,
    stop: typeof stop === 'string' ? [stop] : (stop ?? []),
    format: format.value,
    caption: captionOf(request, penalties),
  };
}

/** Whether a caption is searched for, which leaves no room for chance, penalties and forms. */
function captionOf(
  { caption, temperature, format }: SamplingFields,
  { frequencyPenalty, presencePenalty }: Pick<Sampling, 'frequencyPenalty' | 'presencePenalty'>,
): boolean | null {
  const penalty = frequencyPenalty !== 0 ? 'frequency_penalty' : presencePenalty !== 0 ? 'presence_penalty' : null;
  if (caption !== true) return penalty === null ? (caption ?? null) : false;
  const refuse = (param: string, message: string): never => {
    throw new ApiError('invalid_request', { param, message });
  };
  if ((temperature ?? 0) > 0) refuse('temperature', 'A caption is searched for, which needs temperature 0.');
  if (penalty !== null) refuse(penalty, 'A caption is searched for, which takes no penalties.');
  if (format.value !== null && format.value.type !== 'text')
    refuse('response_format', 'A caption cannot be held to a response_format.');
  return true;
}

/** Throws `invalid_schema`, naming the part of a schema that no answer could be held to. */
function checkFormat({ value, param }: SamplingFields['format']): void {
  try {
    grammarOf(value);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new ApiError('invalid_schema', { param, message: `The schema's part ${error.message}.` });
  }
}

export function usageOf({ usage }: ReplyOutcome): Usage {
  return {
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
    prompt_tokens_details: { cached_tokens: usage.cached_tokens },
  };
}
