import helmet from '@fastify/helmet';
import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';

const loopback = new Set(['localhost', '127.0.0.1', '::1', '[::1]']);

export function isLoopback(host: string): boolean {
  return loopback.has(host.toLowerCase());
}

/**
 * Security headers, and who may ask at all. There are no keys, so a server on loopback must not serve the pages a
 * visitor happens to have open: their requests carry a foreign Origin, or, after DNS rebinding, a foreign Host.
 */
export async function guard(app: App, options: { readonly loopbackOnly: boolean }): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'blob:', 'data:'],
        mediaSrc: ["'self'", 'blob:'],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        workerSrc: ["'self'"],
        manifestSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // Together these isolate the page, which lets WebAssembly use threads.
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    crossOriginEmbedderPolicy: { policy: 'require-corp' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // Whoever puts TLS in front decides about this one.
    strictTransportSecurity: false,
  });
  app.addHook('onRequest', async (request) => {
    const { origin, host } = request.headers;
    if (options.loopbackOnly && host !== undefined && !isLoopback(hostName(host))) throw new ApiError('forbidden_host');
    if (origin !== undefined && originHost(origin) !== host) throw new ApiError('forbidden_origin');
  });
}

/** `[::1]:8080` -> `[::1]`, `localhost:8080` -> `localhost`. */
function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}

function originHost(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}
