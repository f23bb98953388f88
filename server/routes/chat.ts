import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { SchemaError } from '../../model/language/json-schema.js';
import { ChatCompletionSchema, ChatRequestSchema, ErrorSchema, type ChatRequest, type ResponseFormat, type Usage } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { buildPrompt, checkLength, type Turn } from '../chat/prompt.js';
import { ApiError, toApiError, validationError } from '../errors.js';
import { newId } from '../ids.js';
import { grammarOf } from '../inference/format.js';
import type { Reply } from '../inference/inference.js';
import type { ReplyOutcome, ReplyTask, Sampling } from '../inference/messages.js';
import type { Services } from '../services.js';

/** Bytes that base64 makes of `bytes`. */
const base64Bytes = (bytes: number): number => Math.ceil(bytes / 3) * 4;

/** POST /v1/chat/completions, as OpenAI's clients speak it, whole or streamed by server-sent events. */
export function chatRoutes(app: App, services: Services): void {
  app.post(
    '/v1/chat/completions',
    {
      validatorCompiler: strictValidator,
      bodyLimit: services.limits.bodyBytes + base64Bytes(services.limits.dataUrlBytes),
      schema: {
        tags: ['chat'],
        summary: 'Ask about videos; OpenAI-compatible. Name a video with a content part {"type": "video_url", "video_url": {"url": "video://<id>"}}',
        body: ChatRequestSchema,
        response: { 200: ChatCompletionSchema, '4xx': ErrorSchema, '5xx': ErrorSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const gone = closing(reply);
      const task = await taskOf(services, body, clientOf(services, request), gone);
      const head = { id: newId('chatcmpl'), created: Math.floor(Date.now() / 1000), model: services.model?.id ?? '' };
      if (body.stream) return stream(services, reply, gone, task, head, body.stream_options?.include_usage === true);
      const answer = services.inference.reply(task, { onDelta: () => undefined });
      cancelWithClient(gone, answer);
      const outcome = await answer.outcome;
      if (outcome.finish === 'cancelled') throw new ApiError('cancelled');
      const message = { role: 'assistant' as const, content: outcome.text, refusal: null, annotations: [...outcome.annotations] };
      const choice = { index: 0, message, finish_reason: outcome.finish, logprobs: null };
      return reply.code(200).send({ ...head, object: 'chat.completion' as const, choices: [choice], usage: usageOf(outcome) });
    },
  );
}

/** Fastify's own validator turns strings into numbers, which an address needs and a JSON body must not have. */
export function strictValidator({ schema }: { schema: unknown }): (value: unknown) => { value: unknown } | { error: Error } {
  const validator = Compile(schema as TSchema);
  return (value) => (validator.Check(value) ? { value } : { error: validationError(validator.Errors(value)) });
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

type Asking = Pick<ReplyTask, 'client' | 'mostOfClient'>;

/** Clients are told apart by their keys, without keys by their addresses. */
function clientOf({ access }: Services, { apiKey, ip }: FastifyRequest): Asking {
  return apiKey ? { client: apiKey.id, mostOfClient: access.mostReplies(apiKey) } : { client: `http:${ip}` };
}

async function taskOf(services: Services, body: ChatRequest, client: Asking, signal: AbortSignal): Promise<ReplyTask> {
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
  for (const [index, message] of body.messages.entries()) turns.push(await turnOf(services, message, `messages[${index}].content`, signal));
  const messages = buildPrompt(services, turns, `messages[${body.messages.length - 1}].content`);
  return { ...client, messages, sampling };
}

async function turnOf(services: Services, { role, content }: ChatRequest['messages'][number], param: string, signal: AbortSignal): Promise<Turn> {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content;
  const text = parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
  checkLength(text, services.limits, param);
  const videos: string[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.type === 'text') continue;
    if (role !== 'user') throw new ApiError('invalid_request', { param, message: 'Only a message of the user can have a video.' });
    const url = part.type === 'video_url' ? part.video_url.url : part.image_url.url;
    videos.push(await services.arrivals.videoIdOf(url, `${param}[${index}].${part.type}.url`, signal));
  }
  return { role: role === 'developer' ? 'system' : role, text, videos };
}

function samplingOf({ limits }: Services, body: ChatRequest): Sampling {
  const field = typeof body.max_completion_tokens === 'number' ? 'max_completion_tokens' : 'max_tokens';
  const maxTokens = body[field] ?? Math.min(256, limits.answerTokens);
  if (maxTokens > limits.answerTokens) {
    throw new ApiError('invalid_request', { param: field, message: `The field "${field}" may be at most ${limits.answerTokens}.` });
  }
  const { temperature, top_p, seed, stop, response_format } = body;
  const format = response_format ?? null;
  checkFormat(format);
  return { maxTokens, temperature: temperature ?? 0, topP: top_p ?? 1, seed: seed ?? null, stop: typeof stop === 'string' ? [stop] : (stop ?? []), format };
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

function usageOf({ usage }: ReplyOutcome): Usage {
  return {
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
    prompt_tokens_details: { cached_tokens: usage.cached_tokens },
  };
}

/** Aborts when the client hangs up before it has its answer. */
function closing(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new ApiError('cancelled'));
  });
  return controller.signal;
}

/** A client that hangs up wants no answer any more. */
function cancelWithClient(signal: AbortSignal, answer: Reply): void {
  if (signal.aborted) answer.cancel();
  else signal.addEventListener('abort', () => answer.cancel(), { once: true });
}

async function stream(
  services: Services,
  reply: FastifyReply,
  gone: AbortSignal,
  task: ReplyTask,
  head: Head,
  includeUsage: boolean,
): Promise<FastifyReply> {
  const chunk = (delta: object, finish: string | null): object => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
    ...(includeUsage ? { usage: null } : {}),
  });
  const { raw } = reply;
  const write = (data: object | '[DONE]'): void => {
    if (!raw.destroyed) raw.write(`data: ${data === '[DONE]' ? data : JSON.stringify(data)}\n\n`);
  };
  // Until the model begins, an error still has a status of its own.
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    reply.hijack();
    raw.writeHead(200, { ...sentHeaders(reply), 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' });
    write(chunk({ role: 'assistant', content: '' }, null));
  };
  const answer = services.inference.reply(task, {
    onStart: begin,
    onDelta: (text) => write(chunk({ content: text }, null)),
  });
  cancelWithClient(gone, answer);
  try {
    const outcome = await answer.outcome;
    begin();
    if (outcome.annotations.length > 0) write(chunk({ annotations: outcome.annotations }, null));
    write(chunk({}, outcome.finish === 'cancelled' ? 'stop' : outcome.finish));
    if (includeUsage) write({ ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(outcome) });
    write('[DONE]');
  } catch (error) {
    if (!begun) throw error;
    write(toApiError(error).toBody());
  }
  raw.end();
  return reply;
}

/** Headers that hooks have set (security above all) and that a hijacked reply would lose. */
function sentHeaders(reply: FastifyReply): Record<string, string | number | readonly string[]> {
  const headers: Record<string, string | number | readonly string[]> = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}
