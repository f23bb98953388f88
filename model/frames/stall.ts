/** Waiting for a decoder, but not for ever. */
import { STALL_S } from './limits.js';

/**
 * The iterator's next value, or an error as soon as `signal` aborts or after STALL_S seconds without one.
 *
 * @param discard Frees a value that comes after nobody waits for it any more.
 * @throws the signal's reason; Error when the decoder is stuck.
 */
export async function nextWithin<T>(iterator: AsyncIterator<T>, signal: AbortSignal | undefined, discard: (late: T) => void): Promise<IteratorResult<T>> {
  signal?.throwIfAborted();
  const next = iterator.next();
  let stop: (() => void) | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`no frame for ${STALL_S} seconds`)), STALL_S * 1000);
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  });
  try {
    return await Promise.race([next, interrupted]);
  } catch (error) {
    next.then(
      (late) => {
        if (late.done !== true) discard(late.value);
      },
      () => undefined, // It failed after it was given up: the error being thrown says more.
    );
    throw error;
  } finally {
    stop?.();
  }
}
