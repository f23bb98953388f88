import type { ReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Access } from '../access/access.js';
import { owns, sees, type Caller } from '../access/caller.js';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';
import { now_s } from '../ids.js';
import type { ApiFiles, FileRow } from '../store/api-files.js';
import { unfinished, type Batches, type BatchRow } from '../store/batches.js';
import type { Draft, FileShelf } from './files.js';
import type { BatchRunner } from './runner.js';

/** Seconds in which a batch is answered, or ends unfinished: the one window there is. */
const window_s = 24 * 3600;

export interface BatchApiOptions {
  readonly files: ApiFiles;
  readonly batches: Batches;
  readonly shelf: FileShelf;
  readonly runner: BatchRunner;
  readonly access: Access;
  readonly limits: Limits;
}

/** Files and batches as one caller sees them: a key sees its own, and what was made while there were no keys, which only an operator ends. */
export class BatchApi {
  readonly #options: BatchApiOptions;

  constructor(options: BatchApiOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#options.runner.size;
  }

  /** After a start. */
  async recover(): Promise<void> {
    await this.#options.shelf.recover();
    await this.removeExpired(0);
    this.#options.runner.start();
  }

  stop(): Promise<void> {
    return this.#options.runner.stop();
  }

  listFiles(caller: Caller): FileRow[] {
    return this.#options.files.list().filter((row) => sees(caller, row));
  }

  /** @throws ApiError `file_not_found` */
  file(caller: Caller, id: string, param: string | null = null): FileRow {
    const row = this.#options.files.find(id);
    if (!row || !sees(caller, row)) throw new ApiError('file_not_found', { param });
    return row;
  }

  /**
   * Puts an upload's bytes on the disk; `keepUpload` makes them a file.
   * @param coming bytes that are announced, as far as known
   * @throws ApiError `too_many_files`, `disk_full`
   */
  receive(caller: Caller, stream: Readable, coming: number): Promise<Draft> {
    const { files, limits, shelf } = this.#options;
    const owned = files.list().filter(({ owner }) => owner === caller.owner).length;
    if (owned >= limits.filesPerKey) throw new ApiError('too_many_files', { message: `There are ${owned} files; the limit is ${limits.filesPerKey}. Delete some that are not needed any more.` });
    return shelf.receive(stream, coming);
  }

  /** @throws ApiError `empty_file` */
  keepUpload(caller: Caller, draft: Draft, name: string): FileRow {
    if (draft.bytes === 0) throw new ApiError('empty_file', { param: 'file' });
    return this.#options.shelf.keep(draft, caller.owner, name, 'batch');
  }

  forget(draft: Draft): Promise<void> {
    return this.#options.shelf.forget(draft);
  }

  /** @throws ApiError `file_not_found` */
  content(caller: Caller, id: string): Promise<ReadStream> {
    return this.#options.shelf.open(this.file(caller, id).id);
  }

  /** @throws ApiError `file_not_found`, `operator_only`, `file_in_use` */
  async deleteFile(caller: Caller, id: string): Promise<void> {
    const { batches, shelf } = this.#options;
    const row = this.file(caller, id);
    if (!owns(caller, row)) throw new ApiError('operator_only');
    if (batches.reads(row.id)) throw new ApiError('file_in_use');
    await shelf.remove(row.id);
  }

  listBatches(caller: Caller): BatchRow[] {
    return this.#options.batches.list().filter((row) => sees(caller, row));
  }

  /** @throws ApiError `batch_not_found` */
  batch(caller: Caller, id: string): BatchRow {
    const row = this.#options.batches.find(id);
    if (!row || !sees(caller, row)) throw new ApiError('batch_not_found');
    return row;
  }

  /** @throws ApiError `file_not_found`, `invalid_request`, `too_many_batches` */
  create(caller: Caller, inputFile: string, metadata: Readonly<Record<string, string>> | null): BatchRow {
    const { batches, runner, limits } = this.#options;
    const file = this.file(caller, inputFile, 'input_file_id');
    if (file.purpose !== 'batch') throw new ApiError('invalid_request', { param: 'input_file_id', message: 'The field "input_file_id" must name a file that was uploaded with the purpose "batch".' });
    const { owner } = caller;
    const going = batches.going().filter((row) => row.owner === owner).length;
    if (going >= limits.batchesPerKey) throw new ApiError('too_many_batches', { message: `There are ${going} unfinished batches; the limit is ${limits.batchesPerKey}. Wait for one of them.` });
    const created_s = now_s();
    const row = batches.add({ owner, inputFile: file.id, metadata, created_s, expires_s: created_s + window_s });
    runner.add(row);
    return row;
  }

  /** @throws ApiError `batch_not_found`, `operator_only`, `batch_ended` */
  cancel(caller: Caller, id: string): BatchRow {
    const { runner, batches } = this.#options;
    const row = this.batch(caller, id);
    if (!owns(caller, row)) throw new ApiError('operator_only');
    runner.cancel(row.id);
    return batches.get(row.id);
  }

  /** Counts time in which the server ran. */
  age(elapsed_s: number): void {
    this.#options.files.age(elapsed_s);
    this.#options.batches.age(elapsed_s);
  }

  /**
   * Removes what is old, and what belongs to keys that were removed: nobody could ask for it any more. Age is counted while the server runs.
   * @param elapsed_s since the last call
   */
  async removeExpired(elapsed_s: number): Promise<void> {
    const { files, batches, shelf, runner, access, limits } = this.#options;
    await access.refresh();
    if (elapsed_s > 0) this.age(elapsed_s);
    for (const { id, owner, status, ended_s } of batches.list()) {
      const ended = !unfinished.some((other) => other === status);
      if (access.isGone(owner) || (ended && ended_s > limits.fileExpiry_s)) await runner.remove(id);
    }
    for (const { id, owner, age_s } of files.list()) {
      if (access.isGone(owner) || (age_s > limits.fileExpiry_s && !batches.reads(id))) await shelf.remove(id);
    }
  }
}
