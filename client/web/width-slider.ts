import { el, setAttribute, setText } from './dom.js';
import { text } from './strings.js';

/** Pixels: the same latents can be decoded at any width between these. */
const narrowest = 160;
const widest = 1280;
const step = 32;

/** The width frames are decoded at. */
export class WidthSlider {
  readonly element: HTMLElement;
  readonly #choose: (width: number) => void;
  readonly #input = el('input', { class: 'range', attrs: { type: 'range', min: narrowest, max: widest, step, 'aria-label': text.player.width } });
  readonly #value = el('output', { class: 'width-value' });
  #height = 0;
  /** What the viewer picked; null until they did, then kept for every video that allows it. */
  #picked: number | null = null;

  constructor(choose: (width: number) => void) {
    this.#choose = choose;
    this.#input.addEventListener('input', () => {
      this.#picked = Number(this.#input.value);
      this.#apply();
    });
    this.element = el('label', { class: 'width' }, el('span', { class: 'width-name', text: text.player.width }), this.#input, this.#value);
  }

  /** Offers what a container of this encoded size allows, up to its widest, and chooses. */
  offer({ width, height, widest: most }: { readonly width: number; readonly height: number; readonly widest: number }): void {
    this.#height = height / width;
    const ends = { min: Math.min(narrowest, most), max: Math.min(widest, most) };
    for (const [name, value] of Object.entries(ends)) setAttribute(this.#input, name, value);
    // By default the smallest width that loses nothing of the encoded one.
    const native = Math.ceil((width - ends.min) / step) * step + ends.min;
    // The browser brings a value beyond the ends back to them.
    this.#input.value = String(this.#picked ?? native);
    this.#apply();
  }

  #apply(): void {
    const width = Number(this.#input.value);
    const size = text.player.decodedAt(width, Math.round(width * this.#height));
    setText(this.#value, size);
    setAttribute(this.#input, 'aria-valuetext', size);
    this.#choose(width);
  }
}
