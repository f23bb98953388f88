import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifySchema } from 'fastify';
import { ErrorSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { asyncApi } from '../realtime/asyncapi.js';

/** /openapi.json and the browsable /docs, made from the schemas of the routes, and /asyncapi.json for the socket. Register before the routes. */
export async function openApi(app: App, version: string, publicUrls: readonly string[]): Promise<void> {
  await app.register(swagger, {
    transform: ({ schema, url }) => ({ schema: withEveryStatus(schema), url }),
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'latentchat',
        version,
        description:
          'Chat with videos through their latents. Upload a video by the tus protocol to /v1/uploads, ask about it at ' +
          '/v1/chat/completions, at /v1/responses or over the WebSocket /v1/realtime, which /asyncapi.json describes; find moments at /v1/search, have files of questions answered by /v1/batches. ' +
          'Every error has the shape {"error": {"code", "message", "type", "param"}}.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      ...(publicUrls.length === 0 ? {} : { servers: publicUrls.map((url) => ({ url })) }),
      tags: [{ name: 'server' }, { name: 'videos' }, { name: 'chat' }, { name: 'conversations' }, { name: 'search' }, { name: 'batches' }],
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
    // Swagger UI sets styles in its markup; scripts from elsewhere or in the markup stay forbidden.
    staticCSP: {
      'default-src': "'self'",
      'img-src': "'self' data:",
      'font-src': "'self' data:",
      'style-src': "'self' 'unsafe-inline'",
      'object-src': "'none'",
      'base-uri': "'none'",
      'frame-ancestors': "'none'",
    },
  });
  const realtime = asyncApi(version);
  app.get('/asyncapi.json', { schema: { hide: true } }, () => realtime);
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/** A route's schema with the statuses that any route may answer with, and what it produces where its answers are no JSON. */
function withEveryStatus(schema: FastifySchema): FastifySchema {
  // Some routes have no schema at all, whatever the type says.
  const { response, produces, hide } = (schema ?? {}) as { response?: object; produces?: readonly string[]; hide?: boolean };
  if (hide === true) return schema;
  const content = produces === undefined ? { type: 'null' } : { content: Object.fromEntries(produces.map((type) => [type, { schema: {} }])) };
  const success = response === undefined ? { '2xx': { description: 'Success', ...content }, '3xx': { description: 'Not changed', type: 'null' } } : response;
  // What it produces is said with each status: errors are JSON everywhere.
  const { produces: _, ...rest } = schema as FastifySchema & { produces?: unknown };
  return { ...rest, response: { '4xx': ErrorSchema, '5xx': ErrorSchema, ...success } };
}
