/** Cuts streamed text at the first of a set of strings, which may arrive in pieces. */
export class StopStrings {
  private held = '';

  constructor(private readonly stops: readonly string[]) {}

  /**
   * Takes the next piece of text.
   * @returns the text that may be shown now, and whether a stop string was met (it and what follows are dropped)
   */
  push(text: string): { text: string; stopped: boolean } {
    this.held += text;
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      const shown = this.held.slice(0, Math.min(...found));
      this.held = '';
      return { text: shown, stopped: true };
    }
    const keep = Math.max(0, ...this.stops.map((stop) => overlap(this.held, stop)));
    const shown = this.held.slice(0, this.held.length - keep);
    this.held = this.held.slice(this.held.length - keep);
    return { text: shown, stopped: false };
  }

  /** What was held back in case a stop string followed. */
  end(): string {
    const rest = this.held;
    this.held = '';
    return rest;
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
