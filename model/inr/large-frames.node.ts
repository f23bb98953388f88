/** Some of a video's frames at the size they are enlarged to, read beside the encoded ones and kept as samples. */
import type { Frame, FrameSource } from '../frames/index.js';
import type { Runtime } from '../runtime/types.js';
import { LinrDecoder } from './decoder.js';
import { EnlargeFit, sampleEnlarged, type EnlargeFilters, type EnlargeSamples } from './enlarge.js';
import type { Plan } from './plan.js';

/** One frame in so many is looked at: eight of a segment of 128. */
const EVERY = 16;
/** Seconds by which the times of one frame may differ between two readings. */
const SAME_TIME_S = 1e-4;

export class LargeFrames {
  private readonly frames: AsyncIterator<Frame> | null;
  /** Read, but of a segment that comes later. */
  private ahead: Frame | null = null;

  constructor(source: FrameSource, private readonly plan: Plan, private readonly times_s: Float64Array, cancel: { readonly signal?: AbortSignal }) {
    const limit = Math.max(1, Math.round(times_s.length / EVERY));
    this.frames = plan.enlarged === null ? null : source.frames({ size: plan.enlarged, limit, ...cancel })[Symbol.asyncIterator]();
  }

  /** Samples of the frames looked at among the `count` from `first` on, by frame. Segments must be asked for in order. */
  async samples(first: number, count: number): Promise<Map<number, EnlargeSamples>> {
    const found = new Map<number, EnlargeSamples>();
    const { width, height } = this.plan.size;
    for (let frame = await this.next(); frame !== null; frame = await this.next()) {
      const { time_s } = frame;
      const t = this.times_s.findIndex((time) => time > time_s - SAME_TIME_S);
      if (t >= first + count) {
        this.ahead = frame;
        break;
      }
      // A frame that the encoding passes over has nothing to be compared with.
      if (t >= first && (this.times_s[t] as number) < time_s + SAME_TIME_S) found.set(t, sampleEnlarged(frame, width, height, t));
    }
    return found;
  }

  async close(): Promise<void> {
    await this.frames?.return?.();
  }

  private async next(): Promise<Frame | null> {
    const { ahead } = this;
    this.ahead = null;
    if (ahead !== null) return ahead;
    const next = await this.frames?.next();
    return next === undefined || next.done === true ? null : next.value;
  }
}

/**
 * Filters fitted to a segment as it will be decoded.
 * @param container file that holds the segment
 * @param samples what each of some frames, at least one, should look like enlarged
 */
export async function fitFilters(container: Uint8Array, samples: ReadonlyMap<number, EnlargeSamples>, runtime: Runtime): Promise<EnlargeFilters> {
  const decoder = new LinrDecoder(container, runtime);
  const fit = new EnlargeFit();
  try {
    for (const [t, wanted] of samples) fit.add(await decoder.frame(t), wanted);
  } finally {
    await decoder.release();
  }
  return fit.solve();
}
