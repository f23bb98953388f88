/** A failure the user can do something about; its message is a whole sentence that says what is wrong and what to do. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'lies in something that is not a folder',
  EISDIR: 'is a folder; a file is needed',
  ENAMETOOLONG: 'is too long for a file name',
  EACCES: 'may not be read or written by this user',
  EPERM: 'may not be read or written by this user',
  EROFS: 'lies on a file system that cannot be written',
  ENOSPC: 'cannot be written: the disk is full; make room and run the command again',
};

/** One line for any failure, without control characters. */
export function describeFailure(error: unknown): string {
  return oneLine(messageOf(error));
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return `It failed: ${String(error)}`;
  const { code, path } = error as NodeJS.ErrnoException;
  const problem = code === undefined ? undefined : FILE_PROBLEMS[code];
  if (problem !== undefined && path !== undefined) return `${path} ${problem}.`;
  if (code === 'ENOSPC') return 'The disk is full; make room and run the command again.';
  // A programming error says little to a user; where it came from is what helps whoever mends it.
  if (error instanceof TypeError || error instanceof ReferenceError) return `Internal error: ${error.message} (run again with --debug to see where).`;
  return error.message;
}

/** Text of untrusted files on a terminal: no line breaks, no escape sequences. */
export function oneLine(text: string): string {
  return text.replace(/\s*\p{Cc}+\s*/gu, ' ').trim();
}
