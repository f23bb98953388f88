/** Many tasks, each giving lines of output: the work behind captioning and evaluation. */
import { createHash } from 'node:crypto';
import { describeFailure, UserError } from './failure.js';
import type { JsonLine, ResumedLines } from './json-lines.js';
import type { Progress } from './terminal.js';

/** Gives the lines of one task, each as soon as it is there. What it throws ends the batch: a bad file should become a line instead. */
export type TaskWorker<T> = (task: T, signal: AbortSignal) => AsyncIterable<JsonLine>;

export interface BatchOptions {
  /** What is counted in progress, such as "captions". */
  readonly unit: string;
  /** Tasks that earlier runs have finished. */
  readonly before: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Keeps one line. Called in the order of the tasks whatever worker is first, one line at a time. */
  readonly append: (line: JsonLine) => Promise<void>;
}

/**
 * Runs `tasks`, as many at once as there are workers. Lines come out in the order of the tasks, so that a run that was killed and gone on
 * with writes the same file as one that was not.
 *
 * @returns seconds it took
 * @throws the signal's reason when it is aborted, after every worker has stopped; lines appended by then stay
 */
export async function runBatch<T>(tasks: readonly T[], workers: readonly TaskWorker<T>[], options: BatchOptions): Promise<number> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const ordered = new OrderedLines(tasks.length, options.append);
  let next = 0;
  let done = 0;
  const work = async (worker: TaskWorker<T>): Promise<void> => {
    while (next < tasks.length) {
      signal.throwIfAborted();
      const index = next++;
      for await (const line of worker(tasks[index] as T, signal)) await ordered.add(index, line);
      await ordered.finish(index);
      done++;
      const rate = done / seconds();
      options.progress.update({
        label: options.unit,
        done: options.before + done,
        total: options.before + tasks.length,
        unit: options.unit,
        detail: `${(rate * 60).toFixed(0)} a minute`,
        eta_s: (tasks.length - done) / rate,
      });
    }
  };
  const ends = await Promise.allSettled(workers.map((worker) => work(worker).catch((error: unknown) => {
    stop.abort(error);
    throw error;
  })));
  options.progress.clear();
  options.signal.throwIfAborted();
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed?.status === 'rejected') throw stop.signal.reason;
  return seconds();
}

/** So many pieces of work at once, whoever they belong to; the others wait in the order they came. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(readonly count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** Results in the order of `items`, of which as many are worked on ahead as there are slots. */
export async function* inOrder<T, R>(items: readonly T[], slots: Slots, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const ahead: Promise<R>[] = [];
  try {
    for (const item of items) {
      const result = slots.run(() => work(item));
      // Heard of when its turn comes.
      result.catch(() => undefined);
      ahead.push(result);
      if (ahead.length === slots.count) yield (await ahead.shift()) as R;
    }
    for (const result of ahead) yield await result;
  } finally {
    // After a failure nothing may still be at work.
    await Promise.allSettled(ahead);
  }
}

/** Passes lines on in the order of their tasks: those of the first unfinished task at once, later ones when their turn has come. */
class OrderedLines {
  readonly #waiting: JsonLine[][];
  readonly #finished: boolean[];
  #head = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    tasks: number,
    private readonly append: (line: JsonLine) => Promise<void>,
  ) {
    this.#waiting = Array.from({ length: tasks }, () => []);
    this.#finished = new Array<boolean>(tasks).fill(false);
  }

  add(index: number, line: JsonLine): Promise<void> {
    this.#waiting[index]?.push(line);
    return this.#flush();
  }

  finish(index: number): Promise<void> {
    this.#finished[index] = true;
    return this.#flush();
  }

  #flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      while (this.#head < this.#waiting.length) {
        const lines = this.#waiting[this.#head] ?? [];
        for (let line = lines.shift(); line !== undefined; line = lines.shift()) await this.append(line);
        if (this.#finished[this.#head] !== true) return;
        this.#head++;
      }
    });
    return this.#writing;
  }
}

/** What a failure leaves in a line: a stable code and one sentence. */
export function errorField(error: unknown): { readonly error: { readonly code: string; readonly message: string } } {
  return { error: { code: codeOf(error), message: describeFailure(error) } };
}

/** The stable code that errors of media, containers, packs, prompts and the server carry. */
function codeOf(error: unknown): string {
  if (error instanceof Error) {
    const { code, cause } = error as { code?: unknown; cause?: unknown };
    if (typeof code === 'string') return code;
    if (cause instanceof Error) return codeOf(cause);
  }
  return 'failed';
}

/** Stands for everything that decides what a line says, so that lines made in two ways never mix in one file. */
export function runMark(settings: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 12);
}

/** @throws UserError when `output` was begun with another model pack or other options */
export function checkSameRun(output: ResumedLines | null, pack: string, mark: string): void {
  for (const line of output?.earlier ?? []) {
    if (typeof line['pack'] === 'string' && line['pack'] !== pack) {
      throw new UserError(`${output?.file} was begun with the model pack ${line['pack']}, and this is ${pack}. Give another --out, or --pack as before.`);
    }
    if (line['run'] !== mark) throw new UserError(`${output?.file} was begun with other options than these. Give another --out, or the options as before.`);
  }
}

/** Seconds as lines keep them. */
export const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000;
