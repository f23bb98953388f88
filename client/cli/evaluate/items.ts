/** What is evaluated: questions about videos with accepted answers; a caption is the answer to the question for one. */
import type { Moment } from '../../metrics/moments.js';
import { CAPTION_FORMATS, QUESTION_FORMATS, readCaptionFormat, readQuestionFormat, type FormatOptions } from './formats/index.js';
import { checked, readCaptionData, readQuestionData, type MediaDatum } from './data.js';

export type Task = 'captions' | 'qa';
/** The field of a written line that holds the text. */
export const FIELDS: Readonly<Record<Task, 'caption' | 'answer'>> = { captions: 'caption', qa: 'answer' };

export interface Item extends MediaDatum {
  readonly id: string;
  /** null: the model pack's own question for a caption. */
  readonly question: string | null;
  /** What people wrote: references of a caption, accepted answers of a question. */
  readonly accepted: readonly string[];
  readonly type: string | null;
  readonly choices: readonly string[] | null;
  readonly moment?: Moment;
}

export interface ItemOptions extends FormatOptions {
  /** Name of a published format. Default: JSON lines as README.md shows them. */
  readonly format?: string;
  /** What to ask instead; for questions, `{question}` in it stands for the item's own. */
  readonly prompt?: string;
  /** Only the first items. */
  readonly limit?: number;
}

export async function readItems(task: Task, file: string, options: ItemOptions): Promise<Item[]> {
  const items = task === 'captions' ? await captionItems(file, options) : await questionItems(file, options);
  return checked(items, file).slice(0, options.limit);
}

async function captionItems(file: string, options: ItemOptions): Promise<Item[]> {
  const format = CAPTION_FORMATS.find((name) => name === options.format);
  const data = format === undefined ? await readCaptionData(file) : await readCaptionFormat(format, file, options);
  return data.map(({ references, ...datum }) => ({ ...datum, question: options.prompt ?? null, accepted: references, type: null, choices: null }));
}

async function questionItems(file: string, options: ItemOptions): Promise<Item[]> {
  const format = QUESTION_FORMATS.find((name) => name === options.format);
  const data = format === undefined ? await readQuestionData(file) : await readQuestionFormat(format, file, options);
  const { prompt = '{question}' } = options;
  return data.map(({ question, answers, ...datum }) => ({ ...datum, question: prompt.replaceAll('{question}', () => question), accepted: answers }));
}
