/** One question to each of many files: the work behind captioning and evaluation. */
import { askOnce, openAskable } from './ask.js';
import { describeFailure, UserError } from './failure.js';
import { ResumedLines, type JsonLine } from './json-lines.js';
import type { Models } from './models.js';
import { Progress } from './terminal.js';

export interface BatchItem {
  readonly id: string;
  /** Path to a container, video or photo. */
  readonly file: string;
  /** As the output names it. */
  readonly source: string;
  readonly question: string;
}

export interface BatchOptions {
  /** What is counted in progress, such as "captions". */
  readonly unit: string;
  readonly beams: number;
  readonly maxTokens: number;
  readonly signal: AbortSignal;
  /** The line that an answer becomes. */
  readonly line: (item: BatchItem, answer: BatchAnswer) => JsonLine;
  readonly progress: Progress;
}

export interface BatchAnswer {
  readonly text: string;
  readonly duration_s: number;
  readonly tokens: number;
  /** From opening the file to the last word. */
  readonly seconds: number;
}

export interface BatchReport {
  /** All lines of the items, earlier ones included, by id. */
  readonly lines: ReadonlyMap<string, JsonLine>;
  readonly answered: number;
  readonly skipped: number;
  readonly failed: number;
  readonly seconds: number;
}

/**
 * Answers every item that `output` does not have yet and appends each answer as it is there. A file that cannot be used becomes a line
 * with `error` and the rest goes on. With `output` null nothing is kept on disk.
 *
 * @throws the signal's reason when it is aborted; lines written by then stay, and the next run goes on after them.
 * @throws PackError and the like when the model cannot be loaded, UserError when `output` was begun with another model pack.
 */
export async function runBatch(items: readonly BatchItem[], output: ResumedLines | null, models: Models, options: BatchOptions): Promise<BatchReport> {
  const lines = new Map<string, JsonLine>();
  for (const line of output?.earlier ?? []) lines.set(String(line['id']), line);
  checkPack(output, models.pack.manifest.id);
  const waiting = items.filter(({ id }) => !lines.has(id));
  // A model that cannot be loaded is no file's fault: it ends the command instead of becoming an error line for each.
  if (waiting.length > 0) await Promise.all([models.tower(), models.chat()]);
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  let failed = 0;
  for (const [done, item] of waiting.entries()) {
    options.signal.throwIfAborted();
    let line: JsonLine;
    try {
      line = options.line(item, await answer(item, models, options));
    } catch (error) {
      options.signal.throwIfAborted();
      failed++;
      line = { id: item.id, source: item.source, error: { code: codeOf(error), message: describeFailure(error) } };
      options.progress.note(`${item.source}: ${describeFailure(error)}`);
    }
    await output?.append(line);
    lines.set(item.id, line);
    const rate = (done + 1) / elapsed();
    options.progress.update({
      label: options.unit,
      done: items.length - waiting.length + done + 1,
      total: items.length,
      unit: options.unit,
      detail: `${(rate * 60).toFixed(0)} a minute`,
      eta_s: (waiting.length - done - 1) / rate,
    });
  }
  options.progress.clear();
  return { lines, answered: waiting.length - failed, skipped: items.length - waiting.length, failed, seconds: elapsed() };
}

/** Lines of two packs in one file would be scored as if one had written them all. */
function checkPack(output: ResumedLines | null, pack: string): void {
  const other = output?.earlier.find((line) => typeof line['pack'] === 'string' && line['pack'] !== pack);
  if (output === null || other === undefined) return;
  throw new UserError(`${output.file} was begun with the model pack ${String(other['pack'])}, and this is ${pack}. Give another --out, or --pack as before.`);
}

async function answer(item: BatchItem, models: Models, { beams, maxTokens, signal }: BatchOptions): Promise<BatchAnswer> {
  const started = performance.now();
  const { video, container } = await openAskable(item.file, models, signal);
  const reply = await askOnce(models, video, item.question, { beams, maxTokens, signal });
  return {
    text: reply.text.trim(),
    duration_s: container.meta.duration_s,
    tokens: reply.usage.completion_tokens,
    seconds: (performance.now() - started) / 1000,
  };
}

/** The stable code that errors of media, containers, packs and prompts carry. */
function codeOf(error: unknown): string {
  if (error instanceof Error) {
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    if (typeof code === 'string') return code;
    if (cause instanceof Error) return codeOf(cause);
  }
  return 'failed';
}
