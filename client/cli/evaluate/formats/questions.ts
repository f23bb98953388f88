/** Published sets of questions about videos, in the files their authors publish. */
import type { QuestionDatum } from '../data.js';
import { entriesOf, idOf, indexOf, parseJson, parseTable, textOf, type Entry } from './parse.js';

/** A question whose video is known by the name of its file without extension; of several names any will do. */
export interface NamedQuestion extends Omit<QuestionDatum, 'source' | 'file' | 'original'> {
  readonly names: readonly string[];
}

/**
 * MSVD-QA (Xu et al. 2017): a list of `{"id", "video_id", "question", "answer"}`; videos are `vid<video_id>`, or as the lines
 * `<name> vid<video_id>` of `mapping` call them. The first word gives the type, as in the paper's table.
 */
export function parseMsvdQa(text: string, file: string, mapping: string | null): NamedQuestion[] {
  const names = new Map((mapping ?? '').split('\n').map((line): [string, string] => {
    const [name = '', id = ''] = line.trim().split(/\s+/);
    return [id, name];
  }));
  return entriesOf(parseJson(text, file), file).map((entry) => {
    const id = `vid${idOf(entry, 'video_id')}`;
    const mapped = names.get(id);
    return { ...answered(entry), names: mapped === undefined ? [id] : [id, mapped] };
  });
}

/** MSRVTT-QA (Xu et al. 2017): as MSVD-QA, with videos `video<video_id>`. */
export function parseMsrvttQa(text: string, file: string): NamedQuestion[] {
  return entriesOf(parseJson(text, file), file).map((entry) => ({ ...answered(entry), names: [`video${idOf(entry, 'video_id')}`] }));
}

function answered(entry: Entry): Omit<NamedQuestion, 'names'> {
  const question = textOf(entry, 'question');
  const word = /^\w+/.exec(question.toLowerCase())?.[0] ?? '';
  const type = ['what', 'who', 'how', 'when', 'where'].includes(word) ? word : 'other';
  return { id: idOf(entry, 'id'), question, answers: [textOf(entry, 'answer')], type, choices: null };
}

const ACTIVITYNET_TYPES = ['motion', 'spatial relationship', 'temporal relationship', 'yes/no', 'color', 'object', 'location', 'number', 'other'];

/**
 * ActivityNet-QA (Yu et al. 2019): a list of `{"question_id", "video_name", "question"}` and beside it one of
 * `{"question_id", "answer", "type"}`; videos are `v_<video_name>` or `<video_name>`.
 */
export function parseActivityNetQa(questions: string, questionsFile: string, answers: string, answersFile: string): NamedQuestion[] {
  const known = new Map(entriesOf(parseJson(answers, answersFile), answersFile).map((entry) => [idOf(entry, 'question_id'), entry]));
  return entriesOf(parseJson(questions, questionsFile), questionsFile).flatMap((entry) => {
    const id = idOf(entry, 'question_id');
    const answer = known.get(id);
    if (answer === undefined) return [];
    const name = textOf(entry, 'video_name');
    const type = ACTIVITYNET_TYPES[indexOf(answer, 'type', ACTIVITYNET_TYPES.length - 1)] ?? null;
    return [{ id, question: textOf(entry, 'question'), answers: [idOf(answer, 'answer')], type, choices: null, names: [`v_${name}`, name] }];
  });
}

const TGIF_TYPES = ['object', 'number', 'color', 'location'];

/** TGIF-QA's frame questions (Jang et al. 2017): a table with tabs and the columns gif_name, question, answer, type, vid_id. */
export function parseTgifFrameQa(text: string, file: string): NamedQuestion[] {
  return parseTable(text, file, '\t', ['gif_name', 'question', 'answer', 'type', 'vid_id']).map((entry) => ({
    id: textOf(entry, 'vid_id'),
    question: textOf(entry, 'question'),
    answers: [textOf(entry, 'answer')],
    type: TGIF_TYPES[indexOf(entry, 'type', TGIF_TYPES.length - 1)] ?? null,
    choices: null,
    names: [textOf(entry, 'gif_name')],
  }));
}

const NEXT_CHOICES = ['a0', 'a1', 'a2', 'a3', 'a4'];

/** NExT-QA's multiple choice (Xiao et al. 2021): a table with commas and the columns video, question, answer, qid, type, a0 to a4. */
export function parseNextQa(text: string, file: string): NamedQuestion[] {
  return parseTable(text, file, ',', ['video', 'question', 'answer', 'qid', 'type', ...NEXT_CHOICES]).map((entry) => {
    const choices = NEXT_CHOICES.map((name) => textOf(entry, name));
    const video = textOf(entry, 'video');
    return {
      id: `${video}_${textOf(entry, 'qid')}`,
      question: textOf(entry, 'question'),
      answers: [choices[indexOf(entry, 'answer', choices.length - 1)] ?? ''],
      type: textOf(entry, 'type'),
      choices,
      names: [video],
    };
  });
}
