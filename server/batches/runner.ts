import { setTimeout as wait } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Access } from '../access/access.js';
import { ChatRequestSchema, type ChatRequest } from '../api/chat-schemas.js';
import { checker } from '../api/check.js';
import { chatTaskOf, completionHead, completionOf, type CompletionServices } from '../chat/completion.js';
import { ApiError, toApiError, type ErrorCode } from '../errors.js';
import { newId, now_s } from '../ids.js';
import type { Inference } from '../inference/inference.js';
import type { Metrics } from '../metrics.js';
import type { ApiFiles } from '../store/api-files.js';
import type { Batches, BatchProblem, BatchRow, BatchStatus } from '../store/batches.js';
import type { Store } from '../store/database.js';
import type { Disk } from '../store/disk.js';
import type { Draft, FileShelf } from './files.js';
import { batchLine, LineError, textLines, type BatchLine } from './lines.js';
import { LineSlots } from './slots.js';

export interface RunnerOptions {
  readonly services: CompletionServices & { readonly inference: Inference; readonly access: Access; readonly metrics: Metrics };
  readonly store: Store;
  readonly disk: Disk;
  readonly batches: Batches;
  readonly files: ApiFiles;
  readonly shelf: FileShelf;
  readonly log: FastifyBaseLogger;
}

/** Problems of an input that are told; a file of another kind has as many as lines. */
const toldProblems = 20;
/** Seconds until what passes by itself is tried again: a video that is still being read, a model that loads. */
const again_s = 2;
/** A line that takes the model down this often has failed. */
const mostCrashes = 3;
/** What is no fault of a line, and passes. */
const passing: ReadonlySet<ErrorCode> = new Set(['model_loading', 'model_unavailable', 'stopping', 'queue_full', 'disk_full', 'disk_read_only']);
/** The owner of batches that were made while there were no keys. */
const everybody = 'everybody';

const chatRequest = checker(ChatRequestSchema);

/** Why a batch stops before its last line. */
class Ended extends Error {
  constructor(readonly status: 'cancelled' | 'expired' | 'removed' | 'stopping') {
    super(status);
  }
}

/**
 * The batches that are not finished. Every line's result is in the store before it counts, files are written when there are no more lines, and
 * become known in one step with the end of the batch. So a batch goes on after a kill where it was: lines that have a result are passed over.
 */
