/** The wire's own types, as the server defines and checks them: the client adds none. */
export type {
  Annotation,
  ClientEvent,
  ContentPart,
  Conversation,
  Item,
  ResponseObject,
  ResponseStatus,
  ServerEvent,
  Session,
  SessionSettings,
  Usage,
  Video,
  VideoProgress,
  VideoState,
} from '../../server/realtime/protocol.js';
export type { SearchRequest, SearchResult } from '../../server/api/schemas.js';
