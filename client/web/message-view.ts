import type { Message } from './conversation.js';
import { el, icon, setAttribute, setText } from './dom.js';
import { text } from './strings.js';

/** One message on the screen. Updating it touches only what differs, so that text being read or selected stays. */
export class MessageView {
  readonly message: Message;
  readonly element: HTMLElement;
  readonly #text = el('p', { class: 'message-text' });
  readonly #dots = el('span', { class: 'message-dots', attrs: { role: 'img', 'aria-label': text.chat.thinking } }, el('i'), el('i'), el('i'));
  readonly #note = el('p', { class: 'message-note' });
  readonly #again: HTMLButtonElement;
  readonly #copy: HTMLButtonElement;

  /** @param again asks the question before this answer again. */
  constructor(message: Message, again: () => void) {
    this.message = message;
    this.#again = el('button', { class: 'text-button', attrs: { type: 'button' }, on: { click: again } }, icon('replay'), el('span'));
    this.#copy = el('button', { class: 'text-button', attrs: { type: 'button' }, on: { click: () => void this.#copyText() } }, icon('copy'), el('span', { text: text.chat.copy }));
    const author = el('h3', { class: 'visually-hidden', text: message.role === 'user' ? text.chat.you : text.chat.model });
    this.element = el('article', { class: `message is-${message.role}` }, author, el('div', { class: 'message-body' }, this.#dots, this.#text));
    if (message.role === 'assistant') this.element.append(el('div', { class: 'message-foot' }, this.#note, this.#copy, this.#again));
  }

  /** @param last whether it is the newest message: only that one can be answered again. */
  update(last: boolean): void {
    const { status, error, timing, role } = this.message;
    const open = status === 'waiting' || status === 'streaming';
    setText(this.#text, this.message.text);
    this.#text.hidden = this.message.text === '';
    this.#dots.hidden = status !== 'waiting';
    this.element.classList.toggle('is-streaming', status === 'streaming');
    this.element.classList.toggle('is-failed', status === 'failed');
    if (role !== 'assistant') return;
    const notes = { waiting: '', streaming: '', complete: timing ?? '', stopped: text.chat.stopped, cut: text.chat.lengthLimit, failed: error ?? text.chat.failed };
    setText(this.#note, notes[status]);
    this.#copy.hidden = open || this.message.text === '';
    this.#again.hidden = open || !last;
    const label = this.#again.querySelector('span');
    if (label) setText(label, status === 'complete' || status === 'cut' ? text.chat.regenerate : text.chat.retry);
  }

  async #copyText(): Promise<void> {
    const label = this.#copy.querySelector('span');
    try {
      await navigator.clipboard.writeText(this.message.text);
    } catch {
      // No permission, or not a secure page: the text is selected instead, one key press from being copied.
      getSelection()?.selectAllChildren(this.#text);
      return;
    }
    if (!label) return;
    setText(label, text.chat.copied);
    setAttribute(this.#copy, 'data-done', true);
    setTimeout(() => {
      setText(label, text.chat.copy);
      setAttribute(this.#copy, 'data-done', null);
    }, 1500);
  }
}
