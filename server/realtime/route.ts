import websocket from '@fastify/websocket';
import type { Server } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { socketProtocols } from '../access/access.js';
import { Tally } from '../access/tally.js';
import { ApiError } from '../errors.js';
import { closeCodes } from './events.js';
import { RealtimeSocket, type SocketContext } from './socket.js';
import { UnfinishedMessages } from './unfinished.js';
import { webSocketUpgrades } from './upgrades.js';

/** The one address of the socket. */
const place = '/v1/realtime';

/** `/v1/realtime`; `?conversation=<id>` goes on with a stored conversation. */
export async function realtimeRoute(app: FastifyInstance, context: SocketContext): Promise<void> {
  await app.register(websocket, {
    options: {
      // All that the plugin does with a server is to listen for its upgrades.
      server: webSocketUpgrades(app.server) as Server,
      maxPayload: context.limits.messageHardBytes,
      perMessageDeflate: false,
      clientTracking: true,
      // A key among the subprotocols must not be sent back as the one that was chosen.
      handleProtocols: (offered) => socketProtocols.find((name) => offered.has(name)) ?? false,
    },
    errorHandler: (error, socket) => {
      // Broken frames and oversized messages: ws has already begun to close with the fitting code.
      context.log.debug({ err: error }, 'socket error');
      if (socket.readyState === socket.OPEN) socket.terminate();
    },
    preClose: (done) => {
      for (const client of app.websocketServer.clients) client.close(closeCodes.goingAway, 'server is stopping');
      app.websocketServer.close(() => done());
      // Clients get a moment for the closing handshake, then the door closes.
      setTimeout(() => app.websocketServer.clients.forEach((client) => client.terminate()), 500).unref();
    },
  });
  // A refused handshake is answered over HTTP, but its connection has left the HTTP server's care: without this it would
  // stay open on our side for good, and a stopping server would wait for it.
  app.addHook('onResponse', async (request) => {
    const { socket } = request.raw;
    if (request.headers.upgrade !== undefined) socket.end(() => socket.destroy());
  });
  app.addHook('onRequest', async (request) => {
    if (request.ws && !request.is404 && request.routeOptions.url !== place) {
      throw new ApiError('invalid_request', { param: 'Upgrade', message: `There is no WebSocket at this address. It is at ${place}.` });
    }
  });
  const unfinished = new UnfinishedMessages(context.limits.unfinishedBytes);
  const ofKey = new Tally();
  app.route({
    method: 'GET',
    url: place,
    // /asyncapi.json describes it.
    schema: { hide: true },
    handler: (_request, reply) => {
      reply.header('upgrade', 'websocket').header('connection', 'upgrade');
      throw new ApiError('upgrade_required');
    },
    wsHandler: (socket, request) => {
      if (app.websocketServer.clients.size > context.limits.sockets) {
        socket.close(closeCodes.tryAgainLater, 'too many sockets');
        return;
      }
      if (request.apiKey) {
        const { id } = request.apiKey;
        if (ofKey.of(id) >= context.limits.socketsPerKey) {
          socket.close(closeCodes.tryAgainLater, 'too many sockets of this key');
          return;
        }
        ofKey.add(id, 1);
        socket.once('close', () => ofKey.add(id, -1));
      }
      unfinished.watch(socket, request.raw.socket);
      const { conversation, model } = request.query as { conversation?: unknown; model?: unknown };
      new RealtimeSocket(socket, context, { key: request.apiKey, caller: request.caller, conversationId: textOrNull(conversation), model: textOrNull(model) });
    },
  });
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
