/** A chat completion, from the body of its request to the body of its answer. */
import type { Static } from 'typebox';
import type { Caller } from '../access/caller.js';
import { SchemaError } from '../../model/language/json-schema.js';
import type { ChatCompletionSchema, ChatRequest, ResponseFormat, Usage } from '../api/schemas.js';
import { ApiError } from '../errors.js';
import { newId } from '../ids.js';
import { grammarOf } from '../inference/format.js';
import type { ReplyOutcome, ReplyTask, Sampling } from '../inference/messages.js';
import type { Services } from '../services.js';
import { buildPrompt, checkLength, type Turn } from './prompt.js';

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
  const message = { role: 'assistant' as const, content: outcome.text, refusal: null, annotations: [...outcome.annotations] };
  return { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: outcome.finish, logprobs: null }], usage: usageOf(outcome) };
}

/**
 * What the model is to answer; videos that the request brings along are waited for.
 * @throws ApiError naming the field that is wrong
 */
export async function taskOf(services: CompletionServices, body: ChatRequest, { caller, ...client }: Asking, signal: AbortSignal): Promise<ReplyTask> {
  const { limits, model } = services;
  if (body.model && model && body.model !== model.id) {
    throw new ApiError('model_not_found', { param: 'model', message: `There is no model "${body.model}". This server runs "${model.id}".` });
  }
  if (body.messages.length > limits.requestMessages) {
    const message = `There are ${body.messages.length} messages; the limit is ${limits.requestMessages}.`;
    throw new ApiError('invalid_request', { param: 'messages', message });
  }
  // What costs nothing to check is checked before any video is fetched.
  const sampling = samplingOf(services, body);
  const turns: Turn[] = [];
  for (const [index, message] of body.messages.entries()) turns.push(await turnOf(services, message, `messages[${index}].content`, caller, signal));
  const messages = buildPrompt({ ...services, library: services.library.seenBy(caller) }, turns, `messages[${body.messages.length - 1}].content`);
  return { ...client, messages, sampling };
}

async function turnOf(services: CompletionServices, { role, content }: ChatRequest['messages'][number], param: string, caller: Caller, signal: AbortSignal): Promise<Turn> {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
  const text = parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
  checkLength(text, services.limits, param);
  const videos: string[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.type === 'text') continue;
    if (role !== 'user') throw new ApiError('invalid_request', { param, message: 'Only a message of the user can have a video.' });
    const url = part.type === 'video_url' ? part.video_url.url : part.image_url.url;
    videos.push(await services.arrivals.videoIdOf(url, `${param}[${index}].${part.type}.url`, caller, signal));
  }
  return { role: role === 'developer' ? 'system' : role, text, videos };
}

function samplingOf({ limits }: CompletionServices, body: ChatRequest): Sampling {
  const field = typeof body.max_completion_tokens === 'number' ? 'max_completion_tokens' : 'max_tokens';
  const maxTokens = body[field] ?? Math.min(256, limits.answerTokens);
  if (maxTokens > limits.answerTokens) {
    throw new ApiError('invalid_request', { param: field, message: `The field "${field}" may be at most ${limits.answerTokens}.` });
  }
  const { temperature, top_p, seed, stop, response_format } = body;
  const format = response_format ?? null;
  checkFormat(format);
  const caption = body.caption ?? null;
  if (caption === true && (temperature ?? 0) > 0) throw new ApiError('invalid_request', { param: 'temperature', message: 'A caption is searched for, which needs temperature 0.' });
  if (caption === true && format !== null && format.type !== 'text') throw new ApiError('invalid_request', { param: 'response_format', message: 'A caption cannot be held to a response_format.' });
  return { maxTokens, temperature: temperature ?? 0, topP: top_p ?? 1, seed: seed ?? null, stop: typeof stop === 'string' ? [stop] : (stop ?? []), format, caption };
}

/** Throws `invalid_request`, naming the part of a schema that no answer could be held to. */
function checkFormat(format: ResponseFormat | null): void {
  try {
    grammarOf(format);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new ApiError('invalid_request', { param: 'response_format.json_schema.schema', message: `The schema's part ${error.message}.` });
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
