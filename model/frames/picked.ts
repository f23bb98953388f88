/** A part of a video as a source of its own. */
import { shownFrom, uniformIndices } from './sampling.js';
import type { Frame, FrameSource, FramesOptions } from './types.js';

export interface PickedFrames {
  /** Only every so-many-th frame, from the first on. Default 1: each. */
  readonly step?: number;
  /** Only frames before this one. Default: to the end. */
  readonly end?: number;
}

/**
 * `source` as if it had only some of its frames; each keeps its time. Closing it closes `source`.
 * @throws RangeError where the number of frames is neither given nor known.
 */
export function pickFrames(source: FrameSource, { step = 1, end = Infinity }: PickedFrames): FrameSource {
  const { frames: known, fps, duration_s } = source.info;
  const last = Math.min(known ?? Infinity, end);
  if (last === Infinity) throw new RangeError('the video is too long to count its frames: say how many to take');
  const total = Math.ceil(last / step);
  return {
    info: { ...source.info, frames: total, fps: fps === null ? null : fps / step, duration_s: known === null || last === known ? duration_s : (duration_s * last) / known },
    get warnings() {
      return source.warnings;
    },
    async *frames({ limit = total, from_s, ...options }: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
      if (from_s !== undefined) {
        yield* shownFrom(this.frames(options), from_s);
        return;
      }
      const wanted = uniformIndices(total, limit).map((index) => index * step);
      let next = 0;
      let t = 0;
      for await (const frame of source.frames(options)) {
        if (t++ !== wanted[next]) continue;
        yield frame;
        if (++next === wanted.length) return;
      }
    },
    close: () => source.close(),
  };
}
