import type { FastifyReply } from 'fastify';
import { ChatRequestSchema } from '../api/chat-schemas.js';
import { strictValidator } from '../api/check.js';
import { ChatCompletionSchema, ErrorSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { chatTaskOf, completionHead, completionOf, usageOf, type CompletionHead } from '../chat/completion.js';
import { toApiError } from '../errors.js';
import type { ReplyTask } from '../inference/messages.js';
import type { Services } from '../services.js';
import { answerBodyLimit, cancelWithClient, clientOf, closing, EventStream } from './answers.js';

/** POST /v1/chat/completions, as OpenAI's clients speak it, whole or streamed by server-sent events. */
export function chatRoutes(app: App, services: Services): void {
  app.post(
    '/v1/chat/completions',
    {
      validatorCompiler: strictValidator,
      bodyLimit: answerBodyLimit(services),
      schema: {
        tags: ['chat'],
        summary:
          'Ask about videos; OpenAI-compatible. Name a video with a content part {"type": "video_url", "video_url": {"url": "video://<id>"}}',
        body: ChatRequestSchema,
        response: { 200: ChatCompletionSchema, '4xx': ErrorSchema, '5xx': ErrorSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const gone = closing(reply);
      const task = await chatTaskOf(services, body, clientOf(services, request), gone);
      const head = completionHead(services);
      if (body.stream) return stream(services, reply, gone, task, head, body.stream_options?.include_usage === true);
      const answer = services.inference.reply(task, { onDelta: () => undefined });
      cancelWithClient(gone, answer);
      const outcome = await answer.outcome;
      return reply.code(200).send(completionOf(head, outcome));
    },
  );
}

async function stream(
  services: Services,
  reply: FastifyReply,
  gone: AbortSignal,
  task: ReplyTask,
  head: CompletionHead,
  includeUsage: boolean,
): Promise<FastifyReply> {
  const events = new EventStream(reply);
  const chunk = (delta: object, finish: string | null): void => {
    events.send({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
      ...(includeUsage ? { usage: null } : {}),
    });
  };
  const begin = (): void => {
    if (!events.begun) chunk({ role: 'assistant', content: '' }, null);
  };
  const answer = services.inference.reply(task, {
    onStart: begin,
    onDelta: (text) => chunk({ content: text }, null),
  });
  cancelWithClient(gone, answer);
  try {
    const outcome = await answer.outcome;
    begin();
    const { annotations, confidence } = outcome;
    if (annotations.length > 0 || confidence !== null) chunk({ annotations, confidence }, null);
    chunk({}, outcome.finish === 'cancelled' ? 'stop' : outcome.finish);
    if (includeUsage) events.send({ ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(outcome) });
    events.send('[DONE]');
  } catch (error) {
    if (!events.begun) throw error;
    events.send(toApiError(error).toBody());
  }
  return events.end();
}
