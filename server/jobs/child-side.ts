/** What every child process of the server does on its own side. */
import { writeFileSync } from 'node:fs';

/** Seconds between signs of life. Far below the silence after which the server ends a child. */
const beat_s = 0.5;
/** From 0 to 1000: when memory runs out, Linux ends the process with the most points. A child's work can be done again, the server's cannot. */
const outOfMemoryPoints = '500';

/**
 * Tells the server twice a second that this process gets on, as long as its event loop turns; ends it when the server is gone; keeps what it
 * writes from other users; and lets it be the first to go when memory runs out.
 */
export function behaveAsChild(): void {
  process.umask(0o077);
  try {
    if (process.platform === 'linux') writeFileSync('/proc/self/oom_score_adj', outOfMemoryPoints);
  } catch {
    // A sandbox without /proc: the system then chooses by size alone.
  }
  // A channel that is gone is told by 'disconnect'.
  setInterval(() => process.send?.({ type: 'alive' }, () => undefined), beat_s * 1000).unref();
  // Without its server a child has nobody to report to; what it has written is taken up again at the next start.
  process.once('disconnect', () => process.exit(0));
}
