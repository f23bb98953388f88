import type { ContainerInfo, DecodedFrame } from './decoder-protocol.js';
import { priority, Superseded, type ContainerSource, type Decoder } from './decoder.js';
import { Signal } from './signal.js';

/** A frame as it was put on the screen. */
export interface Shown {
  /** Of the frame; between two frames where playing is slower than life. */
  readonly position: number;
  readonly frame: DecodedFrame;
}

/** Speeds of playing, as multiples of life. Below 1 the moments between frames are drawn as well. */
export const speeds = [1, 0.5, 0.25, 0.125] as const;
export type Speed = (typeof speeds)[number];

/** What is being played: a container and what it says of itself. */
export interface Reel {
  readonly source: ContainerSource;
  readonly info: ContainerInfo;
}

/**
 * Which frame should be seen when. Decoding is slower than a video's own rate on small machines: playing follows the
 * clock and leaves out frames that come too late, and only the newest wish is decoded while scrubbing.
 */
export class Playback {
  readonly shown = new Signal<Shown>();
  /** Playing began or ended, or the wanted position moved. */
  readonly moved = new Signal();
  readonly failed = new Signal<Error>();
  readonly #decoder: Decoder;
  #reel: Reel | null = null;
  /** The wanted frame, or a moment between it and the next. */
  #position = 0;
  #speed: Speed = 1;
  #width = 0;
  #playing = false;
  /** `performance.now()` at which the video's time was 0 at this speed, in milliseconds. */
  #start_ms = 0;
  #working = false;
  /** Key, width and index of what is on the screen. */
  #onScreen = '';

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
  }

  get reel(): Reel | null {
    return this.#reel;
  }

  get index(): number {
    return Math.floor(this.#position);
  }

  get playing(): boolean {
    return this.#playing;
  }

  get atEnd(): boolean {
    return this.#reel !== null && this.#position >= this.#reel.info.frames - 1;
  }

  /** Seconds of the wanted moment. */
  get time_s(): number {
    if (!this.#reel) return 0;
    const { times_s } = this.#reel.info;
    const from = times_s[this.index] ?? 0;
    return from + (this.#position - this.index) * ((times_s[this.index + 1] ?? from) - from);
  }

  /** Another container; the same place in time is kept when it is a newer version of the same video. */
  load(reel: Reel | null): void {
    const same = reel !== null && this.#reel?.source.group === reel.source.group && this.#reel.info.frames === reel.info.frames;
    this.#reel = reel;
    if (!same) {
      this.#playing = false;
      this.#position = 0;
    }
    this.moved.emit();
    void this.#work();
  }

  /** Pixels across; the next frame shown has them. */
  setWidth(width: number): void {
    this.#width = width;
    void this.#work();
  }

  seek(index: number): void {
    if (!this.#reel) return;
    this.#position = Math.min(Math.max(0, Math.round(index)), this.#reel.info.frames - 1);
    this.#restartClock();
    this.moved.emit();
    void this.#work();
  }

  /** Goes to the frame on the screen at this time and stays there. */
  seekTime(time_s: number): void {
    if (!this.#reel) return;
    this.pause();
    this.seek(frameAt(this.#reel.info.times_s, time_s));
  }

  setSpeed(speed: Speed): void {
    this.#speed = speed;
    this.#restartClock();
  }

  toggle(): void {
    if (this.#playing) this.pause();
    else this.play();
  }

  play(): void {
    if (!this.#reel || this.#reel.info.frames < 2 || !this.#reel.info.pictures) return;
    if (this.atEnd) this.#position = 0;
    this.#playing = true;
    this.#restartClock();
    this.moved.emit();
    requestAnimationFrame(() => this.#tick());
  }

  pause(): void {
    if (!this.#playing) return;
    this.#playing = false;
    this.moved.emit();
  }

  /** Tries the wanted frame again after a failure. */
  retry(): void {
    this.#onScreen = '';
    void this.#work();
  }

  #tick(): void {
    if (!this.#playing || !this.#reel) return;
    const { times_s, frames } = this.#reel.info;
    const position = positionAt(times_s, ((performance.now() - this.#start_ms) * this.#speed) / 1000, 1 / this.#speed);
    if (position !== this.#position) {
      this.#position = position;
      this.moved.emit();
      void this.#work();
    }
    if (position >= frames - 1) this.pause();
    else requestAnimationFrame(() => this.#tick());
  }

  #restartClock(): void {
    this.#start_ms = performance.now() - (this.time_s * 1000) / this.#speed;
  }

  /** Decodes the wanted frame until what is on the screen is what is wanted. */
  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      for (let wish = this.#wish(); wish && wish.name !== this.#onScreen; wish = this.#wish()) {
        const { reel, position, width, name } = wish;
        try {
          const frame = await this.#decoder.frame(reel.source, position, width, priority.shown);
          // Of another video by now: not to be seen. Of another moment: still better than standing still.
          if (this.#reel?.source.group !== reel.source.group) continue;
          this.#onScreen = name;
          this.shown.emit({ position, frame });
        } catch (error) {
          if (error instanceof Superseded || this.#wish()?.name !== name) continue;
          this.#onScreen = name;
          this.failed.emit(error as Error);
        }
        this.#ahead(position, width);
      }
    } finally {
      this.#working = false;
    }
  }

  /** While playing, what comes next is decoded in the pauses. */
  #ahead(position: number, width: number): void {
    const reel = this.#reel;
    const next = position + this.#speed;
    if (!this.#playing || !reel || next > reel.info.frames - 1) return;
    const wanted = (): boolean => this.#playing && this.#reel === reel && this.#position <= next;
    this.#decoder.frame(reel.source, next, width, priority.ahead, wanted).catch(() => undefined);
  }

  #wish(): { reel: Reel; position: number; width: number; name: string } | null {
    const reel = this.#reel;
    if (!reel || !reel.info.pictures || this.#width === 0) return null;
    return { reel, position: this.#position, width: this.#width, name: `${reel.source.key}/${this.#width}/${this.#position}` };
  }
}

/** Index of the frame that is on the screen at this time: the last one that has begun. */
export function frameAt(times_s: Float64Array, time_s: number): number {
  let low = 0;
  let high = times_s.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((times_s[middle] ?? 0) <= time_s) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The frame on the screen at this time and how far the time lies on the way to the next, in steps of 1 / `steps` of the way. */
function positionAt(times_s: Float64Array, time_s: number, steps: number): number {
  const from = frameAt(times_s, time_s);
  const [start, end] = [times_s[from] ?? 0, times_s[from + 1] ?? 0];
  if (end <= start) return from;
  return from + Math.min(steps - 1, Math.max(0, Math.floor((steps * (time_s - start)) / (end - start)))) / steps;
}
