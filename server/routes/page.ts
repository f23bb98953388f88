import { existsSync } from 'node:fs';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';

/** The page at /, from the folder the build writes. Files are asked for again each time and answered with 304 while unchanged. */
export async function pageRoutes(app: App, publicDir: string): Promise<void> {
  if (!existsSync(path.join(publicDir, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, () => {
      throw new ApiError('not_found', { message: 'The page has not been built. Run: node client/build.mjs' });
    });
    return;
  }
  await app.register(fastifyStatic, {
    root: publicDir,
    prefix: '/',
    wildcard: false,
    preCompressed: true,
    cacheControl: false,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
  });
}
