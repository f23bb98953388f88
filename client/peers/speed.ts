/** How fast something draws frames, in Node and in the browser. */

const WARM_UP = 3;
/** A speed is measured for at least this long. */
const SECONDS = 3;

export interface SpeedOptions {
  /** A clock in seconds. Default: the time that passes. */
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
}

/** Frames a second of `frame`, which is called with 0, 1, 2, ... @throws the signal's reason between two frames once it is aborted */
export async function framesPerSecond(frame: (t: number) => Promise<unknown>, { clock = (): number => performance.now() / 1000, signal }: SpeedOptions = {}): Promise<number> {
  for (let t = 0; t < WARM_UP; t++) await frame(t);
  const start = clock();
  let count = 0;
  while (clock() - start < SECONDS) {
    signal?.throwIfAborted();
    await frame(count++);
  }
  return count / (clock() - start);
}
