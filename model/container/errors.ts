import { CodedError } from '../runtime/coded-error.js';

/** The stable reasons for which a container is refused. */
export type ContainerErrorCode =
  | 'not_a_container'
  | 'version_unsupported'
  | 'truncated'
  | 'checksum_mismatch'
  | 'limit_exceeded'
  | 'malformed'
  /** The bytes could not be fetched: no answer, an HTTP error, a source that gives other bytes than were asked for. */
  | 'source_failed'
  /** The file was replaced by another while it was being read; open it again. */
  | 'source_changed';

/** Thrown by the reader for bytes it refuses or cannot get, and by the writer for values a container cannot hold. */
export class ContainerError extends CodedError {
  readonly code: ContainerErrorCode;
  /** With code `truncated`: how many bytes from the start of the file the call needs, where that is known. */
  readonly neededBytes: number | null;

  constructor(code: ContainerErrorCode, message: string, neededBytes: number | null = null) {
    super(message);
    this.name = 'ContainerError';
    this.code = code;
    this.neededBytes = neededBytes;
  }
}

/** Shorthand for the commonest refusal. */
export function malformed(message: string): ContainerError {
  return new ContainerError('malformed', message);
}
