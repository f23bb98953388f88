import type { AddressInfo } from 'node:net';
import { KeyFile } from './access/keys.js';
import { buildApp, type AppOptions } from './app.js';
import { isLoopback } from './plugins/guard.js';

export { buildApp, type AppOptions } from './app.js';
export { KeyFile, type ApiKey } from './access/keys.js';
export { defaultLimits, type Limits } from './config.js';
export { errorTable, type ErrorBody, type ErrorCode } from './errors.js';

export interface ServerOptions extends AppOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** Default 127.0.0.1. Any other than a loopback address is listened on only where there is an API key. */
  readonly host?: string;
}

export interface RunningServer {
  /** Such as http://127.0.0.1:8080 */
  readonly url: string;
  /** What the operator should know, in one sentence: that another address was asked for than is listened on. */
  readonly notice: string | null;
  /** Lets answers end, stops encodes at a checkpoint, ends sockets and gives everything back. Safe to call more than once. */
  close(): Promise<void>;
}

const localHost = '127.0.0.1';

/**
 * @param refusedHost the address that was asked for and is not listened on, or null
 * @param published where a proxy offers the server, or null where it asks for keys
 */
function noticeOf(shut: boolean, refusedHost: string | null, published: string | null): string | null {
  const add = 'Add one with "latentchat keys add NAME"';
  const again = shut ? `There are no API keys, and this server has asked for them before, so nobody is let in. ${add}, or start it with --open to let in whoever is on this machine.` : null;
  if (again === null && published !== null) return `There are no API keys: whoever ${published} lets in may use the server. ${add}, or have the proxy ask who they are.`;
  if (refusedHost === null) return again;
  return again ?? `There are no API keys, so the server listens on ${localHost} and not on ${refusedHost}. ${add} and start again.`;
}

/**
 * Starts the server and resolves as soon as it answers; the model loads behind. Without API keys it listens on loopback
 * only, whatever `host` is.
 * @throws Error in one plain sentence when the port is taken or the data folder cannot be used
 */
export async function startServer({ port, host = localHost, ...options }: ServerOptions): Promise<RunningServer> {
  const open = !isLoopback(host);
  const keyless = open && (await new KeyFile(options.dataDir).list()).length === 0;
  const listened = keyless ? localHost : host;
  const app = await buildApp({ ...options, requireKey: options.requireKey ?? (open && !keyless) });
  const notice = noticeOf(app.access.shut, keyless ? host : null, app.access.required ? null : (options.publicUrls?.[0] ?? null));
  if (notice !== null) app.log.warn(notice);
  try {
    await app.listen({ port, host: listened });
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
  return { url: `http://${name}:${address.port}`, notice, close: () => (closing ??= app.close()) };
}
