import { el, icon } from './dom.js';
import { text } from './strings.js';

/** What the file dialog offers first; the server decides by the bytes. */
const accepted = 'video/*,image/*,.linr,.mkv,.avi,.mov,.flv,.wmv,.ts,.m2ts,.mts,.vob,.mxf,.dv,.ogv,.3gp,.y4m,.ivf,.nut,.h264,.heic';

/** The ways a file gets into the page: the dialog, dropping it anywhere, pasting it. */
export class FilePicker {
  /** The overlay shown while a file hovers over the page, and the hidden input. */
  readonly element: HTMLElement;
  readonly #input = el('input', { class: 'visually-hidden', attrs: { type: 'file', multiple: true, accept: accepted, tabindex: -1, 'aria-label': text.library.addLabel } });
  /** Nested elements each report entering and leaving: the drag is over the page while more came than went. */
  #depth = 0;

  constructor(add: (files: readonly File[]) => void) {
    const overlay = el(
      'div',
      { class: 'drop', attrs: { 'aria-hidden': 'true' } },
      el('div', { class: 'drop-card' }, icon('plus'), el('p', { class: 'drop-title', text: text.library.drop }), el('p', { text: text.library.dropHint })),
    );
    this.element = el('div', {}, this.#input, overlay);
    this.#input.addEventListener('change', () => {
      add([...(this.#input.files ?? [])]);
      this.#input.value = ''; // The same file can be chosen again.
    });
    const show = (depth: number): void => {
      this.#depth = Math.max(0, depth);
      document.body.classList.toggle('is-dropping', this.#depth > 0);
    };
    document.addEventListener('dragenter', (event) => hasFiles(event) && show(this.#depth + 1));
    document.addEventListener('dragleave', (event) => hasFiles(event) && show(this.#depth - 1));
    document.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
    document.addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      show(0);
      add([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) add(files);
    });
  }

  /** Opens the browser's file dialog. */
  open(): void {
    this.#input.click();
  }
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}
