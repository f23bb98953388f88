import Type, { type TSchema } from 'typebox';
import { ConfidenceSchema, MomentSchema, VideoSchema } from '../api/schemas.js';
import type { ServerEvent } from './protocol.js';

const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const id = Type.String();
const seconds = Type.Number({ minimum: 0 });
const count = Type.Integer({ minimum: 0 });

const part = Type.Union([
  Type.Object({ type: Type.Literal('input_text'), text: Type.String() }),
  Type.Object({ type: Type.Literal('input_video'), video_id: id }),
  Type.Object({
    type: Type.Literal('output_text'),
    text: Type.String(),
    annotations: Type.Array(MomentSchema, { description: 'Of answers that say when.' }),
    confidence: Type.Optional(ConfidenceSchema),
  }),
]);

export const ItemSchema = Type.Object({
  id,
  object: Type.Literal('realtime.item'),
  type: Type.Literal('message'),
  role: Type.Enum(['system', 'user', 'assistant']),
  status: Type.Enum(['in_progress', 'completed', 'incomplete'], { description: 'incomplete: it was cancelled or cut at its limit.' }),
  content: Type.Array(part),
});

const session = Type.Object({
  id,
  object: Type.Literal('realtime.session'),
  type: Type.Literal('realtime'),
  model: Type.String(),
  instructions: Type.String({ description: 'The system message; empty: the one the model was trained with.' }),
  temperature: Type.Number(),
  top_p: Type.Number(),
  seed: nullable(Type.Integer()),
  max_output_tokens: Type.Integer(),
  output_modalities: Type.Array(Type.Literal('text')),
});

const response = Type.Object({
  id,
  object: Type.Literal('realtime.response'),
  conversation: id,
  status: Type.Enum(['in_progress', 'completed', 'cancelled', 'incomplete', 'failed'], { description: 'incomplete: the answer was cut at max_output_tokens.' }),
  status_details: nullable(
    Type.Object({ reason: Type.Optional(Type.String()), error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })) }),
  ),
  output: Type.Array(ItemSchema, { description: "The answer's message, with the moments it names; empty until it is done." }),
  usage: nullable(
    Type.Object({
      input_tokens: count,
      cached_tokens: Type.Integer({ minimum: 0, description: 'Of input_tokens, those whose keys and values were still in the cache.' }),
      output_tokens: count,
      total_tokens: count,
    }),
  ),
  seconds: nullable(Type.Object({ first_token: seconds, total: seconds }, { description: 'From response.create on; null until it is done.' })),
});

const conversation = Type.Object({
  id,
  object: Type.Literal('realtime.conversation'),
  items: Type.Array(ItemSchema, { description: 'With the answer that is being written, as far as it is, at the end.' }),
  response: nullable(response),
});

const place = { response_id: id, conversation: id, item_id: id, output_index: Type.Literal(0), content_index: Type.Literal(0) };

const textPart = Type.Object({ type: Type.Literal('text'), text: Type.String() });

const error = Type.Object({
  code: Type.String({ description: 'docs/errors.md lists them.' }),
  message: Type.String(),
  type: Type.String(),
  param: nullable(Type.String()),
  event_id: nullable(Type.String({ description: 'Of the client event that led to it, where it had one.' })),
});

function event<Name extends ServerEvent['type'], Fields extends Record<string, TSchema>>(type: Name, description: string, fields: Fields) {
  return Type.Object({ type: Type.Literal(type), event_id: id, ...fields }, { description, additionalProperties: false });
}

/** The JSON schema of every event the server sends, by its type: what protocol.ts says in types, a test holds them together. */
export const serverEvents = {
  'session.created': event('session.created', 'The first event of every socket.', { session, conversation }),
  'session.updated': event('session.updated', 'Answers session.update.', { session }),
  'conversation.created': event('conversation.created', 'Answers conversation.create.', { conversation }),
  'conversation.retrieved': event('conversation.retrieved', 'Answers conversation.retrieve: all messages, and the answer being written.', { conversation }),
  'conversation.item.added': event('conversation.item.added', 'A message was stored, or an answer begins.', { conversation: id, previous_item_id: nullable(id), item: ItemSchema }),
  'conversation.item.done': event('conversation.item.done', 'A message is whole: at once for one that was sent, at its end for an answer.', { conversation: id, previous_item_id: nullable(id), item: ItemSchema }),
  'conversation.item.deleted': event('conversation.item.deleted', 'A message was removed.', { conversation: id, item_id: id }),
  'conversation.deleted': event('conversation.deleted', 'A conversation was removed, by DELETE /v1/conversations/{id}: nothing can be added to it.', { conversation: id }),
  'response.created': event('response.created', 'An answer was asked for.', { response }),
  'response.queued': event('response.queued', 'The answer waits for the model; sent again whenever its place changes.', {
    response_id: id,
    conversation: id,
    position: Type.Integer({ minimum: 1, description: '1: it is the next to begin.' }),
  }),
  'response.output_item.added': event('response.output_item.added', "The answer's message begins.", { response_id: id, output_index: Type.Literal(0), item: ItemSchema }),
  'response.content_part.added': event('response.content_part.added', "The answer's text begins.", { part: textPart, ...place }),
  'response.output_text.delta': event('response.output_text.delta', 'The next piece of an answer.', { delta: Type.String(), ...place }),
  'response.output_text.done': event('response.output_text.done', 'The whole text of an answer.', { text: Type.String(), ...place }),
  'response.content_part.done': event('response.content_part.done', 'The whole text once more, as a part.', { part: textPart, ...place }),
  'response.output_item.done': event('response.output_item.done', "The answer's message, with the moments it names.", { response_id: id, output_index: Type.Literal(0), item: ItemSchema }),
  'response.done': event('response.done', 'An answer has ended, in whatever way.', { response }),
  'video.progress': event('video.progress', 'A video has changed; a few times a second at most.', { video: VideoSchema }),
  'video.deleted': event('video.deleted', 'A video is gone.', { video_id: id }),
  'video.subscribed': event('video.subscribed', 'Answers video.subscribe.', { video_id: id }),
  'video.unsubscribed': event('video.unsubscribed', 'Answers video.unsubscribe.', { video_id: id }),
  error: event('error', 'A client event was refused; the socket stays open.', { error }),
} satisfies Record<ServerEvent['type'], TSchema>;
