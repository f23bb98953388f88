/** How many frames a video shows and when it ends, from the times in its packets. */

export interface ShownFrames {
  readonly frames: number;
  /** Seconds at which the first frame appears. */
  readonly start: number;
  /** Seconds at which the last frame appears. */
  readonly lastStart: number;
  /** Seconds at which the last frame disappears; `lastStart` where no packet says how long it lasts. */
  readonly end: number;
}

/** Takes packets in any order. */
export class FrameCounter implements ShownFrames {
  frames = 0;
  start = Infinity;
  lastStart = 0;
  end = 0;

  /** @param time Seconds, or null for a packet that does not say. @param duration Seconds, 0 where unknown. */
  add(time: number | null, duration: number): void {
    this.frames++;
    if (time === null) return;
    this.start = Math.min(this.start, time);
    this.lastStart = Math.max(this.lastStart, time);
    this.end = Math.max(this.end, time + duration);
  }
}

/**
 * Seconds at which the video ends. Many files do not say how long their last frame is shown: then until the end of
 * the track, where that is known, else as long as the frames before it on average.
 *
 * @param trackEnd Seconds, 0 where unknown.
 */
export function endOfVideo({ frames, start, lastStart, end }: ShownFrames, trackEnd: number): number {
  if (end > lastStart) return end;
  if (trackEnd > lastStart) return trackEnd;
  return frames > 1 ? lastStart + (lastStart - start) / (frames - 1) : lastStart;
}

/** Mean frames per second, or null for a single frame. */
export function meanRate(frames: number, duration: number): number | null {
  return frames > 1 && duration > 0 ? frames / duration : null;
}
