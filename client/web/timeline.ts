import { priority, Superseded, type Decoder } from './decoder.js';
import { el, setAttribute } from './dom.js';
import { formatTime } from './format.js';
import type { Playback, Reel } from './playback.js';
import { text } from './strings.js';

/** Width in pixels at which the frames of the strip are decoded: enough for their size on a dense screen. */
const stripFrameWidth = 160;

/** Frames along the video with the latents beneath them; the playhead over both is a slider. */
export class Timeline {
  readonly element: HTMLElement;
  readonly #decoder: Decoder;
  readonly #playback: Playback;
  readonly #strip = el('canvas', { class: 'timeline-strip', attrs: { 'aria-hidden': 'true' } });
  readonly #latents = el('canvas', { class: 'timeline-latents', attrs: { 'aria-hidden': 'true', title: text.player.latents } });
  readonly #slider = el('input', { class: 'timeline-slider', attrs: { type: 'range', min: 0, max: 0, step: 1, value: 0, 'aria-label': text.player.position } });
  #reel: Reel | null = null;
  /** Counts drawings, so that one of an earlier container or size gives up. */
  #drawing = 0;
  #size = '';

  constructor(decoder: Decoder, playback: Playback) {
    this.#decoder = decoder;
    this.#playback = playback;
    this.#slider.addEventListener('input', () => {
      const index = Number(this.#slider.value); // Read first: pausing puts the slider back to the frame that was playing.
      playback.pause();
      playback.seek(index);
    });
    this.#slider.addEventListener('keydown', (event) => this.#jump(event));
    this.element = el('div', { class: 'timeline' }, this.#strip, this.#latents, this.#slider);
    playback.moved.listen(() => this.#follow());
    new ResizeObserver(() => this.#resized()).observe(this.element);
  }

  /** Shows another container, or nothing. */
  load(reel: Reel | null): void {
    const sameVideo = reel !== null && this.#reel?.source.group === reel.source.group;
    this.#reel = reel;
    if (!sameVideo) {
      clear(this.#strip);
      clear(this.#latents);
    }
    this.#slider.max = String(Math.max(0, (reel?.info.frames ?? 1) - 1));
    this.#slider.disabled = !reel?.info.pictures;
    this.#follow();
    void this.#draw();
  }

  #follow(): void {
    const { index, time_s } = this.#playback;
    this.#slider.value = String(index);
    if (!this.#reel) return;
    const { frames, duration_s } = this.#reel.info;
    setAttribute(this.#slider, 'aria-valuetext', text.player.positionValue(formatTime(time_s), formatTime(duration_s), index + 1, frames));
  }

  #jump(event: KeyboardEvent): void {
    const step = { PageUp: -10, PageDown: 10 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#playback.pause();
    this.#playback.seek(this.#playback.index + step);
  }

  #resized(): void {
    const size = `${this.#strip.clientWidth}x${this.#strip.clientHeight}`;
    if (size === this.#size) return;
    this.#size = size;
    void this.#draw();
  }

  async #draw(): Promise<void> {
    const drawing = ++this.#drawing;
    const reel = this.#reel;
    if (!reel || this.#strip.clientWidth === 0) return;
    const current = (): boolean => drawing === this.#drawing;
    try {
      await this.#drawLatents(reel, current);
      if (reel.info.pictures) await this.#drawStrip(reel, current);
    } catch (error) {
      // The player says what is wrong with a container; the strip stays as it is.
      if (!(error instanceof Superseded)) clear(this.#strip);
    }
  }

  async #drawLatents(reel: Reel, current: () => boolean): Promise<void> {
    const picture = await this.#decoder.latents(reel.source);
    if (current()) {
      this.#latents.width = picture.width;
      this.#latents.height = picture.height;
      this.#latents.getContext('2d')?.drawImage(picture, 0, 0);
    }
    picture.close();
  }

  async #drawStrip(reel: Reel, current: () => boolean): Promise<void> {
    const strip = this.#strip;
    const density = Math.min(2, devicePixelRatio);
    const width = Math.round(strip.clientWidth * density);
    const height = Math.round(strip.clientHeight * density);
    const { info, source } = reel;
    const count = Math.max(1, Math.min(info.frames, Math.round(width / ((height * info.width) / info.height))));
    if (strip.width !== width || strip.height !== height) {
      strip.width = width;
      strip.height = height;
    }
    const context = strip.getContext('2d');
    for (let slot = 0; slot < count; slot += 1) {
      const index = Math.min(info.frames - 1, Math.floor(((slot + 0.5) * info.frames) / count));
      const decodeWidth = Math.min(stripFrameWidth, info.width);
      const { bitmap } = await this.#decoder.frame(source, index, decodeWidth, priority.strip, current);
      if (!current()) return;
      const left = Math.round((slot * width) / count);
      drawCover(context, bitmap, left, Math.round(((slot + 1) * width) / count) - left, height);
    }
  }
}

/** Fills a slot with the middle of the picture, keeping its shape. */
function drawCover(context: CanvasRenderingContext2D | null, bitmap: ImageBitmap, left: number, width: number, height: number): void {
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const sourceWidth = width / scale;
  const sourceHeight = height / scale;
  context?.drawImage(bitmap, (bitmap.width - sourceWidth) / 2, (bitmap.height - sourceHeight) / 2, sourceWidth, sourceHeight, left, 0, width, height);
}

function clear(canvas: HTMLCanvasElement): void {
  canvas.getContext('2d')?.clearRect(0, 0, canvas.width, canvas.height);
}
