import { CodedError } from '../../model/runtime/coded-error.js';

/** What every failure of the API looks like on the wire: `{"error": {...}}`. */
interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
}

/**
 * A request that did not succeed.
 *
 * `code` is stable and meant for programs: the server's own codes, or `connection_failed` where no answer came,
 * `bad_response` where the answer was not this API's, `connection_lost` where a socket broke in the middle of an answer.
 * `message` is a plain sentence for people. `status` is the HTTP status, or null where there was none.
 */
export class LatentChatError extends CodedError {
  readonly code: string;
  readonly type: string;
  readonly param: string | null;
  readonly status: number | null;

  constructor(body: { code: string; message: string; type?: string; param?: string | null }, status: number | null = null, options?: ErrorOptions) {
    super(body.message, options);
    this.name = 'LatentChatError';
    this.code = body.code;
    this.type = body.type ?? 'client_error';
    this.param = body.param ?? null;
    this.status = status;
  }
}

/** Reads the error out of an answer's body; null where the body is not in the API's shape. */
export function parseErrorBody(text: string): ErrorBody | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('error' in value)) return null;
  const { error } = value;
  if (typeof error !== 'object' || error === null) return null;
  const { code, message, type, param } = error as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return null;
  return {
    code,
    message,
    type: typeof type === 'string' ? type : 'api_error',
    param: typeof param === 'string' ? param : null,
  };
}

/** The error for an answer with a failing status, whatever its body holds. */
export function errorFromAnswer(status: number, body: string): LatentChatError {
  const parsed = parseErrorBody(body);
  if (parsed) return new LatentChatError(parsed, status);
  return new LatentChatError({ code: 'bad_response', message: `The server answered with status ${status} and no reason.` }, status);
}

/** The error for a request that got no answer. */
export function connectionFailed(url: string, cause: unknown): LatentChatError {
  return new LatentChatError(
    { code: 'connection_failed', message: `No answer from ${url}. Check that the server is running and reachable.` },
    null,
    { cause },
  );
}
