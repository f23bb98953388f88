import { priority, Superseded, type Decoder } from './decoder.js';
import { el, setAttribute, setText } from './dom.js';
import { formatTime } from './format.js';
import { layOut } from './latent-map-layout.js';
import { drawMap, nearest } from './latent-map-picture.js';
import type { Playback, Reel } from './playback.js';
import { text } from './strings.js';

/** Frames on the map: more points than these hide each other, and take seconds to lay out. */
const mostPoints = 800;
const fewestPoints = 8;
/** Pixels across of the frame that is shown beside the map. */
const previewWidth = 240;

/** Every frame as a point, near those that look alike to the model. Made when it is first opened. */
export class LatentMap {
  readonly element: HTMLDetailsElement;
  readonly #decoder: Decoder;
  readonly #playback: Playback;
  readonly #canvas = el('canvas', { class: 'map-canvas', attrs: { tabindex: 0, role: 'slider', 'aria-label': text.map.slider, 'aria-valuemin': 1 } });
  readonly #note = el('p', { class: 'map-note', attrs: { role: 'status' } });
  readonly #preview = el('canvas', { class: 'map-preview', attrs: { width: 16, height: 9, 'aria-hidden': 'true' } });
  readonly #caption = el('p', { class: 'map-caption' });
  #reel: Reel | null = null;
  /** The video that is laid out or being laid out. Sharper containers of it change its pictures, its latents hardly. */
  #madeFor = '';
  #stop: (() => void) | null = null;
  /** (N) frames on the map and (N, 2) their places. */
  #frames = new Uint32Array();
  #places = new Float32Array();
  #looksAt: number | null = null;

