import { el, icon, setAttribute, setText } from './dom.js';
import { text } from './strings.js';

/** Characters a question may have here; the server's own limit is higher. */
export const mostCharacters = 2000;

export interface ComposerActions {
  readonly ask: (question: string) => void;
  readonly stop: () => void;
}

export interface ComposerState {
  readonly placeholder: string;
  /** Whether a question can be sent now. */
  readonly ready: boolean;
  readonly answering: boolean;
}

/** Where questions are written. Enter sends, Shift and Enter breaks the line, Escape stops the running answer. */
export class Composer {
  readonly element: HTMLFormElement;
  readonly input = el('textarea', { class: 'composer-input', attrs: { rows: 1, maxlength: mostCharacters, enterkeyhint: 'send', autocomplete: 'off' } });
  readonly #actions: ComposerActions;
  readonly #button = el('button', { class: 'composer-button', attrs: { type: 'submit' } });
  #state: ComposerState = { placeholder: '', ready: false, answering: false };
  #shown: 'send' | 'stop' | null = null;

  constructor(actions: ComposerActions) {
    this.#actions = actions;
    this.element = el('form', { class: 'composer' }, this.input, this.#button);
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#state.answering) actions.stop();
      else this.#ask();
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#state.answering) this.#ask();
    });
    this.input.addEventListener('input', () => this.#typed());
  }

  update(state: ComposerState): void {
    this.#state = state;
    setAttribute(this.input, 'placeholder', state.placeholder);
    setAttribute(this.input, 'aria-label', state.placeholder);
    const shown = state.answering ? 'stop' : 'send';
    if (this.#shown !== shown) {
      this.#shown = shown;
      this.#button.replaceChildren(icon(shown), el('span', { class: 'visually-hidden', text: text.chat[shown] }));
      setAttribute(this.#button, 'title', text.chat[shown]);
      this.#button.classList.toggle('is-stop', shown === 'stop');
    }
    this.#typed();
  }

  #ask(): void {
    const question = this.input.value.trim();
    if (!this.#state.ready || question === '') return;
    this.input.value = '';
    this.#typed();
    this.#actions.ask(question);
  }

  /** Grows with its text up to the height its style allows, and lets nothing empty be sent. */
  #typed(): void {
    this.#button.disabled = !this.#state.answering && (!this.#state.ready || this.input.value.trim() === '');
    this.input.style.blockSize = 'auto';
    this.input.style.blockSize = `${this.input.scrollHeight}px`;
    const full = this.input.value.length >= mostCharacters;
    this.input.setCustomValidity(full ? text.chat.tooLong(mostCharacters) : '');
    setText(this.#button.querySelector('span') ?? this.#button, text.chat[this.#shown ?? 'send']);
  }
}
