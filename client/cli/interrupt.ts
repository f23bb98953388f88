import { UserError } from './failure.js';

/** Raised by the signal that a command hands to long work; its message tells the user what was kept. */
export class Interrupted extends UserError {}

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Stops listening. */
  dispose(): void;
}

/**
 * A signal that Ctrl+C and a polite kill abort, with `kept` as the message. The work under way comes to a clean end; pressing Ctrl+C once
 * more ends the process at once.
 */
export function interruptible(kept: string): Interrupt {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort(new Interrupted(`Stopped. ${kept}`));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    dispose: () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
