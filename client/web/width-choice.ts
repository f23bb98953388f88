import { el, setAttribute } from './dom.js';
import { text } from './strings.js';

/** Widths in pixels the same latents can be decoded at. */
const widths = [160, 320, 640, 1280] as const;

/** A choice of the width frames are decoded at. */
export class WidthChoice {
  readonly element: HTMLFieldSetElement;
  readonly #choose: (width: number) => void;
  readonly #inputs = new Map<number, HTMLInputElement>();
  /** What the viewer picked; null until they did, then kept for every video that allows it. */
  #picked: number | null = null;

  constructor(choose: (width: number) => void) {
    this.#choose = choose;
    const options = widths.map((width) => {
      const input = el('input', { attrs: { type: 'radio', name: 'decode-width', value: width, 'aria-label': text.player.widthOption(width) } });
      input.addEventListener('change', () => {
        this.#picked = width;
        choose(width);
      });
      this.#inputs.set(width, input);
      return el('label', { class: 'segment', attrs: { title: text.player.widthOption(width) } }, input, el('span', { text: String(width) }));
    });
    this.element = el('fieldset', { class: 'segments' }, el('legend', { class: 'segments-name', text: text.player.width }), ...options);
  }

  /** Offers what a container of this encoded width allows, up to its widest, and chooses. */
  offer({ width: encodedWidth, widest }: { readonly width: number; readonly widest: number }): void {
    const allowed = widths.filter((width) => width <= widest);
    // By default the smallest width that loses nothing of the encoded one.
    const native = allowed.find((width) => width >= encodedWidth) ?? allowed.at(-1) ?? encodedWidth;
    const width = this.#picked !== null && allowed.some((option) => option === this.#picked) ? this.#picked : native;
    for (const [option, input] of this.#inputs) {
      setAttribute(input, 'disabled', !allowed.some((other) => other === option));
      input.checked = option === width;
    }
    this.#choose(width);
  }
}
