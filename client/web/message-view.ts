import type { Message } from './conversation.js';
import { el, icon, setAttribute, setText } from './dom.js';
import { formatTime } from './format.js';
import { text } from './strings.js';
import { QuestionEditor } from './question-editor.js';

export interface MessageActions {
  /** Asks the question before this answer again. */
  readonly again: () => void;
  /** Asks other words in place of this question. */
  readonly edit: (words: string) => void;
  /** Shows a moment of the video, in seconds. */
  readonly moment: (start_s: number) => void;
}

/** One message on the screen. Updating it touches only what differs, so that text being read or selected stays. */
export class MessageView {
  readonly message: Message;
  readonly element: HTMLElement;
  readonly #text = el('p', { class: 'message-text' });
  readonly #dots = el('span', { class: 'message-dots', attrs: { role: 'img', 'aria-label': text.chat.thinking } }, el('i'), el('i'), el('i'));
  readonly #note = el('p', { class: 'message-note' });
  readonly #moments = el('div', { class: 'moments', attrs: { role: 'group', 'aria-label': text.chat.moments } });
  readonly #actions: MessageActions;
  readonly #edit: HTMLButtonElement;
  readonly #again: HTMLButtonElement;
  readonly #copy: HTMLButtonElement;

  /** The moments the chips were last made for. */
  #momentsOf: Message['moments'] = [];

  constructor(message: Message, actions: MessageActions) {
    this.message = message;
    this.#actions = actions;
    this.#edit = el('button', { class: 'icon-button message-edit', attrs: { type: 'button', title: text.chat.edit, 'aria-label': text.chat.editLabel }, on: { click: () => this.#openEditor() } }, icon('edit'));
    this.#again = el('button', { class: 'text-button', attrs: { type: 'button' }, on: { click: actions.again } }, icon('replay'), el('span'));
    this.#copy = el('button', { class: 'text-button', attrs: { type: 'button' }, on: { click: () => void this.#copyText() } }, icon('copy'), el('span', { text: text.chat.copy }));
    const author = el('h3', { class: 'visually-hidden', text: message.role === 'user' ? text.chat.you : text.chat.model });
    this.element = el('article', { class: `message is-${message.role}` }, author, el('div', { class: 'message-body' }, this.#dots, this.#text));
    if (message.role === 'assistant') this.element.append(this.#moments, el('div', { class: 'message-foot' }, this.#note, this.#copy, this.#again));
    else this.element.append(this.#edit);
  }

  /**
   * @param last whether it is the newest message: only that one can be answered again
   * @param idle whether no answer is being written: only then can a question be edited
   */
  update(last: boolean, idle: boolean): void {
    const { status, error, timing, role } = this.message;
    const open = status === 'waiting' || status === 'streaming';
    setText(this.#text, this.message.text);
    this.#text.hidden = this.message.text === '';
    this.#dots.hidden = status !== 'waiting';
    this.element.classList.toggle('is-streaming', status === 'streaming');
    this.element.classList.toggle('is-failed', status === 'failed');
    this.#edit.hidden = !idle;
    if (role !== 'assistant') return;
    this.#renderMoments();
    const notes = { waiting: '', streaming: '', complete: timing ?? '', stopped: text.chat.stopped, cut: text.chat.lengthLimit, failed: error ?? text.chat.failed };
    setText(this.#note, notes[status]);
    this.#copy.hidden = open || this.message.text === '';
    this.#again.hidden = open || !last;
    const label = this.#again.querySelector('span');
    if (label) setText(label, status === 'complete' || status === 'cut' ? text.chat.regenerate : text.chat.retry);
  }

  #renderMoments(): void {
    const { moments } = this.message;
    this.#moments.hidden = moments.length === 0;
    if (moments === this.#momentsOf) return;
    this.#momentsOf = moments;
    this.#moments.replaceChildren(
      ...moments.map(({ start_s, end_s }) => {
        const [start, end] = [formatTime(start_s), formatTime(end_s)];
        const label = text.chat.moment(start, end);
        return el('button', { class: 'chip moment', attrs: { type: 'button', 'aria-label': text.chat.momentLabel(label) }, on: { click: () => this.#actions.moment(start_s) } }, icon('play'), el('span', { text: label }));
      }),
    );
  }

  #openEditor(): void {
    const parts = [...this.element.children];
    const close = (): void => {
      editor.element.remove();
      for (const part of parts) part.removeAttribute('hidden');
      this.element.classList.remove('is-edited');
      this.#edit.focus();
    };
    const editor = new QuestionEditor(this.message.text, this.#actions.edit, close);
    for (const part of parts) part.setAttribute('hidden', '');
    this.element.classList.add('is-edited');
    this.element.append(editor.element);
    editor.focus();
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
