import type { App } from '../api/typed.js';
import { ApiError, toApiError } from '../errors.js';

/** Every error leaves in the one shape; what the server did wrong is logged in full and told in one sentence. */
export function errorHandlers(app: App): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = toApiError(thrown);
    if (error.status >= 500) request.log.error({ err: thrown }, 'request failed');
    else request.log.info({ code: error.code, param: error.param }, 'request refused');
    // The rest of an upload that is refused is not read: its connection cannot be used again.
    if (error.status === 413 || error.status === 507) reply.header('connection', 'close');
    return reply.code(error.status).type('application/json; charset=utf-8').send(JSON.stringify(error.toBody()));
  });
  app.setNotFoundHandler((request) => {
    throw new ApiError('not_found', { message: `There is nothing at ${request.method} ${request.url.split('?')[0]?.slice(0, 200) ?? ''}. /docs lists what there is.` });
  });
}
