/** When the frames of a video are shown, from times that a file may leave out, repeat, shuffle or start anew. */

/** When each picture of a video is shown: (n) rising seconds from 0, and the end of the last. */
export interface Timeline {
  readonly starts_s: Float64Array;
  readonly end_s: number;
}

/** Seconds. A clock that goes back further than this was started anew; less is the wrong order of a few frames. */
const RESTART_S = 10;

/**
 * The time of each frame, strictly rising from 0 on.
 *
 * @param told Seconds by the file, in the order of showing; null where it does not say.
 * @param step_s Seconds from frame to frame where the times themselves say nothing.
 */
export function repairTimes(told: readonly (number | null)[], step_s: number): Float64Array {
  const times = withoutRestarts(withoutGaps(told, step_s), step_s);
  // Frames come in the order of showing. Where their times do not, the file has mixed the times up, and there are as many of each.
  times.sort();
  spreadEqual(times, step_s);
  const start = times[0] ?? 0;
  return times.map((time) => time - start);
}

/** Times that are not told lie evenly between those that are, and as far apart before the first and after the last. */
function withoutGaps(told: readonly (number | null)[], step_s: number): Float64Array {
  const times = new Float64Array(told.length);
  const known = told.flatMap((time, index) => (time === null ? [] : [{ index, time }]));
  const [first, last] = [known[0], known.at(-1)];
  const mean = first === undefined || last === undefined ? 0 : (last.time - first.time) / (last.index - first.index);
  const step = Number.isFinite(mean) && mean > 0 ? mean : step_s;
  let before = { index: 0, time: first === undefined ? 0 : first.time - first.index * step };
  let next = 0;
  for (let index = 0; index < told.length; index++) {
    const after = known[next];
    const slope = after === undefined || after.index === before.index ? step : (after.time - before.time) / (after.index - before.index);
    times[index] = told[index] ?? before.time + (index - before.index) * slope;
    if (after?.index !== index) continue;
    before = after;
    next += 1;
  }
  return times;
}

/** A clock that was started anew goes on where it stopped. */
function withoutRestarts(times: Float64Array, step_s: number): Float64Array {
  let shift = 0;
  let latest = -Infinity;
  return times.map((time) => {
    if (time + shift < latest - RESTART_S) shift = latest + step_s - time;
    latest = Math.max(latest, time + shift);
    return time + shift;
  });
}

/** Frames with one time share the stretch until the next. */
function spreadEqual(times: Float64Array, step_s: number): void {
  for (let start = 0; start < times.length; ) {
    let end = start + 1;
    while (end < times.length && (times[end] as number) <= (times[start] as number)) end++;
    const from = times[start] as number;
    const until = times[end] ?? from + step_s * (end - start);
    for (let index = start + 1; index < end; index++) times[index] = from + ((until - from) * (index - start)) / (end - start);
    start = end;
  }
}

/** Gives frames that come one by one times that rise, where there is no knowing what comes later. */
export class FrameClock {
  #last: number | null = null;

  constructor(private readonly step_s: number) {}

  /** @param told Seconds by the file, or null. */
  next(told: number | null): number {
    const last = this.#last;
    if (last === null) this.#last = told ?? 0;
    else this.#last = told !== null && told > last ? told : last + this.step_s / 2;
    return this.#last;
  }
}
