/** Waiting for a decoder, but not for ever. */
import { STALL_S } from './limits.js';

/**
 * The promise's value, or an error as soon as `signal` aborts or when it takes more than STALL_S seconds.
 *
 * @throws the signal's reason; Error when the decoder is stuck; what the promise throws.
 */
export async function withinPatience<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  let stop: (() => void) | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`no frame for ${STALL_S} seconds`)), STALL_S * 1000);
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    if (signal?.aborted === true) abort();
  });
  try {
    return await Promise.race([promise, interrupted]);
  } finally {
    stop?.();
    promise.catch(() => undefined); // A failure after it was given up: the error being thrown says more.
  }
}