  constructor(decoder: Decoder, playback: Playback) {
    this.#decoder = decoder;
    this.#playback = playback;
    const legend = el('p', { class: 'map-legend', attrs: { 'aria-hidden': 'true' } }, el('span', { text: text.map.start }), el('span', { class: 'map-gradient' }), el('span', { text: text.map.end }));
    this.element = el(
      'details',
      { class: 'map', on: { toggle: () => this.#make() } },
      el('summary', { class: 'map-summary' }, el('span', { class: 'map-title', text: text.map.title }), el('span', { class: 'map-about', text: text.map.about })),
      el('div', { class: 'map-body' }, el('div', { class: 'map-field' }, this.#canvas, this.#note), el('div', { class: 'map-side' }, this.#preview, this.#caption, el('p', { class: 'map-hint', text: text.map.hint }), legend)),
    );
    this.#canvas.addEventListener('pointermove', (event) => this.#look(this.#at(event)));
    this.#canvas.addEventListener('pointerleave', () => this.#look(null));
    this.#canvas.addEventListener('click', (event) => this.#go(this.#at(event)));
    this.#canvas.addEventListener('keydown', (event) => this.#keys(event));
    playback.moved.listen(() => this.#draw());
    playback.shown.listen(() => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  load(reel: Reel | null): void {
    const other = this.#reel?.source.group !== reel?.source.group;
    this.#reel = reel;
    this.element.hidden = reel === null || reel.info.frames === 1 || !reel.info.pictures;
    if (other) this.#forget();
    this.#make();
  }

  /** The colours of the page changed. */
  redraw(): void {
    this.#draw();
  }

  #forget(): void {
    this.#stop?.();
    this.#stop = null;
    this.#madeFor = '';
    this.#frames = new Uint32Array();
    this.#places = new Float32Array();
    this.#looksAt = null;
    this.#preview.getContext('2d')?.clearRect(0, 0, this.#preview.width, this.#preview.height);
    setText(this.#caption, '');
    this.#draw();
  }

  #make(): void {
    const reel = this.#reel;
    if (!this.element.open || this.element.hidden || !reel || this.#madeFor === nameOf(reel)) return;
    if (reel.info.frames < fewestPoints) return setText(this.#note, text.map.few);
    this.#stop?.();
    this.#madeFor = nameOf(reel);
    if (this.#frames.length === 0) setText(this.#note, text.map.working);
    void this.#layOut(reel);
  }

  async #layOut(reel: Reel): Promise<void> {
    const { frames } = reel.info;
    const count = Math.min(frames, mostPoints);
    const indices = Uint32Array.from({ length: count }, (_, point) => Math.floor(((point + 0.5) * frames) / count));
    const current = (): boolean => this.#madeFor === nameOf(reel);
    try {
      const vectors = await this.#decoder.vectors(reel.source, indices);
      if (!current()) return;
      const live = !matchMedia('(prefers-reduced-motion: reduce)').matches;
      this.#stop = layOut(vectors, reel.info.latentDim, live, {
        placed: (places, done) => {
          if (!current()) return;
          [this.#frames, this.#places] = [indices, places];
          if (done) setText(this.#note, '');
          setAttribute(this.#canvas, 'aria-valuemax', frames);
          this.#draw();
          if (this.#caption.textContent === '') this.#showCurrent(reel);
        },
        failed: () => current() && setText(this.#note, text.map.failed),
      });
    } catch {
      if (current()) setText(this.#note, text.map.failed);
    }
  }

  #draw(): void {
    const reel = this.#reel;
    if (!reel || !this.element.open) return;
    const { index, time_s } = this.#playback;
    const { info } = reel;
    drawMap(this.#canvas, { frames: this.#frames, places: this.#places, total: info.frames, shots: info.shots, current: index, looksAt: this.#looksAt });
    setAttribute(this.#canvas, 'aria-valuenow', index + 1);
    setAttribute(this.#canvas, 'aria-valuetext', text.map.value(formatTime(time_s), index + 1, info.frames));
  }

  #at(event: MouseEvent): number | null {
    const box = this.#canvas.getBoundingClientRect();
    return nearest(this.#canvas, this.#places, event.clientX - box.left, event.clientY - box.top);
  }

  /** Shows the frame of a point beside the map; null puts the mark out and leaves the frame. */
  #look(point: number | null): void {
    if (point === this.#looksAt) return;
    this.#looksAt = point;
    this.#draw();
    const reel = this.#reel;
    const frame = point === null ? undefined : this.#frames[point];
    if (!reel || frame === undefined) return;
    void this.#show(reel, frame, () => this.#looksAt === point && this.#reel === reel);
  }

  #showCurrent(reel: Reel): void {
    void this.#show(reel, this.#playback.index, () => this.#looksAt === null && this.#reel === reel);
  }

  async #show(reel: Reel, frame: number, wanted: () => boolean): Promise<void> {
    setText(this.#caption, text.map.value(formatTime(reel.info.times_s[frame] ?? 0), frame + 1, reel.info.frames));
    try {
      const { bitmap } = await this.#decoder.frame(reel.source, frame, Math.min(previewWidth, reel.info.width), priority.shown, wanted);
      if (!wanted()) return;
      this.#preview.width = bitmap.width;
      this.#preview.height = bitmap.height;
      this.#preview.getContext('2d')?.drawImage(bitmap, 0, 0);
    } catch (error) {
      if (!(error instanceof Superseded)) setText(this.#caption, text.player.decodeFailed);
    }
  }

  #go(point: number | null): void {
    const frame = point === null ? undefined : this.#frames[point];
    if (frame === undefined) return;
    this.#playback.pause();
    this.#playback.seek(frame);
  }

  /** By keyboard the map is walked through in time. */
  #keys(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || this.#frames.length === 0) return;
    event.preventDefault();
    const { index } = this.#playback;
    const here = this.#frames.findLastIndex((frame) => frame <= index);
    const point = Math.min(this.#frames.length - 1, Math.max(0, here + step));
    this.#go(point);
    this.#look(point);
  }
}

function nameOf({ source, info }: Reel): string {
  return `${source.group}/${info.frames}`;
}
