/** Pixels from the end within which the reader counts as following the answer. */
const followDistance = 64;

/**
 * Keeps the end of a growing answer in sight, as long as the reader is there: whoever scrolls up to read again is left
 * alone. What scrolls is the log itself, or on a phone the whole page.
 */
export class Follower {
  readonly #log: HTMLElement;
  #following = true;

  constructor(log: HTMLElement) {
    this.#log = log;
    log.addEventListener('scroll', () => this.#look(), { passive: true });
    globalThis.addEventListener('scroll', () => this.#look(), { passive: true });
  }

  /** Goes to the end and follows from there. `page` false leaves a scrolling page where it is. */
  toEnd({ page = true } = {}): void {
    this.#following = true;
    if (page || this.#ownScroll()) this.#scroll();
  }

  /** Something grew: goes along if the reader was at the end. */
  grew(): void {
    if (this.#following) this.#scroll();
  }

  #ownScroll(): boolean {
    return getComputedStyle(this.#log).overflowY !== 'visible';
  }

  #scroller(): Element {
    return this.#ownScroll() ? this.#log : document.documentElement;
  }

  #look(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller();
    this.#following = scrollHeight - scrollTop - clientHeight < followDistance;
  }

  #scroll(): void {
    const scroller = this.#scroller();
    scroller.scrollTop = scroller.scrollHeight;
  }
}
