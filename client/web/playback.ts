import type { ContainerInfo, DecodedFrame } from './decoder-protocol.js';
import { priority, Superseded, type ContainerSource, type Decoder } from './decoder.js';
import { Signal } from './signal.js';

/** A frame as it was put on the screen. */
export interface Shown {
  readonly index: number;
  readonly frame: DecodedFrame;
}

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
  #index = 0;
  #width = 0;
  #playing = false;
  /** `performance.now()` at which the video's time was 0, in milliseconds. */
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
    return this.#index;
  }

  get playing(): boolean {
    return this.#playing;
  }

  get atEnd(): boolean {
    return this.#reel !== null && this.#index >= this.#reel.info.frames - 1;
  }

  /** Seconds of the wanted frame. */
  get time_s(): number {
    return this.#reel?.info.times_s[this.#index] ?? 0;
  }

  /** Another container; the same place in time is kept when it is a newer version of the same video. */
  load(reel: Reel | null): void {
    const same = reel !== null && this.#reel?.source.group === reel.source.group && this.#reel.info.frames === reel.info.frames;
    this.#reel = reel;
    if (!same) {
      this.#playing = false;
      this.#index = 0;
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
    this.#index = Math.min(Math.max(0, Math.round(index)), this.#reel.info.frames - 1);
    this.#start_ms = performance.now() - this.time_s * 1000;
    this.moved.emit();
    void this.#work();
  }

  toggle(): void {
    if (this.#playing) this.pause();
    else this.play();
  }

  play(): void {
    if (!this.#reel || this.#reel.info.frames < 2 || !this.#reel.info.pictures) return;
    if (this.atEnd) this.#index = 0;
    this.#playing = true;
    this.#start_ms = performance.now() - this.time_s * 1000;
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
    const index = frameAt(times_s, (performance.now() - this.#start_ms) / 1000);
    if (index !== this.#index) {
      this.#index = index;
      this.moved.emit();
      void this.#work();
    }
    if (index >= frames - 1) this.pause();
    else requestAnimationFrame(() => this.#tick());
  }

  /** Decodes the wanted frame until what is on the screen is what is wanted. */
  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      for (let wish = this.#wish(); wish && wish.name !== this.#onScreen; wish = this.#wish()) {
        const { reel, index, width, name } = wish;
        try {
          const frame = await this.#decoder.frame(reel.source, index, width, priority.shown);
          // Of another video by now: not to be seen. Of another moment: still better than standing still.
          if (this.#reel?.source.group !== reel.source.group) continue;
          this.#onScreen = name;
          this.shown.emit({ index, frame });
        } catch (error) {
          if (error instanceof Superseded || this.#wish()?.name !== name) continue;
          this.#onScreen = name;
          this.failed.emit(error as Error);
        }
        this.#ahead(index, width);
      }
    } finally {
      this.#working = false;
    }
  }

  /** While playing, what comes next is decoded in the pauses. */
  #ahead(index: number, width: number): void {
    const reel = this.#reel;
    if (!this.#playing || !reel || index + 1 >= reel.info.frames) return;
    const wanted = (): boolean => this.#playing && this.#reel === reel && this.#index <= index + 1;
    this.#decoder.frame(reel.source, index + 1, width, priority.ahead, wanted).catch(() => undefined);
  }

  #wish(): { reel: Reel; index: number; width: number; name: string } | null {
    const reel = this.#reel;
    if (!reel || !reel.info.pictures || this.#width === 0) return null;
    return { reel, index: this.#index, width: this.#width, name: `${reel.source.key}/${this.#width}/${this.#index}` };
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
