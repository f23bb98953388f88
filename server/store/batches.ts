import { isId, newId, now_s } from '../ids.js';
import type { Store } from './database.js';

/** As OpenAI names them. */
export type BatchStatus = 'validating' | 'failed' | 'in_progress' | 'finalizing' | 'completed' | 'expired' | 'cancelling' | 'cancelled';
/** From these a batch goes on; the others are ends. */
export const unfinished = ['validating', 'in_progress', 'finalizing', 'cancelling'] as const satisfies readonly BatchStatus[];

/** What is wrong with a batch's input. */
export interface BatchProblem {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** From 1; null where it is about the whole file. */
  readonly line: number | null;
}

export interface BatchRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: made while there were none, and everybody's. */
  readonly owner: string | null;
  readonly sequence: number;
  readonly inputFile: string;
  readonly status: BatchStatus;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly created_s: number;
  /** When it ends unfinished. */
  readonly expires_s: number;
  /** Seconds since it ended in which the server ran. */
  readonly ended_s: number;
  /** When it came to have each status, seconds since 1970. */
  readonly times: Readonly<Partial<Record<BatchStatus, number>>>;
  readonly errors: readonly BatchProblem[] | null;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly outputFile: string | null;
  readonly errorFile: string | null;
}

interface RawRow extends Omit<BatchRow, 'metadata' | 'times' | 'errors'> {
  readonly metadata: string | null;
  readonly times: string;
  readonly errors: string | null;
}

const columns = `id, owner, sequence, input_file AS inputFile, status, metadata, created_s, expires_s, ended_s, times, errors, total, completed, failed,
  output_file AS outputFile, error_file AS errorFile`;
const going = unfinished.map((status) => `'${status}'`).join(', ');

function fromRaw(row: RawRow): BatchRow {
  return {
    ...row,
    metadata: row.metadata === null ? null : (JSON.parse(row.metadata) as Record<string, string>),
    times: JSON.parse(row.times) as BatchRow['times'],
    errors: row.errors === null ? null : (JSON.parse(row.errors) as BatchProblem[]),
  };
}

/** The batches, and the results of their lines until those are written into files. What was added here is there after a kill. */
export class Batches {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add(row: Pick<BatchRow, 'owner' | 'inputFile' | 'metadata' | 'created_s' | 'expires_s'>): BatchRow {
    const id = newId('batch');
    this.#store.run(
      `INSERT INTO batches (id, owner, sequence, input_file, status, metadata, created_s, expires_s)
       SELECT ?, ?, COALESCE(MAX(sequence), 0) + 1, ?, 'validating', ?, ?, ? FROM batches`,
      id,
      row.owner,
      row.inputFile,
      row.metadata === null ? null : JSON.stringify(row.metadata),
      row.created_s,
      row.expires_s,
    );
    return this.get(id);
  }

  find(id: string): BatchRow | null {
    if (!isId('batch', id)) return null;
    const row = this.#store.get<RawRow>(`SELECT ${columns} FROM batches WHERE id = ?`, id);
    return row && fromRaw(row);
  }

  /** One that must be there. */
  get(id: string): BatchRow {
    const row = this.find(id);
    if (!row) throw new Error(`the batch ${id} is gone`);
    return row;
  }

  /** Newest first. */
  list(): BatchRow[] {
    return this.#store.all<RawRow>(`SELECT ${columns} FROM batches ORDER BY sequence DESC`).map(fromRaw);
  }

  /** Every batch that has ended did so longer ago. */
  age(elapsed_s: number): void {
    this.#store.run(`UPDATE batches SET ended_s = ended_s + ? WHERE status NOT IN (${going})`, elapsed_s);
  }

  /** Those that go on, oldest first. */
  going(): BatchRow[] {
    return this.#store.all<RawRow>(`SELECT ${columns} FROM batches WHERE status IN (${going}) ORDER BY sequence`).map(fromRaw);
  }

  /** Whether a batch that goes on reads the file. */
  reads(fileId: string): boolean {
    return this.#store.get(`SELECT id FROM batches WHERE input_file = ? AND status IN (${going})`, fileId) !== null;
  }

  setStatus(id: string, status: BatchStatus): void {
    const times = JSON.stringify({ ...this.get(id).times, [status]: now_s() });
    this.#store.run('UPDATE batches SET status = ?, times = ? WHERE id = ?', status, times, id);
  }

  /** Its input is right. */
  accept(id: string, total: number): void {
    this.#store.transaction(() => {
      this.#store.run('UPDATE batches SET total = ? WHERE id = ?', total, id);
      this.setStatus(id, 'in_progress');
    });
  }

  /** Its input is wrong. */
  refuse(id: string, errors: readonly BatchProblem[]): void {
    this.#store.transaction(() => {
      this.#store.run('UPDATE batches SET errors = ? WHERE id = ?', JSON.stringify(errors), id);
      this.setStatus(id, 'failed');
    });
  }

  /** Keeps the result of a line, once. @returns false where the line has one already */
  addResult(id: string, line: number, failed: boolean, content: string): boolean {
    return this.#store.transaction(() => {
      const added = this.#store.run('INSERT OR IGNORE INTO batch_results (batch_id, line, failed, content) VALUES (?, ?, ?, ?)', id, line, failed ? 1 : 0, content) > 0;
      if (added) this.#store.run(`UPDATE batches SET ${failed ? 'failed = failed' : 'completed = completed'} + 1 WHERE id = ?`, id);
      return added;
    });
  }

  /** Numbers of the lines that have a result. */
  answered(id: string): Set<number> {
    return new Set(this.#store.all<{ line: number }>('SELECT line FROM batch_results WHERE batch_id = ?', id).map(({ line }) => line));
  }

  /** Results in the order of lines, read a page at a time. */
  *results(id: string, failed: boolean, page = 200): Generator<string> {
    for (let last = 0; ; ) {
      const rows = this.#store.all<{ line: number; content: string }>(
        'SELECT line, content FROM batch_results WHERE batch_id = ? AND failed = ? AND line > ? ORDER BY line LIMIT ?', id, failed ? 1 : 0, last, page,
      );
      for (const { content } of rows) yield content;
      const end = rows.at(-1);
      if (end === undefined || rows.length < page) return;
      last = end.line;
    }
  }

  /** Its results lie in files now. Part of a transaction that also makes those files known. */
  end(id: string, status: BatchStatus, files: Pick<BatchRow, 'outputFile' | 'errorFile'>): void {
    this.#store.remove('DELETE FROM batch_results WHERE batch_id = ?', id);
    this.#store.run('UPDATE batches SET output_file = ?, error_file = ? WHERE id = ?', files.outputFile, files.errorFile, id);
    this.setStatus(id, status);
  }

  remove(id: string): void {
    this.#store.remove('DELETE FROM batches WHERE id = ?', id);
  }
}
