/** A token bucket: `perSecond` over a longer time, `burst` at once. */
export class TokenBucket {
  #tokens: number;
  #refilled: number;

  /** @param clock in seconds; only differences count */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly clock: () => number = () => performance.now() / 1000,
  ) {
    this.#tokens = burst;
    this.#refilled = clock();
  }

  /** True where one more is allowed, and takes it. */
  take(): boolean {
    const now = this.clock();
    this.#tokens = Math.min(this.burst, this.#tokens + (now - this.#refilled) * this.perSecond);
    this.#refilled = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Seconds until one more is allowed. */
  get wait_s(): number {
    return Math.max(0, (1 - this.#tokens) / this.perSecond);
  }
}
