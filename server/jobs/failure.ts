import { ContainerError } from '../../model/container/index.js';
import { FrameSourceError, type FrameSourceErrorCode } from '../../model/frames/index.js';
import { storageProblem, type ErrorCode } from '../errors.js';
import type { FailedMessage } from './messages.js';

const frameCodes: Readonly<Record<FrameSourceErrorCode, ErrorCode>> = {
  file_missing: 'internal_error',
  file_empty: 'empty_file',
  not_media: 'unsupported_media',
  video_truncated: 'damaged_media',
  codec_unsupported: 'unsupported_media',
  too_large: 'media_too_large',
  no_video_track: 'unsupported_media',
  media_damaged: 'damaged_media',
  source_closed: 'internal_error',
};

/**
 * What went wrong with a file, for its owner. Files are read under the names their owners gave them; where a message has the path on
 * the server after all, which is nobody's business, "The file" takes its place.
 */
export function describeFailure(error: unknown, file: string, otherwise: ErrorCode): FailedMessage {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof FrameSourceError) return { type: 'failed', code: frameCodes[error.code], message: withoutPath(error.message, file), detail };
  if (error instanceof ContainerError) return { type: 'failed', code: 'invalid_container', message: withoutPath(error.message, file), detail };
  return { type: 'failed', code: storageProblem(error) ?? otherwise, message: '', detail };
}

function withoutPath(message: string, file: string): string {
  return message.replaceAll(file, 'The file').slice(0, 500);
}
