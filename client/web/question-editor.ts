import { mostCharacters } from './composer.js';
import { el, setText } from './dom.js';
import { text } from './strings.js';

/** A question that is being written anew in its place. Enter asks, Escape gives up. */
export class QuestionEditor {
  readonly element: HTMLFormElement;
  readonly #input = el('textarea', { class: 'editor-input', attrs: { rows: 1, maxlength: mostCharacters, 'aria-label': text.chat.editLabel, enterkeyhint: 'send' } });

  /** @param close called when nothing is to be asked. */
  constructor(words: string, ask: (words: string) => void, close: () => void) {
    setText(this.#input, words);
    const submit = (): void => {
      const question = this.#input.value.trim();
      if (question === '') return;
      if (question === words) close();
      else ask(question);
    };
    this.element = el(
      'form',
      { class: 'editor' },
      this.#input,
      el(
        'div',
        { class: 'editor-buttons' },
        el('button', { class: 'text-button', text: text.chat.editCancel, attrs: { type: 'button' }, on: { click: close } }),
        el('button', { class: 'button button-main button-small', text: text.chat.editSend, attrs: { type: 'submit' } }),
      ),
    );
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      submit();
    });
    this.#input.addEventListener('input', () => this.#grow());
    this.#input.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') close();
      else if (event.key === 'Enter' && !event.shiftKey) submit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  focus(): void {
    this.#grow();
    this.#input.focus();
    this.#input.select();
  }

  #grow(): void {
    this.#input.style.blockSize = 'auto';
    this.#input.style.blockSize = `${this.#input.scrollHeight}px`;
  }
}
