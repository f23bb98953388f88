import type { FastifyReply } from 'fastify';
import { ResponseRequestSchema } from '../api/chat-schemas.js';
import { strictValidator } from '../api/check.js';
import { ResponseSchema } from '../api/response-schemas.js';
import { ErrorSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { outputText, ResponseDraft, responseTaskOf } from '../chat/response.js';
import { toApiError } from '../errors.js';
import { NOTHING_WRITTEN, type ReplyTask } from '../inference/messages.js';
import type { Services } from '../services.js';
import { answerBodyLimit, cancelWithClient, clientOf, closing, EventStream } from './answers.js';

/** POST /v1/responses, as OpenAI's clients speak it: text, videos and photos in, text out, whole or streamed. */
export function responseRoutes(app: App, services: Services): void {
  app.post(
    '/v1/responses',
    {
      validatorCompiler: strictValidator,
      bodyLimit: answerBodyLimit(services),
      schema: {
        tags: ['chat'],
        summary:
          'Ask about videos; OpenAI-compatible. Name a video with a content part {"type": "input_video", "video_url": "video://<id>"}',
        body: ResponseRequestSchema,
        response: { 200: ResponseSchema, '4xx': ErrorSchema, '5xx': ErrorSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const gone = closing(reply);
      const task = await responseTaskOf(services, body, clientOf(services, request), gone);
      const draft = new ResponseDraft(body, task, services.model?.id ?? '');
      if (body.stream) return stream(services, reply, gone, task, draft);
      const answer = services.inference.reply(task, { onDelta: () => undefined });
      cancelWithClient(gone, answer);
      return reply.code(200).send(draft.completed(await answer.outcome));
    },
  );
}

/** The events of a response in the order that OpenAI's clients put it together from. */
async function stream(
  services: Services,
  reply: FastifyReply,
  gone: AbortSignal,
  task: ReplyTask,
  draft: ResponseDraft,
): Promise<FastifyReply> {
  const events = new EventStream(reply);
  let sent = 0;
  const send = (type: string, fields: object): void => events.send({ type, sequence_number: sent++, ...fields }, type);
  const place = { item_id: draft.itemId, output_index: 0, content_index: 0 };
  const begin = (): void => {
    if (events.begun) return;
    send('response.created', { response: draft.body });
    send('response.in_progress', { response: draft.body });
    send('response.output_item.added', { output_index: 0, item: draft.item('in_progress') });
    send('response.content_part.added', { ...place, part: outputText(NOTHING_WRITTEN) });
  };
  const answer = services.inference.reply(task, {
    onStart: begin,
    onDelta: (delta) => send('response.output_text.delta', { ...place, delta, logprobs: [] }),
  });
  cancelWithClient(gone, answer);
  try {
    const outcome = await answer.outcome;
    const response = draft.completed(outcome);
    begin();
    const { text, annotations } = outcome;
    send('response.output_text.done', { ...place, text, logprobs: [] });
    for (const [annotation_index, annotation] of annotations.entries())
      send('response.output_text.annotation.added', { ...place, annotation_index, annotation });
    send('response.content_part.done', { ...place, part: outputText(outcome) });
    send('response.output_item.done', { output_index: 0, item: response.output[0] });
    send(response.status === 'completed' ? 'response.completed' : 'response.incomplete', { response });
  } catch (thrown) {
    if (!events.begun) throw thrown;
    send('response.failed', { response: draft.failed(toApiError(thrown)) });
  }
  return events.end();
}
