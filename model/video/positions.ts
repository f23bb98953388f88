/** Which frames a decoding shows, and when. */
import type { Timeline } from '../frames/timeline.js';

/** From the first frame to the last, both included. */
export type FrameRange = readonly [number, number];

/** Seconds a picture is shown that has no length of its own. */
const STILL_SECONDS = 1;
/** Shortest time between two pictures, in seconds: frames may share a time, players need one for each. */
const LEAST_GAP_S = 0.001;

/** The frames of the ranges, in order; with `slow` N above 1 and N - 1 places between each two that follow one another. */
export function positionsOf(ranges: readonly FrameRange[], slow: number): number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: (last - first) * slow + 1 }, (_, i) => first + i / slow));
}

/**
 * When each position is shown. Each is shown as long as the container shows the frame that it follows, so that `slow` times as many
 * pictures take `slow` times as long; ranges follow one another without a pause. With `fps` all are shown equally long.
 */
export function timelineOf(positions: readonly number[], times_s: Float64Array, duration_s: number, fps: number | null): Timeline {
  const starts_s = new Float64Array(positions.length);
  let now = 0;
  positions.forEach((position, i) => {
    starts_s[i] = now;
    now += fps === null ? Math.max(LEAST_GAP_S, shownFor(Math.floor(position), times_s, duration_s)) : 1 / fps;
  });
  return { starts_s, end_s: now };
}

/** Seconds from frame `index` to the next, or to the end. */
function shownFor(index: number, times_s: Float64Array, duration_s: number): number {
  const last = times_s.length - 1;
  const [first, time] = [times_s[0] as number, times_s[index] as number];
  if (index < last) return (times_s[index + 1] as number) - time;
  const rest = first + duration_s - time;
  if (rest >= LEAST_GAP_S) return rest;
  return last === 0 ? STILL_SECONDS : (time - first) / last;
}

/** Pictures a second on average. */
export function meanRate({ starts_s, end_s }: Timeline): number {
  return starts_s.length / end_s;
}
