/** Where a command writes, and where its models come from: the process's own, unless it runs `within` others, as several in one process do. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Models } from '../../projector/library/models.js';
import type { ModelOptions } from './models.js';

/** As much of a stream as progress needs. */
export interface TextStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Surroundings {
  readonly out: TextStream;
  readonly err: TextStream;
  /** Opens the models of a pack. Whoever gives it decides what their `release` frees. */
  readonly openModels: (options: ModelOptions) => Promise<Models>;
}

const current = new AsyncLocalStorage<Surroundings>();

/** Runs `work` so that commands in it write and load as `surroundings` say. */
export function within<T>(surroundings: Surroundings, work: () => Promise<T>): Promise<T> {
  return current.run(surroundings, work);
}

/** Results: standard output. */
export function print(text: string): void {
  (current.getStore()?.out ?? process.stdout).write(text);
}

/** Progress and failures: standard error. */
export function errorStream(): TextStream {
  return current.getStore()?.err ?? process.stderr;
}

/** null: as the command itself would. */
export function modelOpener(): Surroundings['openModels'] | null {
  return current.getStore()?.openModels ?? null;
}
