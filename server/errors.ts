/** The one table of errors: code -> HTTP status, type, and the sentence used where no better one is at hand. */
export const errorTable = {
  invalid_request: [400, 'invalid_request_error', 'The request is not valid.'],
  invalid_json: [400, 'invalid_request_error', 'The body is not valid JSON.'],
  unsupported_parameter: [400, 'invalid_request_error', 'The request has a field that this server does not support.'],
  invalid_schema: [400, 'invalid_request_error', 'The JSON schema is wrong, or asks for what no answer here can be held to.'],
  unknown_event: [400, 'invalid_request_error', 'The event type is not known.'],
  empty_question: [400, 'invalid_request_error', 'The question has no text. Write what you want to know.'],
  question_too_long: [400, 'invalid_request_error', 'The question is too long.'],
  too_many_videos: [400, 'invalid_request_error', 'The conversation has too many videos.'],
  too_many_conversations: [400, 'invalid_request_error', 'The socket has too many conversations open.'],
  conversation_full: [400, 'invalid_request_error', 'The conversation has too many messages, or too long ones. Start a new one.'],
  context_too_long: [400, 'invalid_request_error', 'The newest message is longer than the model can read. Shorten it.'],
  clip_out_of_range: [404, 'not_found_error', 'The times of the clip are no part of the video.'],
  clip_too_long: [400, 'invalid_request_error', 'The clip is longer than this server cuts. Cut several.'],
  not_a_video: [400, 'invalid_request_error', 'Clips are cut from videos; this is a single picture.'],
  unsupported_video_url: [400, 'invalid_request_error', 'Videos are named as video://<id>; upload the file to /v1/uploads first.'],
  invalid_data_url: [400, 'invalid_request_error', 'The data: address, or the bytes in base64, are not valid. An address reads data:<type>;base64,<bytes>.'],
  remote_fetch_failed: [400, 'invalid_request_error', 'The video could not be fetched from its address.'],
  upload_header_invalid: [400, 'invalid_request_error', 'A header of the upload is missing or wrong.'],
  empty_file: [400, 'invalid_request_error', 'The file is empty (0 bytes). Choose another one.'],
  duplicate_custom_id: [400, 'invalid_request_error', 'Two lines of the batch have one custom_id.'],
  batch_too_long: [400, 'invalid_request_error', 'The batch has more lines than this server takes. Split it.'],
  missing_key: [401, 'authentication_error', 'This server needs an API key. Send it as "Authorization: Bearer <key>".'],
  invalid_key: [401, 'authentication_error', 'The API key is not known to this server.'],
  forbidden_origin: [403, 'permission_error', 'Pages of another origin may not use this server.'],
  forbidden_host: [403, 'permission_error', 'This server answers to its loopback names only.'],
  operator_only: [403, 'permission_error', 'This belongs to all who use the server, so only its operator may remove it.'],
  remote_url_forbidden: [403, 'permission_error', 'This server may not fetch videos from that address.'],
  not_found: [404, 'not_found_error', 'There is nothing at this address. /docs lists what there is.'],
  video_not_found: [404, 'not_found_error', 'There is no video with this id. GET /v1/videos lists them.'],
  upload_not_found: [404, 'not_found_error', 'There is no upload with this id. Start it again.'],
  conversation_not_found: [404, 'not_found_error', 'There is no conversation with this id.'],
  file_not_found: [404, 'not_found_error', 'There is no file with this id. GET /v1/files lists them.'],
  batch_not_found: [404, 'not_found_error', 'There is no batch with this id. GET /v1/batches lists them.'],
  response_not_found: [404, 'not_found_error', 'There is no running response to cancel.'],
  item_not_found: [404, 'not_found_error', 'The conversation has no item with this id.'],
  frame_not_found: [404, 'not_found_error', 'The video has no such frame.'],
  model_not_found: [404, 'not_found_error', 'There is no model with this name. GET /v1/models lists them.'],
  method_not_allowed: [405, 'invalid_request_error', 'This address does not take this method.'],
  video_not_ready: [409, 'conflict_error', 'The video cannot be asked about yet: its features are still being computed.'],
  container_not_ready: [409, 'conflict_error', 'The video has no container yet: its features are still being computed.'],
  pictures_not_ready: [409, 'conflict_error', 'The video has no decodable pictures yet: its network is still in training.'],
  response_in_progress: [409, 'conflict_error', 'This conversation has a response in progress. Wait for it or cancel it.'],
  file_in_use: [409, 'conflict_error', 'A batch that is not finished reads this file. Cancel the batch first.'],
  batch_ended: [409, 'conflict_error', 'The batch has ended already.'],
  upload_conflict: [409, 'conflict_error', 'The upload offset is not the one the server has. Ask for it with HEAD and go on from there.'],
  upload_gone: [410, 'not_found_error', 'The upload has expired. Start it again.'],
  upload_too_large: [413, 'invalid_request_error', 'The file is larger than this server takes.'],
  body_too_large: [413, 'invalid_request_error', 'The request body is too large.'],
  message_too_large: [413, 'invalid_request_error', 'The socket message is too large.'],
  unsupported_media_type: [415, 'invalid_request_error', 'The content type is not supported here.'],
  range_not_satisfiable: [416, 'invalid_request_error', 'The range lies outside the file.'],
  unsupported_media: [422, 'invalid_request_error', 'The file is not a video, photo or container that can be read.'],
  damaged_media: [422, 'invalid_request_error', 'The file is damaged or cut off.'],
  media_too_large: [422, 'invalid_request_error', 'The video is larger than this server encodes.'],
  invalid_container: [422, 'invalid_request_error', 'The .linr file is damaged or not valid.'],
  pack_mismatch: [422, 'invalid_request_error', 'The container was made for another model pack.'],
  probe_timeout: [422, 'invalid_request_error', 'Looking at the file took too long.'],
  encode_timeout: [422, 'invalid_request_error', 'Reading the frames of the video took too long. Convert it to an ordinary MP4 file and upload that.'],
  upgrade_required: [426, 'invalid_request_error', 'This address speaks WebSocket only. A proxy in front must pass on the headers Upgrade and Connection.'],
  rate_limited: [429, 'rate_limit_error', 'Too many events. Send fewer a second.'],
  too_many_replies: [429, 'rate_limit_error', 'This key has too many answers waiting or running. Wait for one of them.'],
  conversation_quota: [429, 'rate_limit_error', 'There are too many stored conversations. Delete some: GET and DELETE /v1/conversations.'],
  too_many_files: [429, 'rate_limit_error', 'There are too many files. Delete some that are not needed any more.'],
  too_many_batches: [429, 'rate_limit_error', 'There are too many unfinished batches. Wait for one of them.'],
  too_many_bodies: [429, 'rate_limit_error', 'Too many large requests are being read. Send it again in a moment, or upload the file to /v1/uploads.'],
  queue_full: [429, 'rate_limit_error', 'Too many answers are waiting. Try again in a moment.'],
  request_timeout: [408, 'invalid_request_error', 'The rest of the request did not come in time.'],
  batch_expired: [408, 'server_error', 'The batch ended before this line had its turn.'],
  cancelled: [499, 'cancelled_error', 'The request was cancelled.'],
  internal_error: [500, 'server_error', 'Something went wrong in the server. Its log has the details under the request id.'],
  search_failed: [500, 'server_error', 'The search failed. Search again.'],
  inference_failed: [500, 'server_error', 'The model failed while it answered. Ask again.'],
  inference_crashed: [500, 'server_error', 'The model process stopped while it answered and has been started again. Ask again.'],
  decode_failed: [500, 'server_error', 'The frame could not be decoded.'],
  clip_failed: [500, 'server_error', 'The clip could not be cut. Try again.'],
  encode_failed: [500, 'server_error', 'The encoder failed on this video.'],
  encode_crashed: [500, 'server_error', 'The encoder process ended several times on this video, so it was given up.'],
  search_unavailable: [501, 'server_error', 'The model pack of this server has no retrieval towers, so nothing can be searched.'],
  model_loading: [503, 'server_error', 'The model is still being loaded. Try again in a moment.'],
  model_unavailable: [503, 'server_error', 'The model could not be loaded, so the server cannot answer questions.'],
  stopping: [503, 'server_error', 'The server is stopping. Try again when it is back.'],
  disk_full: [507, 'storage_error', 'The disk of the server is full. Delete videos or free space, then go on: nothing was lost.'],
  disk_read_only: [507, 'storage_error', 'The data folder of the server cannot be written: its disk is read-only or failing. Nothing was lost.'],
} as const satisfies Record<string, readonly [number, string, string]>;

