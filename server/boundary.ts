import type { FastifyBaseLogger } from 'fastify';

/**
 * Wraps a listener of events, whose errors nobody would catch: thrown out of it, they would end the process and everybody's work with it.
 * They are logged, `what` saying what was being done.
 */
export function boundary<Arguments extends unknown[]>(log: FastifyBaseLogger, what: string, listener: (...args: Arguments) => void): (...args: Arguments) => void {
  return (...args) => {
    try {
      listener(...args);
    } catch (error) {
      log.error({ err: error }, `${what} failed`);
    }
  };
}
