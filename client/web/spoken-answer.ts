import type { Message } from './conversation.js';
import { el } from './dom.js';

/**
 * The running answer for screen readers: told sentence by sentence. Every token as it comes would interrupt the reader
 * many times a second; the whole answer at its end would keep them waiting.
 */
export class SpokenAnswer {
  readonly element = el('div', { class: 'visually-hidden', attrs: { 'aria-live': 'polite' } });
  #message: Message | null = null;
  #told = 0;

  clear(): void {
    this.#message = null;
    this.#told = 0;
    this.element.replaceChildren();
  }

  /** Tells what is new in this answer. Answers that were complete before they were first followed are not told. */
  follow(message: Message): void {
    const open = message.status === 'waiting' || message.status === 'streaming';
    if (this.#message !== message) {
      if (!open) return;
      this.clear();
      this.#message = message;
    }
    const rest = message.text.slice(this.#told);
    const end = open ? lastSentenceEnd(rest) : rest.length;
    const news = open || message.error === null ? rest.slice(0, end) : `${rest} ${message.error}`;
    this.#told += end;
    if (news.trim() !== '') this.element.append(el('p', { text: news.trim() }));
    if (!open) this.#message = null;
  }
}

/** Length of the part of the text that ends with a sentence; 0 where none has ended. */
function lastSentenceEnd(text: string): number {
  const ends = [...text.matchAll(/[.!?\u2026\n](?=\s)/g)];
  return (ends.at(-1)?.index ?? -1) + 1;
}
