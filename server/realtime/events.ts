import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { ApiError, validationError } from '../errors.js';
import { samplingFields, type Usage, type Video } from '../api/schemas.js';

const strict = { additionalProperties: false };
const EventId = Type.Optional(Type.String({ maxLength: 200, description: 'Given back in the error this event leads to.' }));
const ConversationId = Type.Optional(
  Type.String({ maxLength: 100, description: 'Default: the conversation that session.created names.' }),
);

export const SessionSettingsSchema = Type.Object(
  {
    instructions: Type.Optional(Type.String({ description: 'The system message. Empty: the one the model was trained with.' })),
    ...samplingFields,
    max_output_tokens: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  strict,
);
export type SessionSettings = Static<typeof SessionSettingsSchema>;

const TextPart = Type.Object({ type: Type.Enum(['input_text', 'output_text', 'text']), text: Type.String() }, strict);
const VideoPart = Type.Object({ type: Type.Literal('input_video'), video: Type.String({ maxLength: 200, description: 'video://<id>' }) }, strict);
const Part = Type.Union([TextPart, VideoPart]);

const NewItem = Type.Object(
  {
    type: Type.Optional(Type.Literal('message')),
    role: Type.Enum(['system', 'user', 'assistant']),
    content: Type.Array(Part, { minItems: 1, maxItems: 64 }),
  },
  strict,
);

/** Every event a client may send, by its type. */
export const clientEvents = {
  'session.update': Type.Object({ type: Type.Literal('session.update'), event_id: EventId, session: SessionSettingsSchema }, strict),
  'conversation.create': Type.Object({ type: Type.Literal('conversation.create'), event_id: EventId }, strict),
  'conversation.retrieve': Type.Object(
    { type: Type.Literal('conversation.retrieve'), event_id: EventId, conversation: Type.String({ maxLength: 100 }) },
    strict,
  ),
  'conversation.item.create': Type.Object(
    { type: Type.Literal('conversation.item.create'), event_id: EventId, conversation: ConversationId, item: NewItem },
    strict,
  ),
  'response.create': Type.Object(
    {
      type: Type.Literal('response.create'),
      event_id: EventId,
      conversation: ConversationId,
      response: Type.Optional(SessionSettingsSchema),
    },
    strict,
  ),
  'response.cancel': Type.Object(
    {
      type: Type.Literal('response.cancel'),
      event_id: EventId,
      conversation: ConversationId,
      response_id: Type.Optional(Type.String({ maxLength: 100 })),
    },
    strict,
  ),
  'video.subscribe': Type.Object({ type: Type.Literal('video.subscribe'), event_id: EventId, video: Type.String({ maxLength: 200 }) }, strict),
  'video.unsubscribe': Type.Object({ type: Type.Literal('video.unsubscribe'), event_id: EventId, video: Type.String({ maxLength: 200 }) }, strict),
} as const;

export type ClientEventType = keyof typeof clientEvents;
export type ClientEvent = { [T in ClientEventType]: Static<(typeof clientEvents)[T]> }[ClientEventType];

const validators = new Map<string, ReturnType<typeof Compile>>(
  Object.entries(clientEvents).map(([type, schema]) => [type, Compile(schema)]),
);

/** What can be read of an event before it is known to be valid: the id to answer under. */
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
  const validator = validators.get(type);
  if (!validator) {
    const known = Object.keys(clientEvents).join(', ');
    throw new ApiError('unknown_event', { param: 'type', message: `There is no event "${type.slice(0, 100)}". Known: ${known}.` });
  }
  if (!validator.Check(value)) throw validationError(validator.Errors(value), 'event');
  return value as ClientEvent;
}

export type MessageRole = 'system' | 'user' | 'assistant';
export type ItemPart =
  | { readonly type: 'input_text'; readonly text: string }
  | { readonly type: 'output_text'; readonly text: string }
  | { readonly type: 'input_video'; readonly video: string };
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** A message of a conversation, as stored and as sent. */
export interface Item {
  readonly id: string;
  readonly object: 'realtime.item';
  readonly type: 'message';
  readonly role: MessageRole;
  readonly status: ItemStatus;
  readonly content: readonly ItemPart[];
}

export interface Session {
  readonly id: string;
  readonly object: 'realtime.session';
  readonly model: string;
  readonly conversation: string;
  readonly instructions: string;
  readonly temperature: number;
  readonly top_p: number;
  readonly seed: number | null;
  readonly max_output_tokens: number;
}

export type ResponseStatus = 'in_progress' | 'completed' | 'cancelled' | 'incomplete' | 'failed';

/** A response of the model. `incomplete` with reason `max_output_tokens`: the answer was cut at its limit. */
export interface RealtimeResponse {
  readonly id: string;
  readonly object: 'realtime.response';
  readonly conversation: string;
  readonly status: ResponseStatus;
  readonly status_details: { readonly reason?: string; readonly error?: { readonly code: string; readonly message: string } } | null;
  readonly output: readonly Item[];
  readonly usage: Usage | null;
  /** Seconds from response.create to the first token and to the end; null until they are known. */
  readonly seconds: { readonly first_token: number | null; readonly total: number } | null;
}

export interface ConversationState {
  readonly id: string;
  readonly object: 'realtime.conversation';
  readonly items: readonly Item[];
  /** The response that is being written, with the text so far in `output`; null when there is none. */
  readonly response: RealtimeResponse | null;
}

interface DeltaPlace {
  readonly response_id: string;
  readonly conversation: string;
  readonly item_id: string;
  readonly output_index: 0;
  readonly content_index: 0;
}

/** Every event the server sends; the socket adds `event_id`. */
export type ServerEvent =
  | { readonly type: 'session.created' | 'session.updated'; readonly session: Session }
  | { readonly type: 'conversation.created' | 'conversation.retrieved'; readonly conversation: ConversationState }
  | { readonly type: 'conversation.item.added'; readonly conversation: string; readonly previous_item_id: string | null; readonly item: Item }
  | { readonly type: 'response.created' | 'response.done'; readonly response: RealtimeResponse }
  | ({ readonly type: 'response.output_text.delta'; readonly delta: string } & DeltaPlace)
  | ({ readonly type: 'response.output_text.done'; readonly text: string } & DeltaPlace)
  | { readonly type: 'video.progress'; readonly video: Video }
  | { readonly type: 'video.deleted'; readonly video: string }
  | { readonly type: 'video.subscribed' | 'video.unsubscribed'; readonly video: string }
  | {
      readonly type: 'error';
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly type: string;
        readonly param: string | null;
        /** `event_id` of the client event that led to it, where it had one. */
        readonly event_id: string | null;
      };
    };

/** Codes this server closes sockets with. */
export const closeCodes = {
  /** The server is stopping; reconnect in a moment. */
  goingAway: 1001,
  /** A message was larger than any this server reads. */
  tooLarge: 1009,
  /** Too many sockets are open. */
  tryAgainLater: 1013,
  /** The socket did not answer two heartbeats. */
  noHeartbeat: 4000,
  /** The socket did not read what it was sent. */
  slowReader: 4008,
  /** The socket went on sending far too many events after it was told. */
  flooding: 4029,
} as const;
