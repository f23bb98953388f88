import helmet from '@fastify/helmet';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../access/access.js';
import type { Caller } from '../access/caller.js';
import type { ApiKey } from '../access/keys.js';
import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The key it came with; null where none is asked for. */
    apiKey: ApiKey | null;
    /** Whom it speaks for, in all that has an owner. */
    readonly caller: Caller;
  }
  interface FastifyInstance {
    readonly access: Access;
  }
}

const loopback = new Set(['localhost', '127.0.0.1', '::1', '[::1]']);

export function isLoopback(host: string): boolean {
  return loopback.has(host.toLowerCase());
}

export interface GuardOptions {
  readonly access: Access;
  /** Origins, such as https://example.com, whose pages may use the API. */
  readonly corsOrigins: readonly string[];
  /** Addresses at which a proxy offers this server, such as https://example.com/video/. Its page there is this server's own. */
  readonly publicUrls: readonly string[];
}

/** What a page of a listed origin may read besides the body. */
const exposedHeaders = [
  'etag', 'location', 'content-range', 'retry-after', 'x-request-id', 'x-video-id', 'x-container-version',
  'tus-resumable', 'tus-version', 'tus-extension', 'tus-max-size', 'upload-offset', 'upload-length', 'upload-expires',
].join(', ');

/** Security headers, and who may ask at all: by Host, by Origin, and by API key. */
export async function guard(app: App, { access, corsOrigins, publicUrls }: GuardOptions): Promise<void> {
  const published = publicUrls.map((url) => new URL(url));
  const isPublic = (host: string): boolean => published.some(({ hostname }) => hostname === host.toLowerCase());
  // A proxy may send its own name for us as the Host: the Origin of our page there is known by the address it is published at.
  const isOwn = (origin: string, host: string | undefined): boolean =>
    published.some((url) => url.origin === origin) || (originHost(origin) === host && !isPublic(hostName(host ?? '')));
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
  app.decorate('access', access);
  app.decorateRequest('apiKey', null);
  app.decorateRequest('caller', {
    getter(this: FastifyRequest) {
      return access.callerOf(this.apiKey?.id ?? null);
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    const { origin, host } = request.headers;
    // Without keys the visitor's own pages are all that may ask: a page that he happens to have open carries a foreign
    // Origin, or, after DNS rebinding, a foreign Host. With keys such a page has none.
    if (!access.required && host !== undefined && !isLoopback(hostName(host)) && !isPublic(hostName(host))) throw new ApiError('forbidden_host');
    if (origin !== undefined && !isOwn(origin, host)) {
      if (!corsOrigins.includes(origin)) throw new ApiError('forbidden_origin');
      allowOrigin(reply, origin);
      if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) return answerPreflight(request, reply);
    }
    if (!needsKey(request)) return;
    request.apiKey = await access.identify(request.headers);
    if (request.apiKey) access.admit(request.apiKey);
  });
}

/** By the route that was found, not by the address as it was written, which may be written in several ways. */
function needsKey(request: FastifyRequest): boolean {
  const route = request.routeOptions.url;
  return route !== undefined && (route.startsWith('/v1/') || route === '/metrics' || route === '/mcp');
}

function allowOrigin(reply: FastifyReply, origin: string): void {
  reply.header('access-control-allow-origin', origin).header('vary', 'Origin').header('access-control-expose-headers', exposedHeaders);
}

/** A browser asks before it sends what a form could not. It asks without a key. */
function answerPreflight(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const headers = request.headers['access-control-request-headers'];
  return reply
    .code(204)
    .header('access-control-allow-methods', 'GET, HEAD, POST, PATCH, DELETE')
    .header('access-control-max-age', 600)
    .headers(headers === undefined ? {} : { 'access-control-allow-headers': headers })
    .send();
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
