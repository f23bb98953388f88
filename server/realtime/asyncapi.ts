import type { TSchema } from 'typebox';
import { keyProtocolPrefixes, socketProtocols } from '../access/access.js';
import { clientEvents, closeCodes } from './events.js';
import { serverEvents } from './server-events.js';

/** Close codes that ws or the protocol itself gives, beside our own. */
const protocolCodes = { tooLarge: [1009, 'A message was above the limit at which it is not even read.'] } as const;

const closeReasons: Readonly<Record<keyof typeof closeCodes, string>> = {
  goingAway: 'The server is stopping; connect again in a moment.',
  tryAgainLater: 'Too many sockets are open, of all clients or of this key, or too many messages are unfinished.',
  noHeartbeat: 'Two heartbeats were not answered.',
  keyRemoved: "The socket's API key was removed.",
  idle: 'Nothing was asked or answered for long.',
  slowReader: 'What was sent was not read.',
  flooding: 'Far too many events were sent, also after the client was told.',
};

/** What a socket is closed with, and why, smallest first. */
export const closeTable: readonly (readonly [number, string])[] = [
  ...Object.entries(closeCodes).map(([name, code]) => [code, closeReasons[name as keyof typeof closeCodes]] as const),
  protocolCodes.tooLarge,
].sort((a, b) => a[0] - b[0]);

/** The realtime socket as an AsyncAPI 3 document, made from the schemas that its events are checked with. */
export function asyncApi(version: string): object {
  const messages = { ...messagesOf(clientEvents), ...messagesOf(serverEvents) };
  const inChannel = (types: readonly string[]) => types.map((type) => ({ $ref: `#/channels/realtime/messages/${type}` }));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'latentchat realtime',
      version,
      description:
        'Conversations about videos over one WebSocket: JSON objects in text frames, each with a "type". ' +
        `Close codes: ${closeTable.map(([code, reason]) => `${code} ${reason}`).join(' ')}`,
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      realtime: {
        address: '/v1/realtime',
        messages: Object.fromEntries(Object.keys(messages).map((type) => [type, { $ref: `#/components/messages/${type}` }])),
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: {
                conversation: { type: 'string', description: 'Id of a stored conversation to go on with.' },
                model: { type: 'string', description: 'The model that is wanted: another one than there is is told by an error.' },
              },
            },
            headers: {
              type: 'object',
              properties: {
                authorization: { type: 'string', description: 'Bearer <key>, where the server asks for one.' },
                'sec-websocket-protocol': { type: 'string', description: `From a browser: "${socketProtocols[0]}, ${keyProtocolPrefixes[0]}<key>", or "${socketProtocols[1]}, ${keyProtocolPrefixes[1]}<key>".` },
              },
            },
          },
        },
      },
    },
    operations: {
      receive: { action: 'receive', channel: { $ref: '#/channels/realtime' }, summary: 'Events of the client', messages: inChannel(Object.keys(clientEvents)) },
      send: { action: 'send', channel: { $ref: '#/channels/realtime' }, summary: 'Events of the server', messages: inChannel(Object.keys(serverEvents)) },
    },
    components: { messages },
  };
}

function messagesOf(events: Readonly<Record<string, TSchema>>): Record<string, object> {
  return Object.fromEntries(Object.entries(events).map(([type, schema]) => [type, { name: type, payload: schema }]));
}
