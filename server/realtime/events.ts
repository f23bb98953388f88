import Type, { type TSchema } from 'typebox';
import { sampling } from '../api/chat-schemas.js';
import { checker } from '../api/check.js';
import { only, realtimeFields } from '../api/openai-fields.js';
import { ApiError } from '../errors.js';
import type { ClientEvent } from './protocol.js';

const strict = { additionalProperties: false };
const eventId = Type.Optional(Type.String({ maxLength: 200 }));
const name = Type.String({ maxLength: 200 });
const conversation = Type.Optional(name);

/** Most tokens of an answer; `inf`: as many as this server writes. */
const tokens = Type.Union([Type.Integer({ minimum: 1 }), Type.Literal('inf')]);

const settings = {
  instructions: Type.Optional(Type.String()),
  temperature: Type.Optional(sampling.temperature),
  top_p: Type.Optional(sampling.topP),
  seed: Type.Optional(sampling.seed),
  max_output_tokens: Type.Optional(tokens),
  max_response_output_tokens: Type.Optional(tokens),
  ...realtimeFields,
};
/** Of the session, as OpenAI's clients say which they want. */
const sessionSettings = Type.Object({ ...settings, type: Type.Optional(Type.Literal('realtime')), model: Type.Optional(name) }, strict);
/** Of one response. */
const responseSettings = Type.Object(
  {
    ...settings,
    conversation: only(Type.Literal('auto'), 'must be "auto": an answer is a message of its conversation.'),
    input: only(Type.Never(), 'must be left out: send messages by conversation.item.create.'),
  },
  strict,
);

const part = Type.Union([
  Type.Object({ type: Type.Literal('input_text'), text: Type.String() }, strict),
  Type.Object({ type: Type.Literal('output_text'), text: Type.String() }, strict),
  Type.Object({ type: Type.Literal('text'), text: Type.String() }, strict),
  Type.Object({ type: Type.Literal('input_video'), video_id: Type.Optional(name), video: Type.Optional(name) }, strict),
]);

const newItem = Type.Object(
  {
    type: Type.Optional(Type.Literal('message')),
    role: Type.Enum(['system', 'user', 'assistant']),
    content: Type.Array(part, { minItems: 1, maxItems: 64 }),
    id: only(Type.Never(), 'must be left out: the server names messages.'),
    object: Type.Optional(Type.Literal('realtime.item')),
    status: Type.Optional(Type.Enum(['completed', 'incomplete', 'in_progress'])),
  },
  strict,
);

function event<Fields extends Record<string, TSchema>>(type: ClientEvent['type'], fields: Fields) {
  return Type.Object({ type: Type.Literal(type), event_id: eventId, ...fields }, strict);
}

/** The JSON schema of every event a client may send, by its type. */
export const clientEvents: Readonly<Record<ClientEvent['type'], TSchema>> = {
  'session.update': event('session.update', { session: sessionSettings }),
  'conversation.create': event('conversation.create', {}),
  'conversation.retrieve': event('conversation.retrieve', { conversation: name }),
  'conversation.item.create': event('conversation.item.create', { conversation, previous_item_id: Type.Optional(name), item: newItem }),
  'conversation.item.delete': event('conversation.item.delete', { conversation, item_id: name }),
  'response.create': event('response.create', { conversation, response: Type.Optional(responseSettings) }),
  'response.cancel': event('response.cancel', { conversation, response_id: Type.Optional(name) }),
  'video.subscribe': event('video.subscribe', { video_id: name }),
  'video.unsubscribe': event('video.unsubscribe', { video_id: name }),
};

const checks = new Map(Object.entries(clientEvents).map(([type, schema]) => [type, checker(schema, 'event')]));

/** The id to answer an event under, read before the event is known to be valid. */
export function eventIdOf(value: unknown): string | null {
  const id = typeof value === 'object' && value !== null ? (value as { event_id?: unknown }).event_id : undefined;
  return typeof id === 'string' ? id.slice(0, 200) : null;
}

/** A parsed message as a client event; throws ApiError that names the wrong field. */
export function checkClientEvent(value: unknown): ClientEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError('invalid_request', { message: 'A socket message must be a JSON object with a "type".' });
  }
  const { type } = value as { type?: unknown };
  if (typeof type !== 'string') throw new ApiError('invalid_request', { param: 'type', message: 'The field "type" is missing.' });
  const check = checks.get(type);
  if (!check) {
    const known = [...checks.keys()].join(', ');
    throw new ApiError('unknown_event', { param: 'type', message: `There is no event "${type.slice(0, 100)}". Known: ${known}.` });
  }
  return check(value) as ClientEvent;
}

/** Codes this server closes sockets with. */
export const closeCodes = {
  /** The server is stopping; reconnect in a moment. */
  goingAway: 1001,
  /** Too many sockets are open. */
  tryAgainLater: 1013,
  /** The socket's API key was removed. */
  keyRemoved: 4001,
  /** Nothing was asked or answered on the socket for long. */
  idle: 4002,
  /** The socket did not answer two heartbeats. */
  noHeartbeat: 4000,
  /** The socket did not read what it was sent. */
  slowReader: 4008,
  /** The socket went on sending far too many events after it was told. */
  flooding: 4029,
} as const;
