/** What the model says to every item in every row, kept beside the references. */
import { checkSameRun, errorField, rounded, runBatch, runMark } from '../batch.js';
import type { Testimony } from '../../../projector/index.js';
import { oneLine, UserError } from '../failure.js';
import { idField, ResumedLines, type JsonLine } from '../json-lines.js';
import type { Progress } from '../terminal.js';
import type { Answerer } from './answerers.js';
import { readPredictions, textsOf, type Texts } from './data.js';
import { FIELDS, type Item, type Task } from './items.js';
import { ROWS, type Row } from './rows.js';

/** What was said, and how it came about. */
export interface Predictions {
  /** By row, in the order of tables. */
  readonly rows: ReadonlyMap<string, Texts>;
  /** (row, id) pairs that failed and count as nothing said, by row. */
  readonly failed: ReadonlyMap<string, number>;
  readonly origin: Readonly<Record<string, unknown>>;
  /** What speaks for each answer, by id, where the answerer was asked for that. */
  readonly testimonies: ReadonlyMap<string, Testimony>;
}

/** Texts from a file. @throws UserError when an id has no line in any row, or the file has no row of those asked for */
export async function predictionsFrom(file: string, task: Task, items: readonly Item[]): Promise<Predictions> {
  const rows = await readPredictions(file, FIELDS[task]);
  const missing = items.filter(({ id }) => ![...rows.values()].some((texts) => texts.has(id)));
  if (missing.length > 0) {
    throw new UserError(`${file} has no line for ${missing.length} of ${items.length} ids, the first being ${JSON.stringify(missing[0]?.id)}.`);
  }
  return { rows: inOrder(rows), failed: new Map(), origin: { predictions: file }, testimonies: new Map() };
}

export interface PredictOptions {
  readonly task: Task;
  /** File that lines are kept in and gone on with; null keeps nothing. */
  readonly out: string | null;
  /** Everything else that decides what is said. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Asks for every item and row that `out` does not have yet; each line is on the disk before the next is begun.
 * @throws the signal's reason when it is aborted; what was written stays
 */
export async function predict(items: readonly Item[], answerer: Answerer, options: PredictOptions): Promise<Predictions> {
  const { task, out, settings, progress, signal } = options;
  const run = runMark({ task, pack: answerer.pack, ...settings });
  const output = out === null ? null : await ResumedLines.open(out);
  checkSameRun(output, answerer.pack, run);
  const lines = [...(output?.earlier ?? [])];
  const known = new Set(lines.map((line) => key(String(line['row']), idField(line, out ?? ''))));
  const tasks: { item: Item; rows: Row[] }[] = [];
  for (const item of items) {
    const rows = (await answerer.rowsOf(item)).filter((row) => !known.has(key(row, item.id)));
    if (rows.length > 0) tasks.push({ item, rows });
  }
  if (tasks.length > 0) await answerer.prepare();
  let answered = 0;
  const field = FIELDS[task];
  async function* work({ item, rows }: { item: Item; rows: readonly Row[] }, stop: AbortSignal): AsyncGenerator<JsonLine> {
    for (const row of rows) {
      const started = performance.now();
      const head = { id: item.id, row, source: item.source, ...(item.question === null ? {} : { question: item.question }) };
      const tail = { [task === 'captions' ? 'references' : 'answers']: item.accepted, pack: answerer.pack, run };
      try {
        const { text, tokens, testimony } = await answerer.answer(item, row, stop);
        answered++;
        yield { ...head, [field]: text, ...tail, ...(testimony ? { testimony } : {}), tokens, seconds: rounded((performance.now() - started) / 1000) };
      } catch (error) {
        stop.throwIfAborted();
        const failure = errorField(error);
        progress.note(oneLine(`${item.source}, ${row}: ${failure.error.message}`));
        yield { ...head, ...failure, ...tail };
      }
    }
  }
  const seconds = await runBatch(tasks, [work], {
    unit: `${field}s`,
    before: items.length - tasks.length,
    progress,
    signal,
    append: async (line) => {
      lines.push(line);
      await output?.append(line);
    },
  });
  const wanted = new Set(items.map(({ id }) => id));
  const taken = lines.filter((line) => wanted.has(idField(line, out ?? '')));
  const failed = new Map<string, number>();
  for (const line of taken) if (line['error'] !== undefined) failed.set(String(line['row']), (failed.get(String(line['row'])) ?? 0) + 1);
  // Written by this program: of an earlier run of the same mark.
  const testimonies = new Map(taken.flatMap((line) => (line['testimony'] === undefined ? [] : [[String(line['id']), line['testimony'] as Testimony]])));
  return { rows: inOrder(textsOf(taken, field, out ?? 'the answers')), failed, origin: { pack: answerer.pack, ...settings, answered, seconds }, testimonies };
}

const key = (row: string, id: string): string => JSON.stringify([row, id]);

function inOrder(rows: ReadonlyMap<string, Texts>): Map<string, Texts> {
  const place = (name: string): number => {
    const at = ROWS.findIndex((row) => row === name);
    return at < 0 ? ROWS.length : at;
  };
  return new Map([...rows].sort(([a], [b]) => place(a) - place(b)));
}
