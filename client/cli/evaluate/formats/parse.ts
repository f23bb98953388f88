/** What the readers of published formats share: limits, and texts, JSON and tables read with errors that name the place. */
import { UserError } from '../../failure.js';

/** Bytes of one data file: the largest published one, MSR-VTT's captions, has about 30 MB. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Entries of one file: MSRVTT-QA, the largest, has 244,000 questions. */
export const MAX_ENTRIES = 2_000_000;
/** Characters of one field: questions and captions are sentences, not books. */
export const MAX_FIELD_CHARS = 10_000;
/** Columns of a table; the widest published one has 13. */
export const MAX_COLUMNS = 64;

/** One object of a file and where it was found, such as "data.json, entry 3". */
export interface Entry {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly where: string;
}

/** The value of a JSON file. @throws UserError with the line of what is not JSON */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    const line = position === undefined ? '' : `, line ${text.slice(0, Number(position)).split('\n').length}`;
    throw new UserError(`${file}${line}: this is not JSON.`);
  }
}

/** A list of objects. @param name what the list is called in messages, such as "videos"; null for the whole file */
export function entriesOf(value: unknown, file: string, name: string | null = null): Entry[] {
  const list = name === null ? 'the file' : `"${name}"`;
  if (!Array.isArray(value)) throw new UserError(`${file}: ${list} must be a list of objects.`);
  if (value.length > MAX_ENTRIES) throw new UserError(`${file}: ${list} has ${value.length} entries; at most ${MAX_ENTRIES} are read.`);
  return value.map((fields: unknown, i) => {
    const where = name === null ? `${file}, entry ${i + 1}` : `${file}, entry ${i + 1} of "${name}"`;
    return { fields: objectOf(fields, where), where };
  });
}

export function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${where}: this must be an object.`);
  return value as Readonly<Record<string, unknown>>;
}

/** A text with something in it. */
export function textOf({ fields, where }: Entry, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (typeof value !== 'string' || value.trim() === '') throw new UserError(`${where}: the field "${name}" must be a text.`);
  if (value.length > MAX_FIELD_CHARS) throw new UserError(`${where}: the field "${name}" has ${value.length} characters; at most ${MAX_FIELD_CHARS} are read.`);
  return value.trim();
}

/** A text or a whole number, as text: ids are written both ways. */
export function idOf(entry: Entry, name: string): string {
  const value = Object.hasOwn(entry.fields, name) ? entry.fields[name] : undefined;
  return Number.isSafeInteger(value) ? String(value) : textOf(entry, name);
}

/** A whole number from 0 to `most`, written as a number or as digits. */
export function indexOf(entry: Entry, name: string, most: number): number {
  const text = idOf(entry, name);
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most) throw new UserError(`${entry.where}: the field "${name}" must be a whole number from 0 to ${most}, not ${JSON.stringify(text.slice(0, 40))}.`);
  return value;
}

/**
 * The rows of a table whose first line names the columns. Fields may be quoted as RFC 4180 has it, unless the separator is a tab: such
 * tables quote nothing.
 *
 * @throws UserError naming the missing column, or the line that has too few fields or an open quote
 */
export function parseTable(text: string, file: string, separator: ',' | '\t', columns: readonly string[]): Entry[] {
  const rows = separator === ',' ? quotedRows(text, file) : plainRows(text);
  const [head, ...body] = rows;
  const names = (head?.cells ?? []).map((name) => name.replace(/^\ufeff/, '').trim());
  if (names.length > MAX_COLUMNS) throw new UserError(`${file}, line 1: ${names.length} columns; at most ${MAX_COLUMNS} are read.`);
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw new UserError(`${file}, line 1: the columns ${missing.join(', ')} are missing; it must name ${columns.join(', ')}.`);
  if (body.length > MAX_ENTRIES) throw new UserError(`${file} has ${body.length} rows; at most ${MAX_ENTRIES} are read.`);
  return body.map(({ cells, line }) => {
    if (cells.length !== names.length) throw new UserError(`${file}, line ${line}: ${cells.length} fields, and the first line names ${names.length}.`);
    return { fields: Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ''])), where: `${file}, line ${line}` };
  });
}

interface Row {
  readonly cells: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

function plainRows(text: string): Row[] {
  return text
    .split('\n')
    .map((content, i) => ({ content: content.replace(/\r$/, ''), line: i + 1 }))
    .filter(({ content }) => content.trim() !== '')
    .map(({ content, line }) => ({ cells: content.split('\t'), line }));
}

function quotedRows(text: string, file: string): Row[] {
  const rows: Row[] = [];
  const cell = /("(?:[^"]|"")*"|[^,\r\n"]*)(,|\r?\n|$)/y;
  let cells: string[] = [];
  let [line, begun] = [1, 1];
  for (let at = 0; at < text.length; at = cell.lastIndex) {
    cell.lastIndex = at;
    const match = cell.exec(text);
    if (match === null) throw new UserError(`${file}, line ${line}: a quote is open, or stands where none may.`);
    const [whole, content = '', end] = match;
    if (cells.length <= MAX_COLUMNS) cells.push(content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content);
    line += whole.split('\n').length - 1;
    if (end === ',' && cell.lastIndex < text.length) continue;
    if (end === ',') cells.push('');
    if (cells.length > 1 || cells[0]?.trim() !== '') rows.push({ cells, line: begun });
    [cells, begun] = [[], line];
  }
  return rows;
}
