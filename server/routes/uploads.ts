import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../api/typed.js';
import { Receiver } from '../uploads/receiver.js';

/** Resumable uploads (tus 1.0.0) at /v1/uploads. */
export async function uploadRoutes(app: App, receiver: Receiver): Promise<void> {
  await app.register(async (scope: App) => {
    // Bodies are bytes of a file: they go to the disk as they come.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { bodyLimit: Number.MAX_SAFE_INTEGER }, (_request, _payload, done) => done(null));
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => handle(receiver, request, reply);
    const tags = ['videos'];
    const config = { streamed: true };
    scope.route({ method: 'POST', url: '/v1/uploads', config, schema: { tags, summary: 'Start an upload (tus creation); its id becomes the id of the video' }, handler });
    scope.route({ method: 'OPTIONS', url: '/v1/uploads', schema: { tags, summary: 'What the upload server can do (tus)' }, handler });
    scope.route({ method: 'HEAD', url: '/v1/uploads/:id', schema: { tags, summary: 'How far an upload is (tus)' }, handler });
    scope.route({ method: 'PATCH', url: '/v1/uploads/:id', config, schema: { tags, summary: 'Send bytes of an upload (tus)' }, handler });
    scope.route({ method: 'DELETE', url: '/v1/uploads/:id', schema: { tags, summary: 'Give up an upload (tus termination)' }, handler });
  });
}

async function handle(receiver: Receiver, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { id = null } = request.params as { id?: string };
  const answer = await receiver.handle(webRequest(request), id, request.caller);
  if (answer.status >= 400) {
    const error = Receiver.errorOf(answer.status, await answer.text());
    reply.header('tus-resumable', '1.0.0');
    throw error;
  }
  for (const [name, value] of answer.headers) {
    // Which other origins may read answers is decided by the guard: none.
    if (!name.startsWith('access-control-')) reply.header(name, value);
  }
  const body = await answer.text();
  return reply.code(answer.status).send(body === '' ? undefined : body);
}

function webRequest(request: FastifyRequest): Request {
  const hasBody = request.method === 'POST' || request.method === 'PATCH';
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const init: RequestInit & { duplex?: 'half' } = { method: request.method, headers };
  if (hasBody) {
    // Node's own stream type and the DOM's differ in name only.
    init.body = Readable.toWeb(request.raw) as ReadableStream<Uint8Array> as unknown as BodyInit;
    init.duplex = 'half';
  }
  return new Request(`http://localhost${request.url}`, init);
}
