/** Data to evaluate on: JSON lines of captions or questions, and tables of photos and captions as Flickr8k's. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../failure.js';
import { idField, readJsonLines, textField, textListField } from '../json-lines.js';

export interface CaptionDatum {
  readonly id: string;
  /** As the data names it. */
  readonly source: string;
  /** Where it lies. */
  readonly file: string;
  readonly references: readonly string[];
}

export interface QuestionDatum {
  readonly id: string;
  readonly source: string;
  readonly file: string;
  readonly question: string;
  readonly answers: readonly string[];
  readonly type: string | null;
}

/**
 * Captions to be held against references: JSON lines `{"id","source","references":[...]}`, or a `.tsv` file with the columns image and
 * caption, one line a caption, and the photos in a folder `images` beside it. Paths are relative to the data file.
 */
export async function readCaptionData(file: string): Promise<CaptionDatum[]> {
  const data = file.endsWith('.tsv')
    ? captionTable(await readFile(file, 'utf8'), file)
    : (await readJsonLines(file)).map((line) => ({ id: idField(line, file), ...sourceOf(textField(line, 'source', file), file), references: textListField(line, 'references', file) }));
  return checked(data, file);
}

/** Questions: JSON lines `{"id","source","question","answers":[...],"type"?}`. Paths are relative to the data file. */
export async function readQuestionData(file: string): Promise<QuestionDatum[]> {
  const lines = await readJsonLines(file);
  const data = lines.map((line) => ({
    id: idField(line, file),
    ...sourceOf(textField(line, 'source', file), file),
    question: textField(line, 'question', file),
    answers: textListField(line, 'answers', file),
    type: line['type'] === undefined || line['type'] === null ? null : textField(line, 'type', file),
  }));
  return checked(data, file);
}

/** Texts written elsewhere, by id: the field is `caption` or `answer`. A line with `error` counts as nothing said. */
export async function readPredictions(file: string, field: 'caption' | 'answer'): Promise<Map<string, string>> {
  const predictions = new Map<string, string>();
  for (const line of await readJsonLines(file)) predictions.set(idField(line, file), predictionOf(line, field, file));
  return predictions;
}

/** What a written line says; nothing where it tells of an error. */
export function predictionOf(line: Readonly<Record<string, unknown>>, field: 'caption' | 'answer', file: string): string {
  if (line['error'] !== undefined) return '';
  const value = line[field];
  if (typeof value !== 'string') throw new UserError(`${file}: the line with id ${JSON.stringify(line['id'])} needs a text in the field "${field}".`);
  return value;
}

function captionTable(text: string, file: string): CaptionDatum[] {
  const [head = '', ...rows] = text.split(/\r?\n/);
  const columns = head.split('\t').map((name) => name.trim().toLowerCase());
  const [image, caption] = [columns.indexOf('image'), columns.indexOf('caption')];
  if (image < 0 || caption < 0) throw new UserError(`${file}: the first line must name the columns image and caption, with a tab between.`);
  const references = new Map<string, string[]>();
  rows.forEach((row, i) => {
    if (row.trim() === '') return;
    const cells = row.split('\t');
    const [name, words] = [cells[image]?.trim(), cells[caption]?.trim()];
    if (name === undefined || name === '' || words === undefined) throw new UserError(`${file}, line ${i + 2}: an image and a caption with a tab between are needed.`);
    references.set(name, [...(references.get(name) ?? []), words]);
  });
  return [...references].map(([name, captions]) => ({ id: name, ...sourceOf(path.posix.join('images', name), file), references: captions }));
}

function sourceOf(source: string, dataFile: string): { source: string; file: string } {
  if (source.startsWith('video://')) throw new UserError(`${dataFile}: ${source} is a video of a server; name a file instead.`);
  return { source, file: path.resolve(path.dirname(dataFile), source) };
}

function checked<T extends { readonly id: string }>(data: T[], file: string): T[] {
  if (data.length === 0) throw new UserError(`${file} has nothing in it to evaluate.`);
  const seen = new Set<string>();
  for (const { id } of data) {
    if (seen.has(id)) throw new UserError(`${file}: the id ${JSON.stringify(id)} occurs twice.`);
    seen.add(id);
  }
  return data;
}
