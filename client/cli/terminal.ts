/** What a command writes while it works: a bar on a terminal, plain lines elsewhere. Results go to standard output, this to standard error. */
import { errorStream, type TextStream } from './surroundings.js';

export interface ProgressState {
  /** What is being done, such as "training". */
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** After the count, such as "frames". */
  readonly unit: string;
  /** Further figures, such as "31.2 dB". */
  readonly detail?: string;
  /** Seconds until the end, where that is known. */
  readonly eta_s?: number;
}

const BAR_CELLS = 24;
/** Milliseconds between redraws of the bar, and between plain lines of one label. */
const REDRAW_MS = 100;
const LINE_MS = 10_000;

export class Progress {
  readonly #stream: TextStream;
  readonly #now: () => number;
  readonly #bar: boolean;
  #last = -Infinity;
  #label = '';
  #shown = false;

  /** `now` in milliseconds. */
  constructor(stream: TextStream = errorStream(), now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#bar = stream.isTTY === true;
  }

  /** Shows `state` unless something was shown a moment ago; the first and the last state of a label are always shown. */
  update(state: ProgressState): void {
    const now = this.#now();
    const ends = state.done >= state.total;
    const due = now - this.#last >= (this.#bar ? REDRAW_MS : LINE_MS);
    if (!due && !ends && state.label === this.#label) return;
    this.#last = now;
    this.#label = state.label;
    if (this.#bar) {
      const text = barText(state).slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1));
      this.#stream.write(`\r\u001b[2K${text}`);
      this.#shown = true;
    } else {
      this.#stream.write(`${lineText(state)}\n`);
    }
  }

  /** A line of its own, above the bar. */
  note(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** Takes the bar away. Call it before anything else is written and at the end. */
  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#shown = false;
  }
}

function barText(state: ProgressState): string {
  const share = state.total > 0 ? Math.min(1, state.done / state.total) : 1;
  const filled = Math.round(share * BAR_CELLS);
  return `${state.label.padEnd(9)} ${'\u2588'.repeat(filled)}${'\u2591'.repeat(BAR_CELLS - filled)} ${figures(state)}`;
}

function lineText(state: ProgressState): string {
  return `${state.label}: ${figures(state)}`;
}

function figures({ done, total, unit, detail, eta_s }: ProgressState): string {
  const round = (value: number): number => Math.round(value);
  const parts = [`${round(done)} of ${round(total)} ${unit}`];
  if (detail !== undefined && detail !== '') parts.push(detail);
  if (eta_s !== undefined && Number.isFinite(eta_s) && done < total) parts.push(`${duration(eta_s)} left`);
  return parts.join(', ');
}

/** Seconds as people say them: 8 s, 1 min 20 s, 2 h 5 min. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** 1234567 as 1,234,567. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
