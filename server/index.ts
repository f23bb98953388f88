import type { AddressInfo } from 'node:net';
import { buildApp, type AppOptions } from './app.js';
import { isLoopback } from './plugins/guard.js';

export { buildApp, type AppOptions } from './app.js';
export { defaultLimits, type Limits } from './config.js';
export { errorTable, type ErrorBody, type ErrorCode } from './errors.js';

export interface ServerOptions extends AppOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** Default 127.0.0.1: there are no keys, so nobody else should reach the server. */
  readonly host?: string;
}

export interface RunningServer {
  /** Such as http://127.0.0.1:8080 */
  readonly url: string;
  /** Stops encodes at a checkpoint, ends sockets and gives everything back. Safe to call more than once. */
  close(): Promise<void>;
}

/**
 * Starts the server and resolves as soon as it answers; the model loads behind.
 * @throws Error in one plain sentence when the port is taken or the data folder cannot be used
 */
export async function startServer({ port, host = '127.0.0.1', ...options }: ServerOptions): Promise<RunningServer> {
  const loopbackOnly = isLoopback(host);
  const app = await buildApp({ loopbackOnly, ...options });
  if (!loopbackOnly) app.log.warn(`Listening on ${host}: everybody who can reach it can use this server, there are no keys.`);
  try {
    await app.listen({ port, host });
  } catch (error) {
    await app.close();
    if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new Error(`Port ${port} is in use. Stop the program that uses it or choose another with --port.`, { cause: error });
    }
    throw error;
  }
  const address = app.server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | null = null;
  return { url: `http://${name}:${address.port}`, close: () => (closing ??= app.close()) };
}