export class BatchRunner {
  readonly #options: RunnerOptions;
  readonly #slots: LineSlots;
  readonly #running = new Map<string, { readonly ended: AbortController; readonly done: Promise<void> }>();
  readonly #stopping = new AbortController();
  #open = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#slots = new LineSlots(options.services.limits.batchConcurrent);
  }

  /** Goes on with every batch of the store that is not finished. */
  start(): void {
    this.#open = true;
    for (const row of this.#options.batches.going()) this.add(row);
  }

  /** Begins a batch that the store has. */
  add({ id }: BatchRow): void {
    if (!this.#open || this.#running.has(id)) return;
    const ended = new AbortController();
    const done = this.#run(id, ended.signal).finally(() => this.#running.delete(id));
    this.#running.set(id, { ended, done });
  }

  get size(): number {
    return this.#running.size;
  }

  /** Ends a batch; what it has by now becomes its files. @throws ApiError `batch_ended` */
  cancel(id: string): void {
    const { batches } = this.#options;
    const { status } = batches.get(id);
    if (status === 'cancelling') return;
    if (status !== 'validating' && status !== 'in_progress') throw new ApiError('batch_ended', { message: `The batch is ${status} and cannot be cancelled.` });
    batches.setStatus(id, 'cancelling');
    this.#running.get(id)?.ended.abort(new Ended('cancelled'));
  }

  /** Ends a batch without a trace: its owner is gone. */
  async remove(id: string): Promise<void> {
    const running = this.#running.get(id);
    running?.ended.abort(new Ended('removed'));
    await running?.done;
    this.#options.batches.remove(id);
  }

  /** Stops for now: the next start goes on. */
  async stop(): Promise<void> {
    this.#open = false;
    this.#stopping.abort();
    const running = [...this.#running.values()];
    for (const { ended } of running) ended.abort(new Ended('stopping'));
    await Promise.all(running.map(({ done }) => done));
  }

  /** Never rejects: what the disk or the store cannot do now is tried again. */
  async #run(id: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.#advance(id, signal);
      } catch (error) {
        const over = (): boolean => this.#stopping.signal.aborted || isRemoved(signal);
        if (over()) return;
        this.#options.log.error({ err: error, batch: id }, 'a batch could not go on and is tried again');
        await this.#options.disk.untilWritable(this.#stopping.signal).catch(() => undefined);
        if (over()) return;
      }
    }
  }

  async #advance(id: string, signal: AbortSignal): Promise<void> {
    const { batches } = this.#options;
    let row = batches.get(id);
    try {
      if (row.status === 'validating') await this.#validate(row, signal);
      row = batches.get(id);
      if (row.status === 'failed') return;
      if (row.status === 'in_progress') await this.#answerAll(row, signal);
    } catch (error) {
      const reason: unknown = signal.aborted ? signal.reason : error;
      if (isBroken(reason)) return batches.refuse(id, [{ code: 'file_not_found', message: 'The input file is damaged or gone.', param: 'input_file_id', line: null }]);
      if (!(reason instanceof Ended)) throw error;
      if (reason.status === 'removed' || reason.status === 'stopping') return;
      return this.#finish(row, reason.status);
    }
    if (batches.get(id).status === 'cancelling') return this.#finish(row, 'cancelled');
    if (batches.get(id).status === 'in_progress') batches.setStatus(id, 'finalizing');
    await this.#finish(row, 'completed');
  }

  /** Reads the whole input once. A batch with a line that is none has not begun. */
  async #validate({ id, inputFile }: BatchRow, signal: AbortSignal): Promise<void> {
    const { batches, services: { limits } } = this.#options;
    const problems: BatchProblem[] = [];
    const tell = (problem: ApiError, line: number | null): void => {
      problems.push({ code: problem.code, message: problem.message, param: problem.param, line });
    };
    const lines = new Map<string, number>();
    let total = 0;
    try {
      for await (const text of textLines(this.#options.shelf.read(inputFile), limits.batchLineBytes)) {
        signal.throwIfAborted();
        total++;
        if (total > limits.batchLines) {
          tell(new ApiError('batch_too_long', { message: `The batch has more than ${limits.batchLines} lines. Split it.` }), null);
          break;
        }
        try {
          const { customId, number } = batchLine(text);
          const first = lines.get(customId);
          if (first === undefined) lines.set(customId, number);
          else tell(new ApiError('duplicate_custom_id', { param: 'custom_id', message: `The custom_id ${JSON.stringify(customId)} is that of line ${first} too.` }), number);
        } catch (error) {
          if (!(error instanceof LineError)) throw error;
          tell(error.problem, error.line);
        }
        if (problems.length >= toldProblems) break;
      }
    } catch (error) {
      // What cannot even be cut into lines ends the reading.
      if (!(error instanceof LineError)) throw error;
      tell(error.problem, error.line);
    }
    if (total === 0 && problems.length === 0) tell(new ApiError('empty_file', { message: 'The file has no lines.' }), null);
    signal.throwIfAborted();
    if (problems.length > 0) batches.refuse(id, problems);
    else batches.accept(id, total);
  }

  /** @throws Ended */
  async #answerAll(row: BatchRow, signal: AbortSignal): Promise<void> {
    const { batches, services: { access } } = this.#options;
    const expiry = new AbortController();
    const timer = setTimeout(() => expiry.abort(new Ended('expired')), Math.max(0, row.expires_s - now_s()) * 1000).unref();
    const over = AbortSignal.any([signal, expiry.signal]);
    const owner = row.owner ?? everybody;
    try {
      for (;;) {
        const answered = batches.answered(row.id);
        const working = new Set<Promise<void>>();
        let left = 0;
        let failure: unknown = null;
        try {
          for await (const line of this.#lines(row)) {
            if (answered.has(line.number)) continue;
            if (row.owner !== null) await this.#mayBegin(row.owner, over);
            await this.#slots.take(owner, row.owner === null ? Infinity : this.#mostOf(row.owner), over);
            const work = this.#answer(row, line, over)
              .then((stored) => {
                if (!stored) left++;
              }, (error: unknown) => {
                failure ??= error;
              })
              .finally(() => {
                this.#slots.give(owner);
                working.delete(work);
              });
            working.add(work);
            if (failure !== null) break;
          }
        } finally {
          // When the batch ends early its answers are given up, and end at once.
          await Promise.all(working);
        }
        over.throwIfAborted();
        if (failure !== null) throw failure;
        if (left === 0) return;
        await wait(again_s * 1000, undefined, { signal: over, ref: false });
        await access.refresh();
      }
    } catch (error) {
      throw over.aborted ? over.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async *#lines({ inputFile }: BatchRow): AsyncGenerator<BatchLine> {
    for await (const text of textLines(this.#options.shelf.read(inputFile), this.#options.services.limits.batchLineBytes)) yield batchLine(text);
  }

  #mostOf(owner: string): number {
    const { access } = this.#options.services;
    const key = access.find(owner);
    return key === null ? 1 : access.mostReplies(key);
  }

  /** Resolves when the owner's rate allows another line. */
  async #mayBegin(owner: string, signal: AbortSignal): Promise<void> {
    const { access } = this.#options.services;
    for (;;) {
      await access.refresh();
      const key = access.find(owner);
      // A key file that is lost lets nobody in, but removes nothing either.
      if (key === null && access.size > 0) throw new Ended('removed');
      const wait_s = key === null ? again_s : access.admitLine(key);
      if (wait_s === 0) return;
      await wait(wait_s * 1000, undefined, { signal, ref: false });
    }
  }

  /** Answers one line and keeps its result. @returns false where it has to be asked again later; @throws the signal's reason */
  async #answer(row: BatchRow, line: BatchLine, signal: AbortSignal): Promise<boolean> {
    const { batches, services } = this.#options;
    const { inference, metrics } = services;
    for (let crashes = 0; ; ) {
      const head = { id: newId('batch_req'), custom_id: line.customId };
      const request_id = newId('req');
      let status_code = 200;
      let answer: object;
      try {
        const task = await chatTaskOf(services, checkedBody(line.body), { caller: services.access.callerOf(row.owner), client: row.owner ?? everybody, background: true }, signal);
        const reply = inference.reply(task, { onDelta: () => undefined });
        const cancel = (): void => reply.cancel();
        signal.addEventListener('abort', cancel, { once: true });
        if (signal.aborted) cancel();
        const outcome = await reply.outcome.finally(() => signal.removeEventListener('abort', cancel));
        signal.throwIfAborted();
        answer = completionOf(completionHead(services), outcome);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toApiError(thrown);
        if (error.code === 'video_not_ready' && error.retryAfter_s !== null) return false;
        if (passing.has(error.code) || (error.code === 'inference_crashed' && ++crashes < mostCrashes)) {
          await wait(again_s * 1000, undefined, { signal, ref: false }).catch(() => signal.throwIfAborted());
          continue;
        }
        status_code = error.status;
        answer = error.toBody();
      }
      const failed = status_code !== 200;
      const stored = batches.addResult(row.id, line.number, failed, JSON.stringify({ ...head, response: { status_code, request_id, body: answer }, error: null }));
      if (stored) metrics.batchLine(failed ? 'failed' : 'completed');
      return true;
    }
  }

  /** Writes the results into files, then makes them known and the batch ended, in one step. */
  async #finish(row: BatchRow, status: Extract<BatchStatus, 'completed' | 'cancelled' | 'expired'>): Promise<void> {
    const { store, batches, shelf, log } = this.#options;
    if (status === 'expired') await this.#expireRest(row);
    const drafts: Draft[] = [];
    try {
      const write = async (failed: boolean): Promise<Draft | null> => {
        const { completed, failed: bad } = batches.get(row.id);
        if ((failed ? bad : completed) === 0) return null;
        const draft = await shelf.writeLines(batches.results(row.id, failed));
        drafts.push(draft);
        return draft;
      };
      const [output, errors] = [await write(false), await write(true)];
      store.transaction(() => {
        if (output) shelf.keep(output, row.owner, `${row.id}_output.jsonl`, 'batch_output');
        if (errors) shelf.keep(errors, row.owner, `${row.id}_error.jsonl`, 'batch_output');
        batches.end(row.id, status, { outputFile: output?.id ?? null, errorFile: errors?.id ?? null });
      });
    } catch (error) {
      for (const draft of drafts) await shelf.forget(draft);
      throw error;
    }
    log.info({ batch: row.id, status }, 'batch ended');
  }

  /** Lines that had no turn are told, so that nothing of the input is missing. */
  async #expireRest(row: BatchRow): Promise<void> {
    const { batches } = this.#options;
    const answered = batches.answered(row.id);
    const { code, message } = new ApiError('batch_expired').toBody().error;
    for await (const line of this.#lines(row)) {
      if (answered.has(line.number)) continue;
      batches.addResult(row.id, line.number, true, JSON.stringify({ id: newId('batch_req'), custom_id: line.customId, response: null, error: { code, message } }));
    }
  }
}

function isRemoved(signal: AbortSignal): boolean {
  return signal.reason instanceof Ended && signal.reason.status === 'removed';
}

/** The input is not what it was when it was found to be right: somebody has been at the data folder. */
function isBroken(error: unknown): boolean {
  return error instanceof LineError || (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT');
}

/** @throws ApiError naming the field that is wrong */
function checkedBody(value: object): ChatRequest {
  const body = chatRequest(value);
  if (body.stream === true) throw new ApiError('unsupported_parameter', { param: 'stream', message: 'A batch gives whole answers: leave the field "stream" out.' });
  return body;
}
