import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { ChatCompletionSchema, ChatRequestSchema, ErrorSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { completionHead, completionOf, taskOf, usageOf, type Asking, type CompletionHead } from '../chat/completion.js';
import { ApiError, toApiError, validationError } from '../errors.js';
import type { Reply } from '../inference/inference.js';
import type { ReplyTask } from '../inference/messages.js';
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
      const head = completionHead(services);
      if (body.stream) return stream(services, reply, gone, task, head, body.stream_options?.include_usage === true);
      const answer = services.inference.reply(task, { onDelta: () => undefined });
      cancelWithClient(gone, answer);
      const outcome = await answer.outcome;
      return reply.code(200).send(completionOf(head, outcome));
    },
  );
}

/** Fastify's own validator turns strings into numbers, which an address needs and a JSON body must not have. */
export function strictValidator({ schema }: { schema: unknown }): (value: unknown) => { value: unknown } | { error: Error } {
  const validator = Compile(schema as TSchema);
  return (value) => (validator.Check(value) ? { value } : { error: validationError(validator.Errors(value)) });
}

/** Clients are told apart by their keys, without keys by their addresses. */
function clientOf({ access }: Services, { apiKey, caller, ip }: FastifyRequest): Asking {
  return apiKey ? { caller, client: apiKey.id, mostOfClient: access.mostReplies(apiKey) } : { caller, client: `http:${ip}` };
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
  head: CompletionHead,
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
