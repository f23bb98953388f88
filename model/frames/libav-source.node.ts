/**
 * Any file that libav reads, as frames. Runs in the decoder process only: a damaged file can make the demuxer loop for ever or the
 * native decoders fail.
 */
import { setImmediate } from 'node:timers/promises';
import { Frame as AvFrame } from 'node-av/lib';
import { damageWarning } from './damage.js';
import { Demuxer } from './demuxer.node.js';
import { damaged, FrameSourceError } from './error.js';
import { checkFramesOptions } from './limits.js';
import type { MediaFile } from './open.node.js';
import { uniformTimes } from './sampling.js';
import { RgbScaler } from './scaler.node.js';
import { FrameClock } from './timeline.js';
import { openTiles } from './tiles.node.js';
import { TrackDecoder } from './track-decoder.node.js';
import { readTrack, type TrackFacts } from './track-facts.node.js';
import type { Frame, FrameSource, FramesOptions } from './types.js';

/** Frames between two samples from which jumping from key frame to key frame beats decoding all of them. */
const FRAMES_WORTH_A_SEEK = 150;
/** Seconds before a wanted time that are decoded as well where a format finds the key frame after it instead of the one before. */
const EARLIER_S = 10;

/** A decoded frame, valid until the next is asked for. */
interface TimedFrame {
  readonly frame: AvFrame;
  /** Seconds after the first frame. */
  readonly time_s: number;
}

/** @throws FrameSourceError `not_media`, `no_video_track`, `codec_unsupported`, `too_large`, `video_truncated`, `media_damaged`. */
export async function openLibavSource(file: MediaFile): Promise<FrameSource> {
  return (await openTiles(file)) ?? new LibavSource(file, await readTrack(file));
}

class LibavSource implements FrameSource {
  #closed = false;
  readonly #warnings: string[];

  constructor(
    private readonly file: MediaFile,
    private readonly facts: TrackFacts,
  ) {
    this.#warnings = [...facts.warnings];
  }

  get info() {
    return this.facts.info;
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
    checkFramesOptions(options);
    this.#checkOpen();
    const { width, height } = options.size ?? this.info;
    const scaler = new RgbScaler({ width, height }, this.facts.orientation);
    const demuxer = Demuxer.open(this.file);
    let decoder: TrackDecoder | null = null;
    try {
      decoder = new TrackDecoder(demuxer, this.facts.track);
      let shown = 0;
      for await (const { frame, time_s } of this.#chosen(decoder, options)) {
        this.#checkOpen();
        yield { width, height, time_s, data: scaler.toRgb(frame) };
        shown += 1;
      }
      if (shown === 0) throw new Error('no frame could be decoded');
      if (this.facts.starts_s === null) this.#note(damageWarning(decoder.damage));
    } catch (cause) {
      throw cause instanceof FrameSourceError ? cause : damaged(this.file.name, cause);
    } finally {
      decoder?.close();
      demuxer.close();
      scaler.close();
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #checkOpen(): void {
    if (this.#closed) throw new FrameSourceError('source_closed', `${this.file.name} was closed.`);
  }

  #note(warning: string | null): void {
    if (warning !== null && !this.#warnings.includes(warning)) this.#warnings.push(warning);
  }

  #chosen(decoder: TrackDecoder, { limit, from_s = 0 }: FramesOptions): AsyncGenerator<TimedFrame, void, void> {
    const { duration_s, frames, fps } = this.info;
    if (from_s > 0) return this.#from(decoder, from_s);
    if (limit === undefined || (frames !== null && frames <= limit)) return this.#all(decoder);
    const times = uniformTimes(duration_s, limit);
    const apart = (frames ?? duration_s * (fps ?? 30)) / limit;
    if (this.facts.starts_s === null && apart > FRAMES_WORTH_A_SEEK) return this.#sought(decoder, times);
    return shownAt(this.#all(decoder), times);
  }

  /** Every frame from where the decoder stands, which is the start of the file. */
  async *#all(decoder: TrackDecoder): AsyncGenerator<TimedFrame, void, void> {
    const { starts_s, start_s, step_s } = this.facts;
    const clock = new FrameClock(step_s);
    for (let index = 0; ; index++) {
      const frame = decoder.next();
      // What was told of is what is given, even where threads race over a damaged packet.
      if (frame === null || index === starts_s?.length) return;
      const told = clock.next(decoder.timeOf(frame));
      yield { frame, time_s: starts_s === null ? Math.max(told - start_s, 0) : (starts_s[index] as number) };
      // Messages of the program, to stop for instance, are read between two frames.
      await setImmediate();
    }
  }

  /** The frame shown at a second and all after it; in a file too long to be counted, found from the key frame before it. */
  async *#from(decoder: TrackDecoder, from_s: number): AsyncGenerator<TimedFrame, void, void> {
    const { starts_s, start_s, step_s } = this.facts;
    if (starts_s !== null || !decoder.seek(Math.max(from_s - EARLIER_S, 0) + start_s)) {
      yield* keptFrom(this.#all(decoder), from_s);
      return;
    }
    yield* keptFrom(untilEnd(decoder, new FrameClock(step_s), start_s), from_s);
  }

  /** The frames shown at these rising seconds, each found from the key frame before it. */
  async *#sought(decoder: TrackDecoder, times: readonly number[]): AsyncGenerator<TimedFrame, void, void> {
    const { start_s, step_s } = this.facts;
    if (!decoder.seek(start_s)) {
      yield* shownAt(this.#all(decoder), times);
      return;
    }
    let last = -Infinity;
    for (const time of times) {
      for (const before of [0, EARLIER_S]) {
        if (!decoder.seek(Math.max(time - before, 0) + start_s)) continue;
        const clock = new FrameClock(step_s);
        const found = await firstShownAt(decoder, (frame) => clock.next(decoder.timeOf(frame)) - start_s, time);
        if (found === null) continue;
        try {
          if (found.time_s > time + step_s && before === 0) continue;
          if (found.time_s > last) yield { ...found, time_s: Math.max(found.time_s, 0) };
          last = Math.max(last, found.time_s);
          break;
        } finally {
          found.frame.free();
        }
      }
    }
  }
}

/** Every frame from where the decoder stands. @param start_s of the video on the file's clock */
async function* untilEnd(decoder: TrackDecoder, clock: FrameClock, start_s: number): AsyncGenerator<TimedFrame, void, void> {
  for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
    yield { frame, time_s: Math.max(clock.next(decoder.timeOf(frame)) - start_s, 0) };
    await setImmediate();
  }
}

