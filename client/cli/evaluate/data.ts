/** Data to evaluate on: JSON lines of captions or questions, and tables of photos and captions as Flickr8k's. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Moment } from '../../metrics/moments.js';
import { UserError } from '../failure.js';
import { idField, readJsonLines, textField, textListField, type JsonLine } from '../json-lines.js';
import { readScenes, type Scene } from './scenes.js';

/** What is looked at. */
export interface MediaDatum {
  /** As the data names it. */
  readonly source: string;
  /** Where it lies: a path, or `video://<id>` of a server. */
  readonly file: string;
  /** Of a container, the video or photo it was made from, where that is known. */
  readonly original: string | null;
  /** Photos that are shown one after the other instead of a file; `file` then only stands for them. */
  readonly scenes?: readonly Scene[];
}

export interface CaptionDatum extends MediaDatum {
  readonly id: string;
  readonly references: readonly string[];
}

export interface QuestionDatum extends MediaDatum {
  readonly id: string;
  readonly question: string;
  readonly answers: readonly string[];
  readonly type: string | null;
  /** Multiple choice: the answers to choose from; null where the answer is written freely. */
  readonly choices: readonly string[] | null;
  /** Seconds that an answer should name, of questions for a moment. */
  readonly moment?: Moment;
}

/** Texts by id, of one way to answer. */
export type Texts = ReadonlyMap<string, string>;

/** Address of a server's video. */
export const SERVER_VIDEO = /^video:\/\/([^/?#]+)$/;

/**
 * Captions to be held against references: JSON lines `{"id","source","references":[...],"original"?}`, or a `.tsv` file with the columns image and
 * caption, one line a caption, and the photos in a folder `images` beside it. Paths are relative to the data file.
 */
export async function readCaptionData(file: string): Promise<CaptionDatum[]> {
  const data = file.endsWith('.tsv')
    ? captionTable(await readFile(file, 'utf8'), file)
    : (await readJsonLines(file)).map((line) => ({ id: idField(line, file), ...mediaOf(line, file), references: textListField(line, 'references', file) }));
  return checked(data, file);
}

/** Captions to learn from: as `readCaptionData` reads them, or lines with one `caption` instead of `references`. */
export async function readTrainingData(file: string): Promise<CaptionDatum[]> {
  if (file.endsWith('.tsv')) return readCaptionData(file);
  const data = (await readJsonLines(file)).map((line) => ({
    id: idField(line, file),
    ...mediaOf(line, file),
    references: given(line, 'references') ? textListField(line, 'references', file) : [textField(line, 'caption', file)],
  }));
  return checked(data, file);
}

/**
 * Questions: JSON lines `{"id","source","question","answers":[...],"type"?,"choices"?:[...],"original"?}`; instead of a file, `"scenes"` (see
 * readScenes) may name photos that are shown one after the other, and `"moment":[start,end]` the seconds an answer should name. Paths are
 * relative to the data file.
 */
export async function readQuestionData(file: string): Promise<QuestionDatum[]> {
  const lines = await readJsonLines(file);
  const data = lines.map((line) => ({
    id: idField(line, file),
    ...mediaOf(line, file),
    question: textField(line, 'question', file),
    answers: textListField(line, 'answers', file),
    type: given(line, 'type') ? textField(line, 'type', file) : null,
    choices: given(line, 'choices') ? textListField(line, 'choices', file) : null,
    ...(given(line, 'moment') ? { moment: momentField(line, file) } : {}),
  }));
  return checked(data, file);
}

/** A conversation about one thing, and what its last answer must match. */
export interface DialogueDatum extends MediaDatum {
  readonly id: string;
  /** The user's, in order, at least one. */
  readonly turns: readonly string[];
  readonly fits: RegExp;
}

/** Conversations: JSON lines `{"id","source","turns":[...],"fits"}`, where `fits` is a regular expression; `scenes` as for questions. */
export async function readDialogueData(file: string): Promise<DialogueDatum[]> {
  const data = (await readJsonLines(file)).map((line) => ({
    id: idField(line, file),
    ...mediaOf(line, file),
    turns: textListField(line, 'turns', file),
    fits: expressionField(line, 'fits', file),
  }));
  return checked(data, file);
}

function expressionField(line: JsonLine, field: string, file: string): RegExp {
  const source = textField(line, field, file);
  try {
    return new RegExp(source, 'i');
  } catch (cause) {
    throw new UserError(`${file}: "${field}" of the line with id ${JSON.stringify(line['id'])} is no regular expression.`, { cause });
  }
}

/** The name of a row that a file of predictions does not name. */
const UNNAMED_ROW = 'predictions';

/**
 * Texts written elsewhere or by an earlier run, by row and id: the field is `caption` or `answer`. A line with `error` counts as nothing
 * said.
 */
export async function readPredictions(file: string, field: 'caption' | 'answer'): Promise<Map<string, Map<string, string>>> {
  return textsOf(await readJsonLines(file), field, file);
}

export function textsOf(lines: readonly JsonLine[], field: 'caption' | 'answer', file: string): Map<string, Map<string, string>> {
  const rows = new Map<string, Map<string, string>>();
  for (const line of lines) {
    const name = given(line, 'row') ? textField(line, 'row', file) : UNNAMED_ROW;
    const row = rows.get(name) ?? new Map<string, string>();
    rows.set(name, row.set(idField(line, file), predictionOf(line, field, file)));
  }
  return rows;
}

/** What a written line says; nothing where it tells of an error. */
function predictionOf(line: JsonLine, field: 'caption' | 'answer', file: string): string {
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
  return [...references].map(([name, captions]) => ({ id: name, ...placed(path.posix.join('images', name), null, file), references: captions }));
}

const given = (line: JsonLine, field: string): boolean => line[field] !== undefined && line[field] !== null;

function momentField(line: JsonLine, file: string): Moment {
  const value = line['moment'];
  const [start, end] = Array.isArray(value) && value.length === 2 ? (value as unknown[]) : [];
  if (typeof start === 'number' && typeof end === 'number' && start >= 0 && start < end) return [start, end];
  throw new UserError(`${file}: "moment" of the line with id ${JSON.stringify(line['id'])} must be two numbers of seconds, the start before the end.`);
}

function mediaOf(line: JsonLine, dataFile: string): MediaDatum {
  if (given(line, 'scenes')) {
    const scenes = readScenes(line, (source) => path.resolve(path.dirname(dataFile), source), dataFile);
    return { source: textField(line, 'source', dataFile), file: `scenes:${JSON.stringify(scenes)}`, original: null, scenes };
  }
  return placed(textField(line, 'source', dataFile), given(line, 'original') ? textField(line, 'original', dataFile) : null, dataFile);
}

function placed(source: string, original: string | null, dataFile: string): MediaDatum {
  const at = (name: string): string => (SERVER_VIDEO.test(name) ? name : path.resolve(path.dirname(dataFile), name));
  return { source, file: at(source), original: original === null ? null : at(original) };
}

/** @throws UserError for data with nothing in it, and for ids that occur twice */
export function checked<T extends { readonly id: string }>(data: T[], file: string): T[] {
  if (data.length === 0) throw new UserError(`${file} has nothing in it to evaluate.`);
  const seen = new Set<string>();
  for (const { id } of data) {
    if (seen.has(id)) throw new UserError(`${file}: the id ${JSON.stringify(id)} occurs twice.`);
    seen.add(id);
  }
  return data;
}