export type ErrorCode = keyof typeof errorTable;

/** The shape of every error this server sends, over HTTP and over the socket. */
export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly type: string; readonly param: string | null };
}

/** An error with a stable code, safe to show to a caller. Everything else is reported as `internal_error`. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly type: string;
  /** The field that is wrong, or null. */
  readonly param: string | null;
  /** Seconds after which it is worth trying again, where that is known. */
  readonly retryAfter_s: number | null;

  constructor(code: ErrorCode, options: { message?: string; param?: string | null; cause?: unknown; retryAfter_s?: number } = {}) {
    const [status, type, message] = errorTable[code];
    super(options.message ?? message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.type = type;
    this.param = options.param ?? null;
    this.retryAfter_s = options.retryAfter_s ?? null;
  }

  toBody(): ErrorBody {
    return { error: { code: this.code, message: this.message, type: this.type, param: this.param } };
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorTable, value);
}

interface ValidationIssue {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: Record<string, unknown>;
  readonly message?: string;
}

/** What is read from errors of Node, SQLite, Fastify and its validator; every field may be missing. */
interface ForeignError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: unknown;
  readonly validation?: readonly ValidationIssue[];
  readonly validationContext?: string;
}

/** `/messages/0/content` -> `messages[0].content`. */
function fieldName(pointer: string): string {
  return pointer
    .split('/')
    .filter((part) => part !== '')
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part.replaceAll('~1', '/').replaceAll('~0', '~')}`))
    .join('')
    .replace(/^\./, '');
}

/** `#/anyOf/1/properties/type` -> `#/anyOf/1`: the branch of a union that an issue belongs to, or null. */
function branchOf(issue: ValidationIssue): string | null {
  return /^.*\/(?:anyOf|oneOf)\/\d+/.exec(issue.schemaPath)?.[0] ?? null;
}

