import type { App } from '../api/typed.js';

/**
 * JSON bodies as Fastify reads them, but for one that is empty: several clients say `Content-Type: application/json`
 * with a DELETE, or a POST to an address that takes no body, and then send none. Where a body is needed, an empty one is still no JSON.
 */
export function jsonBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '' && request.routeOptions.schema?.body === undefined) done(null, undefined);
    else void parse(request, body, done);
  });
}
