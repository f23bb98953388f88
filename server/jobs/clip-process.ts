/** Cuts one clip in a process of its own at low priority, so that a file made to break a decoder breaks nothing else, and chats go first. */
import os from 'node:os';
import { ClipError, cutClip, type ClipErrorCode } from '../../model/inr/clip.node.js';
import { LinrDecodeError } from '../../model/inr/decode-error.js';
import type { ErrorCode } from '../errors.js';
import { behaveAsChild } from './child-side.js';
import { describeFailure } from './failure.js';
import type { ClipReport, ClipRequest, FailedMessage } from './messages.js';

/** Below encodes that somebody waits to ask about, above trainings. */
const NICENESS = 10;

const codes: Readonly<Record<ClipErrorCode, ErrorCode>> = { out_of_range: 'clip_out_of_range', too_long: 'clip_too_long', not_a_video: 'not_a_video' };

function failed(error: unknown, file: string): FailedMessage {
  if (error instanceof ClipError) return { type: 'failed', code: codes[error.code], message: error.message, detail: error.message };
  if (error instanceof LinrDecodeError && error.code === 'pictures_not_ready') return { type: 'failed', code: 'pictures_not_ready', message: '', detail: error.message };
  return describeFailure(error, file, 'clip_failed');
}

process.once('message', (task: ClipRequest) => {
  os.setPriority(NICENESS);
  void cutClip(task)
    .then((): ClipReport => ({ type: 'clip' }))
    .catch((error: unknown) => failed(error, task.file))
    .then((report) => process.send?.(report, () => process.exit(0)));
});
behaveAsChild();
