import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { FastifyRequest } from 'fastify';
import type { App } from '../api/typed.js';
import { ApiError, toApiError } from '../errors.js';
import { ToolError } from '../mcp/backend.js';
import { HttpVideos } from '../mcp/http-backend.js';
import { InsideApi, type InsideCaller } from '../mcp/inside.js';
import { mcpServer } from '../mcp/server.js';
import type { Services } from '../services.js';

/**
 * The Model Context Protocol over streamable HTTP. Without sessions: every request stands alone, so nothing is kept for clients that
 * do not come back, and a restart of the server is not noticed.
 */
export function mcpRoutes(app: App, { version }: Pick<Services, 'version'>, publicUrls: readonly string[]): void {
  const api = new InsideApi(app);
  app.post(
    '/mcp',
    {
      // The protocol describes itself; docs/mcp.md has the rest.
      schema: { hide: true },
    },
    async (request, reply) => {
      const server = mcpServer(new HttpVideos(api.requests(callerOf(request)), (path) => Promise.resolve(addressOf(request, publicUrls, path))), version, describe);
      const transport = new WebStandardStreamableHTTPServerTransport();
      await server.connect(transport);
      // Also when the client has gone: its tools are stopped.
      reply.raw.once('close', () => void server.close());
      const { status, headers, body } = await transport.handleRequest(webRequest(request), { parsedBody: request.body });
      reply.code(status);
      for (const [name, value] of headers) reply.header(name, value);
      // Node's own stream type and the DOM's differ in name only.
      return reply.send(body === null ? null : Readable.fromWeb(body as unknown as ReadableStream));
    },
  );
  // Clients that would listen for messages of the server, or end a session, learn from this status that there is neither.
  app.route({
    method: ['GET', 'DELETE'],
    url: '/mcp',
    schema: { hide: true },
    handler: (_request, reply) => {
      reply.header('allow', 'POST');
      throw new ApiError('method_not_allowed');
    },
  });
}

/** Who calls from inside as who calls from outside. */
function callerOf({ headers: { authorization, host }, ip }: FastifyRequest): InsideCaller {
  return { headers: { ...(authorization === undefined ? {} : { authorization }), ...(host === undefined ? {} : { host }) }, ip };
}

/** Where the caller finds a path of the API: at the server's public address, else at the one that was asked. */
function addressOf({ host, protocol }: FastifyRequest, [base]: readonly string[], path: string): string {
  return base === undefined ? `${protocol}://${host}${path}` : base.replace(/\/$/, '') + path;
}

function webRequest({ method, headers, url }: FastifyRequest): Request {
  const copied = new Headers();
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) copied.set(name, String(value));
  return new Request(`http://localhost${url}`, { method, headers: copied });
}

function describe(error: unknown): string {
  return error instanceof ToolError ? error.message : toApiError(error).message;
}
