/** What is asked again of a new worker after the last one has ended. */

/** Times that a reply or a search that waits is asked again; one that was begun, and may be what ended the worker, once. */
const MOST_CRASHES = 3;
const MOST_CRASHES_BEGUN = 1;

/** A reply or a search that the worker owes. */
export interface Owed {
  readonly started: boolean;
  /** Pieces of an answer that somebody has seen. */
  readonly pieces: number;
  /** Workers that have ended meanwhile. */
  crashes: number;
}

/** Counts one more worker that has ended. @returns whether the next one may be asked; otherwise the caller has to be told */
export function mayBeAskedAgain(owed: Owed): boolean {
  owed.crashes += 1;
  return owed.pieces === 0 && owed.crashes <= (owed.started ? MOST_CRASHES_BEGUN : MOST_CRASHES);
}