/** Of all frames the one shown at `from_s` and those after it. The frame before the one at hand is kept until it is known how long it is shown. */
async function* keptFrom(frames: AsyncIterable<TimedFrame>, from_s: number): AsyncGenerator<TimedFrame, void, void> {
  const kept = new AvFrame();
  kept.alloc();
  let keptTime: number | null = null;
  let begun = false;
  try {
    for await (const timed of frames) {
      if (!begun && timed.time_s > from_s) {
        begun = true;
        if (keptTime !== null) yield { frame: kept, time_s: keptTime };
      }
      if (begun) {
        yield timed;
        continue;
      }
      kept.unref();
      kept.ref(timed.frame);
      keptTime = timed.time_s;
    }
    if (!begun && keptTime !== null) yield { frame: kept, time_s: keptTime };
  } finally {
    kept.free();
  }
}

/** Of all frames those shown at these rising seconds, each once. The frame before the one at hand is kept until it is known how long it is shown. */
async function* shownAt(frames: AsyncIterable<TimedFrame>, times: readonly number[]): AsyncGenerator<TimedFrame, void, void> {
  const kept = new AvFrame();
  kept.alloc();
  let keptTime: number | null = null;
  let next = 0;
  try {
    for await (const { frame, time_s } of frames) {
      let wanted = false;
      for (; next < times.length && (times[next] as number) < time_s; next++) wanted = true;
      if (wanted && keptTime !== null) yield { frame: kept, time_s: keptTime };
      if (next === times.length) return;
      kept.unref();
      kept.ref(frame);
      keptTime = time_s;
    }
    if (keptTime !== null) yield { frame: kept, time_s: keptTime };
  } finally {
    kept.free();
  }
}

/** The frame shown at `time`, else the first after it, kept for the caller, who frees it. Null: there are no more frames. */
async function firstShownAt(decoder: TrackDecoder, timeOf: (frame: AvFrame) => number, time: number): Promise<TimedFrame | null> {
  let kept: TimedFrame | null = null;
  for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
    const time_s = timeOf(frame);
    if (kept !== null && time_s > time) return kept;
    kept?.frame.free();
    const copy = frame.clone();
    if (copy === null) throw new Error('there is no memory for a frame');
    kept = { frame: copy, time_s };
    if (time_s > time) return kept;
    await setImmediate();
  }
  return kept;
}
