/** Waiting for what comes by itself, without a fixed sleep. */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Seconds after which it is taken never to come; generous, since a machine may be busy. Default 60. */
  readonly limit_s?: number;
  readonly every_ms?: number;
}

/**
 * Looks again and again until what is seen fits.
 * @returns what was seen last
 * @throws AssertionError with `what` and what was seen last, after the limit
 */
export async function eventually<T>(look: () => T | Promise<T>, fits: (seen: T) => boolean, what: string, { limit_s = 60, every_ms = 25 }: EventuallyOptions = {}): Promise<T> {
  const end = performance.now() + limit_s * 1000;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    assert.ok(performance.now() < end, `waited ${limit_s} s in vain for ${what}; it is ${JSON.stringify(seen)}`);
    await wait(every_ms);
  }
}

/** As eventually, for what holds or does not. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, options: EventuallyOptions = {}): Promise<void> {
  await eventually(holds, (held) => held, what, options);
}
