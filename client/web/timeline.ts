import { priority, Superseded, type Decoder } from './decoder.js';
import { el, setAttribute, setText } from './dom.js';
import { formatTime } from './format.js';
import type { Playback, Reel } from './playback.js';
import type { Likeness } from './similarity.js';
import { text } from './strings.js';

/** Width in pixels at which the frames of the strip are decoded: enough for their size on a dense screen. */
const stripFrameWidth = 160;

/** Frames along the video, cut at its shots, with the latents beneath them and how like the last question each is; the playhead over all is a slider. */
export class Timeline {
  readonly element: HTMLElement;
  readonly #decoder: Decoder;
  readonly #playback: Playback;
  readonly #strip = el('canvas', { class: 'timeline-strip', attrs: { 'aria-hidden': 'true' } });
  readonly #latents = el('canvas', { class: 'timeline-latents', attrs: { 'aria-hidden': 'true', title: text.player.latents } });
  readonly #shots = el('div', { class: 'timeline-shots', attrs: { 'aria-hidden': 'true' } });
  readonly #heat = el('canvas', { class: 'timeline-heat', attrs: { height: 1, 'aria-hidden': 'true' } });
  readonly #heatName = el('span', { class: 'timeline-heat-name', attrs: { 'aria-hidden': 'true' } });
  readonly #heatSpoken = el('span', { class: 'visually-hidden', attrs: { role: 'status' } });
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
    this.element = el('div', { class: 'timeline' }, this.#strip, this.#latents, this.#shots, this.#heat, this.#heatName, this.#slider, this.#heatSpoken);
    this.showLikeness(null);
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
    this.#drawShots();
    void this.#draw();
  }

  /** Lights the frames up that are like a question; null darkens all. Lies over the strip, so that nothing moves. */
  showLikeness(likeness: Likeness | null): void {
    for (const part of [this.#heat, this.#heatName]) part.hidden = likeness === null;
    setText(this.#heatName, likeness === null ? '' : text.player.heat(likeness.question));
    const best = likeness === null ? 0 : likeness.shares.indexOf(Math.max(...likeness.shares));
    setText(this.#heatSpoken, likeness === null ? '' : text.player.heatSpoken(likeness.question, formatTime(this.#reel?.info.times_s[best] ?? 0)));
    if (likeness === null) return;
    const { shares } = likeness;
    this.#heat.width = shares.length;
    const image = new ImageData(shares.length, 1);
    shares.forEach((share, frame) => image.data.set(heatColour(share), 4 * frame));
    this.#heat.getContext('2d')?.putImageData(image, 0, 0);
  }

  /** Shots begin at lines; shot by shot is also how far PageUp and PageDown go. */
  #drawShots(): void {
    const { shots, frames } = this.#reel?.info ?? { shots: [], frames: 1 };
    const lines = shots.slice(1).map((frame) => {
      const line = el('span', { class: 'timeline-shot' });
      line.style.insetInlineStart = `${(100 * frame) / frames}%`;
      return line;
    });
    this.#shots.replaceChildren(...lines);
  }

  #follow(): void {
    const { index, time_s } = this.#playback;
    this.#slider.value = String(index);
    if (!this.#reel) return;
    const { frames, duration_s } = this.#reel.info;
    setAttribute(this.#slider, 'aria-valuetext', text.player.positionValue(formatTime(time_s), formatTime(duration_s), index + 1, frames));
  }

  #jump(event: KeyboardEvent): void {
    const step = { PageUp: -1, PageDown: 1 }[event.key];
    if (step === undefined || !this.#reel) return;
    event.preventDefault();
    const { index } = this.#playback;
    const { shots } = this.#reel.info;
    const next = step > 0 ? shots.find((start) => start > index) : shots.findLast((start) => start < index);
    this.#playback.pause();
    this.#playback.seek(shots.length > 1 ? (next ?? index) : index + 10 * step);
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

/** From dark to glowing, RGBA. */
function heatColour(share: number): [number, number, number, number] {
  return [Math.round(40 + 215 * share), Math.round(20 + 170 * share ** 1.6), Math.round(30 + 50 * share ** 3), 255];
}
