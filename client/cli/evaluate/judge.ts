/** An optional second opinion: a language model behind any OpenAI-compatible address says whether each text is right. */
import { bootstrapMean, type Interval } from '../../metrics/bootstrap.js';
import { checkSameRun, errorField, runBatch, runMark } from '../batch.js';
import { oneLine, UserError } from '../failure.js';
import { ResumedLines, type JsonLine } from '../json-lines.js';
import { completeChat, type ChatService } from '../openai-chat.js';
import type { Progress } from '../terminal.js';
import type { Item, Task } from './items.js';
import { rowLabel } from './rows.js';
import type { Predictions } from './predict.js';

/** What the judge is told. Figures of two prompts do not compare: a change here is a change of the metric. */
const INSTRUCTIONS: Readonly<Record<Task, string>> = {
  captions:
    'You compare a caption with descriptions that people wrote of the same picture or video. Reply with one word: "correct" when the caption says the same ' +
    'main thing as at least one of them and contradicts none, else "incorrect".',
  qa:
    'You compare an answer with the accepted answers to a question about a video. Reply with one word: "correct" when the answer means the same as one of ' +
    'the accepted answers, else "incorrect".',
};
/** Of the judge's replies. */
const SEED = 1;
const MAX_TOKENS = 16;

export interface Judge extends ChatService {
  readonly model: string;
}

/** How many replies a row got, and how many of them said "correct". */
export interface JudgedRow {
  readonly row: string;
  readonly judged: number;
  /** Replies that were neither, and requests that failed. */
  readonly unclear: number;
  readonly correct: number;
  /** Of the clear ones; null where there are none. */
  readonly share: { readonly mean: number; readonly interval: Interval } | null;
}

export interface Judgement {
  readonly url: string;
  readonly model: string;
  readonly seed: number;
  readonly instructions: string;
  readonly rows: readonly JudgedRow[];
  /** Every verdict with the reply it was read from. */
  readonly verdicts: readonly JsonLine[];
}

/** The judge that options and environment name. @throws UserError for an address that is none */
export function judgeOf(url: string, model: string, key: string | undefined): Judge {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new UserError(`--judge-url must be an http or https address such as http://127.0.0.1:8000/v1, not ${url}.`);
  if (new URL(url).password !== '') throw new UserError('--judge-url must not hold a password; give the key in LATENTCHAT_JUDGE_KEY.');
  return { baseUrl: url, model, key: key === undefined || key === '' ? null : key };
}

/**
 * Asks the judge about every text that is not empty. Verdicts are kept in `out`, which a later run goes on with.
 * @throws the signal's reason when it is aborted
 */
export async function judgeAll(
  judge: Judge,
  task: Task,
  items: readonly Item[],
  { rows }: Predictions,
  options: { readonly out: string | null; readonly progress: Progress; readonly signal: AbortSignal },
): Promise<Judgement> {
  const instructions = INSTRUCTIONS[task];
  const asked = [...rows].flatMap(([row, texts]) => items.flatMap((item) => (texts.has(item.id) ? [{ row, item, text: texts.get(item.id) ?? '' }] : [])));
  const run = runMark({ task, model: judge.model, instructions, seed: SEED });
  const output = options.out === null ? null : await ResumedLines.open(options.out);
  checkSameRun(output, '', run);
  const known = new Map((output?.earlier ?? []).map((line) => [keyOf(line), line]));
  const waiting = asked.filter(({ row, item, text }) => !known.has(keyOf({ row, id: item.id, text })));
  async function* work({ row, item, text }: (typeof asked)[number], stop: AbortSignal): AsyncGenerator<JsonLine> {
    const head = { id: item.id, row, text, run };
    if (text === '') {
      yield { ...head, verdict: 'incorrect', reply: '' };
      return;
    }
    const messages = [{ role: 'system', content: instructions }, { role: 'user', content: caseOf(task, item, text) }] as const;
    try {
      const { text: reply } = await completeChat(judge, { model: judge.model, messages, max_tokens: MAX_TOKENS, temperature: 0, seed: SEED }, stop);
      yield { ...head, verdict: verdictIn(reply), reply };
    } catch (error) {
      stop.throwIfAborted();
      const failure = errorField(error);
      options.progress.note(oneLine(`judge, ${item.id}: ${failure.error.message}`));
      yield { ...head, verdict: null, ...failure };
    }
  }
  await runBatch(waiting, [work], {
    unit: 'verdicts',
    before: asked.length - waiting.length,
    progress: options.progress,
    signal: options.signal,
    append: async (line) => {
      known.set(keyOf(line), line);
      // A request that failed may succeed next time.
      if (line['error'] === undefined) await output?.append(line);
    },
  });
  const verdicts = asked.flatMap(({ row, item, text }): JsonLine[] => {
    const line = known.get(keyOf({ row, id: item.id, text }));
    return line === undefined ? [] : [line];
  });
  return { url: judge.baseUrl, model: judge.model, seed: SEED, instructions, rows: [...rows.keys()].map((row) => judgedRow(row, verdicts)), verdicts };
}

const keyOf = (line: JsonLine): string => JSON.stringify([line['row'], line['id'], line['text']]);

function caseOf(task: Task, item: Item, text: string): string {
  const accepted = item.accepted.map((other) => `- ${oneLine(other)}`).join('\n');
  if (task === 'captions') return `Descriptions:\n${accepted}\nCaption: ${oneLine(text)}\nVerdict:`;
  return `Question: ${oneLine(item.question ?? '')}\nAccepted answers:\n${accepted}\nAnswer: ${oneLine(text)}\nVerdict:`;
}

/** The first of the two words in a reply. */
export function verdictIn(reply: string): 'correct' | 'incorrect' | null {
  const word = /\b(?:in)?correct\b/i.exec(reply)?.[0].toLowerCase();
  return word === 'correct' || word === 'incorrect' ? word : null;
}

function judgedRow(row: string, verdicts: readonly JsonLine[]): JudgedRow {
  const own = verdicts.filter((line) => line['row'] === row);
  const clear = own.flatMap(({ verdict }) => (verdict === 'correct' ? [1] : verdict === 'incorrect' ? [0] : []));
  const correct = clear.filter((value) => value === 1).length;
  return { row, judged: own.length, unclear: own.length - clear.length, correct, share: clear.length === 0 ? null : bootstrapMean(clear) };
}

/** Lines for the terminal; the figures stand apart from the table. */
export function judgementText({ model, rows }: Judgement): string {
  const lines = rows.map(({ row, judged, unclear, correct, share }) => {
    const interval = share === null ? '' : ` (${share.mean.toFixed(4)}, 95% ${share.interval.map((end) => end.toFixed(4)).join(' to ')})`;
    return `  ${rowLabel(row)}: ${correct} of ${judged - unclear} correct${interval}${unclear === 0 ? '' : `, ${unclear} without a verdict`}`;
  });
  return [`Judged by ${oneLine(model)}, not part of the scores above:`, ...lines].join('\n');
}
