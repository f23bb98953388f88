/** What every child process of the server does on its own side. */

/** Seconds between signs of life. Far below the silence after which the server ends a child. */
const beat_s = 0.5;

/**
 * Tells the server twice a second that this process gets on, as long as its event loop turns; ends it when the server is gone; and keeps what
 * it writes from other users.
 */
export function behaveAsChild(): void {
  process.umask(0o077);
  // A channel that is gone is told by 'disconnect'.
  setInterval(() => process.send?.({ type: 'alive' }, () => undefined), beat_s * 1000).unref();
  // Without its server a child has nobody to report to; what it has written is taken up again at the next start.
  process.once('disconnect', () => process.exit(0));
}