/**
 * A union reports the issues of all its branches. Those of a branch whose own `type` did not match say nothing, so they
 * are left out; of the rest the deepest field says most.
 */
function mostTelling(issues: readonly ValidationIssue[]): ValidationIssue | undefined {
  const other = issues.filter((issue) => issue.keyword === 'const').map(branchOf).filter((branch) => branch !== null);
  const own = issues.filter(
    (issue) => issue.keyword !== 'boolean' && issue.keyword !== 'anyOf' && !other.some((branch) => issue.schemaPath.startsWith(branch)),
  );
  const depth = (issue: ValidationIssue) => issue.instancePath.split('/').length;
  return (own.length > 0 ? own : [...issues]).sort((a, b) => depth(b) - depth(a))[0];
}

/** Turns the issues of a JSON schema validator into one sentence that names the field. */
export function validationError(issues: readonly ValidationIssue[], context = 'body'): ApiError {
  const issue = mostTelling(issues);
  if (!issue) return new ApiError('invalid_request');
  const field = fieldName(issue.instancePath);
  const extra = issue.params['additionalProperty'] ?? first(issue.params['additionalProperties']);
  if (typeof extra === 'string') {
    const param = (field ? `${field}.${extra}` : extra).slice(0, 200);
    return new ApiError('unsupported_parameter', { param, message: `The field "${param}" is not supported.` });
  }
  const missing = issue.params['missingProperty'] ?? first(issue.params['requiredProperties']);
  if (typeof missing === 'string') {
    const param = field ? `${field}.${missing}` : missing;
    return new ApiError('invalid_request', { param, message: `The field "${param}" is missing.` });
  }
  const param = field || context;
  const allowed = issue.params['allowedValues'];
  const rule = Array.isArray(allowed) ? `must be one of ${allowed.join(', ')}` : (issue.message ?? 'is not valid');
  return new ApiError('invalid_request', { param, message: `The field "${param}" is wrong: it ${rule}.` });
}

function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}

/** True where a write failed because the disk (or the quota) is full. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const { code } = at as ForeignError;
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL' || /database or disk is full/.test(at.message)) return true;
  }
  return false;
}

/** What is wrong with the disk where it refused to store something; null where the error is of another kind. */
export function storageProblem(error: unknown): 'disk_full' | 'disk_read_only' | null {
  if (isDiskFull(error)) return 'disk_full';
  if (error instanceof ApiError) return error.code === 'disk_full' || error.code === 'disk_read_only' ? error.code : null;
  const { code } = (error ?? {}) as ForeignError;
  const refused = typeof code === 'string' && (/^(EROFS|EACCES|EPERM|EIO)$/.test(code) || /^SQLITE_(READONLY|IOERR|CANTOPEN)/.test(code));
  return refused ? 'disk_read_only' : null;
}

/** The error a caller may see for anything thrown: known kinds keep their meaning, the rest says nothing about its inside. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  const storage = storageProblem(thrown);
  if (storage !== null) return new ApiError(storage, { cause: thrown });
  const error = (thrown ?? {}) as ForeignError;
  if (error.validation) return validationError(error.validation, error.validationContext);
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError('body_too_large', { cause: thrown });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ApiError('unsupported_media_type', { cause: thrown });
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new ApiError('invalid_json', { cause: thrown });
  }
  if (thrown instanceof SyntaxError && error.statusCode === 400) return new ApiError('invalid_json', { cause: thrown });
  if (typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) {
    if (error.statusCode === 404) return new ApiError('not_found', { cause: thrown });
    if (error.statusCode === 416) return new ApiError('range_not_satisfiable', { cause: thrown });
    return new ApiError('invalid_request', { cause: thrown });
  }
  return new ApiError('internal_error', { cause: thrown });
}
