/** Frames in memory as a source. */
import { resize } from './resize.js';
import { uniformIndices } from './sampling.js';
import type { Frame, FrameSource, FramesOptions } from './types.js';

/** @param held at least one, in order of time; each belongs to whoever gave it, and what is yielded is a copy */
export function heldFrames(held: readonly Frame[], duration_s: number): FrameSource {
  const { width, height } = held[0] as Frame;
  return {
    info: { width, height, duration_s, frames: held.length, fps: held.length / duration_s, kind: 'video' },
    warnings: [],
    async *frames({ size, limit = held.length, signal, from_s = 0 }: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
      for (const index of uniformIndices(held.length, limit)) {
        signal?.throwIfAborted();
        const frame = held[index] as Frame;
        if ((held[index + 1]?.time_s ?? Infinity) <= from_s) continue;
        const wanted = size ?? { width, height };
        const fits = frame.width === wanted.width && frame.height === wanted.height;
        yield await Promise.resolve({ ...wanted, time_s: frame.time_s, data: fits ? frame.data.slice() : resize(frame, wanted.width, wanted.height) });
      }
    },
    close: () => Promise.resolve(),
  };
}
