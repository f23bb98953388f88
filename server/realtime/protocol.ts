/** What goes over the wire, as types alone: clients import this file with `import type` and get no code from it. */
import type { Video as VideoResource, VideoProgress as Progress } from '../api/schemas.js';

export type Video = VideoResource;
export type VideoProgress = Progress;
export type VideoState = Video['state'];

export type MessageRole = 'system' | 'user' | 'assistant';

/** A moment an answer names: a video by its id, seconds, and the cosine of its frames with the question's words. */
export interface Annotation {
  readonly type: 'moment';
  readonly video: string;
  readonly start_s: number;
  readonly end_s: number;
  readonly score?: number;
}

export type ContentPart =
  | { readonly type: 'input_text'; readonly text: string }
  | { readonly type: 'input_video'; readonly video_id: string }
  | {
      readonly type: 'output_text';
      readonly text: string;
      readonly annotations: readonly Annotation[];
      /** Chance that the answer is right, 0 to 1; absent in what was kept before it was told. */
      readonly confidence?: number | null;
    };

/** A message of a conversation, as stored and as sent. `incomplete`: it was cancelled or cut at its limit. */
export interface Item {
  readonly id: string;
  readonly object: 'realtime.item';
  readonly type: 'message';
  readonly role: MessageRole;
  readonly status: 'in_progress' | 'completed' | 'incomplete';
  readonly content: readonly ContentPart[];
}

export interface Session {
  readonly id: string;
  readonly object: 'realtime.session';
  readonly type: 'realtime';
  readonly model: string;
  /** The system message; empty: the one the model was trained with. */
  readonly instructions: string;
  /** 0 always takes the likeliest token. */
  readonly temperature: number;
  readonly top_p: number;
  readonly seed: number | null;
  readonly max_output_tokens: number;
  readonly output_modalities: readonly 'text'[];
}

export interface Usage {
  readonly input_tokens: number;
  /** Of `input_tokens`, those whose keys and values were still in the cache. */
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly total_tokens: number;
}

export type ResponseStatus = 'in_progress' | 'completed' | 'cancelled' | 'incomplete' | 'failed';

/** A response of the model. */
export interface ResponseObject {
  readonly id: string;
  readonly object: 'realtime.response';
  readonly conversation: string;
  /** `incomplete`: the answer was cut at max_output_tokens. */
  readonly status: ResponseStatus;
  readonly status_details: { readonly reason?: string; readonly error?: { readonly code: string; readonly message: string } } | null;
  /** The answer's message, with the moments it names; empty until it is done, and where nothing was written. */
  readonly output: readonly Item[];
  readonly usage: Usage | null;
  /** Seconds from response.create to the first token and to the end; null until it is done. */
  readonly seconds: { readonly first_token: number; readonly total: number } | null;
}

export interface Conversation {
  readonly id: string;
  readonly object: 'realtime.conversation';
  /** With the answer that is being written, as far as it is, at the end. */
  readonly items: readonly Item[];
  /** The response that is being written, or null. */
  readonly response: ResponseObject | null;
}

interface Place {
  readonly response_id: string;
  readonly conversation: string;
  readonly item_id: string;
  readonly output_index: 0;
  readonly content_index: 0;
}

/** An event of the server before the socket has given it its `event_id`. */
export type ServerEventBody =
  | { readonly type: 'session.created'; readonly session: Session; readonly conversation: Conversation }
  | { readonly type: 'session.updated'; readonly session: Session }
  | { readonly type: 'conversation.created' | 'conversation.retrieved'; readonly conversation: Conversation }
  | { readonly type: 'conversation.item.added' | 'conversation.item.done'; readonly conversation: string; readonly previous_item_id: string | null; readonly item: Item }
  | { readonly type: 'conversation.item.deleted'; readonly conversation: string; readonly item_id: string }
  | { readonly type: 'conversation.deleted'; readonly conversation: string }
  | { readonly type: 'response.created' | 'response.done'; readonly response: ResponseObject }
  | { readonly type: 'response.queued'; readonly response_id: string; readonly conversation: string; readonly position: number }
  | { readonly type: 'response.output_item.added' | 'response.output_item.done'; readonly response_id: string; readonly output_index: 0; readonly item: Item }
  | ({ readonly type: 'response.content_part.added' | 'response.content_part.done'; readonly part: { readonly type: 'text'; readonly text: string } } & Place)
  | ({ readonly type: 'response.output_text.delta'; readonly delta: string } & Place)
  | ({ readonly type: 'response.output_text.done'; readonly text: string } & Place)
  | { readonly type: 'video.progress'; readonly video: Video }
  | { readonly type: 'video.deleted'; readonly video_id: string }
  | { readonly type: 'video.subscribed' | 'video.unsubscribed'; readonly video_id: string }
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

export type ServerEvent = ServerEventBody & { readonly event_id: string };

/** Fields of session.update; response.create takes them for one response. */
export interface SessionSettings {
  readonly instructions?: string;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly seed?: number;
  /** `inf`: as many as this server writes. */
  readonly max_output_tokens?: number | 'inf';
}

/** A video part names the video by id, or as `video://<id>`. */
export type NewPart =
  | { readonly type: 'input_text' | 'output_text' | 'text'; readonly text: string }
  | { readonly type: 'input_video'; readonly video_id: string }
  | { readonly type: 'input_video'; readonly video: string };

/** An event of a client. `conversation` defaults to the one that session.created named. */
export type ClientEvent = { readonly event_id?: string } & (
  | { readonly type: 'session.update'; readonly session: SessionSettings }
  | { readonly type: 'conversation.create' }
  | { readonly type: 'conversation.retrieve'; readonly conversation: string }
  | {
      readonly type: 'conversation.item.create';
      readonly conversation?: string;
      /** May name the last message only: messages are added at the end. */
      readonly previous_item_id?: string;
      readonly item: { readonly type?: 'message'; readonly role: MessageRole; readonly content: readonly NewPart[] };
    }
  | { readonly type: 'conversation.item.delete'; readonly conversation?: string; readonly item_id: string }
  | { readonly type: 'response.create'; readonly conversation?: string; readonly response?: SessionSettings }
  | { readonly type: 'response.cancel'; readonly conversation?: string; readonly response_id?: string }
  | { readonly type: 'video.subscribe' | 'video.unsubscribe'; readonly video_id: string }
);
