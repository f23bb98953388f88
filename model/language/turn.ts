/** The next turn of the event loop: what waits for a promise has gone on by then, and messages have arrived. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}
