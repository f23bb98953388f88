/** What can be wrong with a file of pictures, with codes that stay the same. */
import { CodedError } from '../runtime/coded-error.js';

export type FrameSourceErrorCode =
  /** No file at this path, or it may not be read. */
  | 'file_missing'
  /** The file has no bytes. */
  | 'file_empty'
  /** The bytes are no photo or video format known here. */
  | 'not_media'
  /** The file ends before its index or its first frame. */
  | 'video_truncated'
  /** The container is known, its pictures are in a codec that the decoder does not read. */
  | 'codec_unsupported'
  /** Above one of the limits of limits.ts. */
  | 'too_large'
  /** Sound or text only. */
  | 'no_video_track'
  /** No frame can be decoded. */
  | 'media_damaged'
  /** `frames()` was used after `close()`. */
  | 'source_closed';

/** A file that cannot be read as frames: `message` says which file, why, and what would help. */
export class FrameSourceError extends CodedError {
  override readonly name = 'FrameSourceError';

  constructor(
    readonly code: FrameSourceErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A file whose data cannot be decoded. */
export function damaged(name: string, cause: unknown): FrameSourceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FrameSourceError('media_damaged', `${name} cannot be decoded (${reason}); the file is damaged. Export or download it again.`, { cause });
}
