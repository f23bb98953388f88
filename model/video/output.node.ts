/** Places where results are written, looked at before any long work. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { CodedError } from '../runtime/coded-error.js';

/** Thrown for a place where a result cannot be written. */
export class OutputError extends CodedError {
  override readonly name = 'OutputError';

  constructor(
    readonly code: 'folder_missing' | 'is_a_folder' | 'format_unknown',
    message: string,
  ) {
    super(message);
  }
}

/** @throws OutputError for a file whose folder does not exist, or that is a folder itself */
export async function checkOutput(file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  const facts = await stat(folder).catch(() => null);
  if (facts === null || !facts.isDirectory()) {
    throw new OutputError('folder_missing', `${file} cannot be written: there is no folder ${folder}. Make it first or name another place.`);
  }
  const there = await stat(file).catch(() => null);
  if (there?.isDirectory() === true) throw new OutputError('is_a_folder', `${file} is a folder; name a file to write.`);
}
