import type { RealtimeStatus } from '../sdk/index.js';
import { el, setText } from './dom.js';
import { text } from './strings.js';

/** Milliseconds a broken connection is given to come back before it is spoken of. */
const patience_ms = 800;
const tellFor_ms = 8000;

/** The line in the header that says when the server is not there, or why something failed. Takes no room otherwise. */
export class ConnectionNotice {
  readonly element: HTMLElement;
  readonly #words = el('span');
  readonly #retry: HTMLButtonElement;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #offline = false;

  constructor(retryNow: () => void) {
    this.#retry = el('button', { class: 'text-button', text: text.connection.retry, attrs: { type: 'button' }, on: { click: retryNow } });
    this.element = el('div', { class: 'notice', attrs: { role: 'status' } }, this.#words, this.#retry);
    this.element.hidden = true;
  }

  update(status: RealtimeStatus): void {
    if (status === 'open') {
      this.#offline = false;
      this.#clear();
      this.element.hidden = true;
    } else if (status === 'waiting' && !this.#offline) {
      this.#offline = true;
      this.#plan(() => this.#show(text.connection.offline, true), patience_ms);
    }
  }

  /** Says something that failed, for a while. */
  tell(words: string): void {
    this.#show(words, false);
    this.#plan(() => (this.element.hidden = true), tellFor_ms);
  }

  #show(words: string, retry: boolean): void {
    setText(this.#words, words);
    this.#retry.hidden = !retry;
    this.element.hidden = false;
  }

  #plan(work: () => void, after_ms: number): void {
    this.#clear();
    this.#timer = setTimeout(work, after_ms);
  }

  #clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
