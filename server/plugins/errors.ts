import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import type { App } from '../api/typed.js';
import { ApiError, toApiError } from '../errors.js';
import { isComing } from './bodies.js';
import { endConnection } from './connections.js';

export function sendError(reply: FastifyReply, error: ApiError): FastifyReply {
  return reply.code(error.status).type('application/json; charset=utf-8').send(JSON.stringify(error.toBody()));
}

/** For bytes that are no HTTP request: there is no reply object, only the socket. */
export function refuseConnection(_error: Error, socket: Socket): void {
  if (!socket.writable) return;
  const body = JSON.stringify(new ApiError('invalid_request', { message: 'This is not a valid HTTP request.' }).toBody());
  const head = ['HTTP/1.1 400 Bad Request', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close'];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Every error leaves in the one shape; what the server did wrong is logged in full and told in one sentence. */
export function errorHandlers(app: App): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = toApiError(thrown);
    // What passes by itself (the model still loads, the queue is full) is no fault: a probe may meet it every second.
    if (error.status >= 500 && error.retryAfter_s === null) request.log.error({ err: thrown }, 'request failed');
    else request.log.info({ code: error.code, param: error.param }, 'request refused');
    // Who may not ask keeps no connection, and what is refused before it was read cannot use its own again.
    if (error.status === 401 || error.status === 403 || isComing(request)) endConnection(request, reply);
    if (error.retryAfter_s !== null) reply.header('retry-after', Math.ceil(error.retryAfter_s));
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    return sendError(reply, error);
  });
  app.setNotFoundHandler((request) => {
    const place = `${request.method} ${request.url.split('?')[0]?.slice(0, 200) ?? ''}`;
    throw new ApiError('not_found', { message: `There is nothing at ${place}. /docs lists what there is.` });
  });
}
