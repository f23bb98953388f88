/** Files of one JSON object a line, read with care and written so that a kill at any moment loses nothing that was done. */
import { appendFile, readFile, truncate } from 'node:fs/promises';
import { UserError } from './failure.js';

export type JsonLine = Readonly<Record<string, unknown>>;

/** The objects of a file, in order; blank lines are passed over. @throws UserError naming the line that is not an object. */
export async function readJsonLines(file: string): Promise<JsonLine[]> {
  return parseJsonLines(await readFile(file, 'utf8'), file);
}

export function parseJsonLines(text: string, file: string): JsonLine[] {
  const lines: JsonLine[] = [];
  text.split('\n').forEach((line, i) => {
    if (line.trim() !== '') lines.push(parseObject(line, file, i + 1));
  });
  return lines;
}

function parseObject(line: string, file: string, number: number): JsonLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UserError(`${file}, line ${number}: this is not JSON. Each line must be one JSON object.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${file}, line ${number}: each line must be one JSON object.`);
  return value as JsonLine;
}

/** A field that must be a string with something in it. @throws UserError naming file, object and field. */
export function textField(line: JsonLine, field: string, file: string): string {
  const value = line[field];
  if (typeof value !== 'string' || value.trim() === '') throw new UserError(`${file}: ${nameOf(line)} needs a text in the field "${field}".`);
  return value;
}

/** A field that must be a list of strings with at least one. */
export function textListField(line: JsonLine, field: string, file: string): string[] {
  const value = line[field];
  if (!Array.isArray(value) || value.length === 0 || !value.every((item) => typeof item === 'string')) {
    throw new UserError(`${file}: ${nameOf(line)} needs a list of texts, at least one, in the field "${field}".`);
  }
  return value as string[];
}

/** Ids may be written as numbers. */
export function idField(line: JsonLine, file: string): string {
  const { id } = line;
  if (typeof id === 'number' && Number.isFinite(id)) return String(id);
  if (typeof id !== 'string' || id === '') throw new UserError(`${file}: the line ${JSON.stringify(line).slice(0, 80)} needs an "id".`);
  return id;
}

function nameOf({ id }: JsonLine): string {
  return typeof id === 'string' || typeof id === 'number' ? `the line with id ${JSON.stringify(id)}` : 'a line without id';
}

/** An output file that is gone on with: what earlier runs wrote stays and counts as done. */
export class ResumedLines {
  private constructor(
    readonly file: string,
    /** What the file held when it was opened. */
    readonly earlier: readonly JsonLine[],
  ) {}

  /** Opens the file; a last line that a kill cut short is removed. */
  static async open(file: string): Promise<ResumedLines> {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole.length < text.length) await truncate(file, Buffer.byteLength(whole));
    return new ResumedLines(file, parseJsonLines(whole, file));
  }

  /** Ids of `earlier`. */
  ids(): Set<string> {
    return new Set(this.earlier.map((line) => idField(line, this.file)));
  }

  /** Adds one line, on the disk when this resolves. */
  async append(line: JsonLine): Promise<void> {
    await appendFile(this.file, `${JSON.stringify(line)}\n`, { flush: true });
  }
}
