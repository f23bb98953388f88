/** How many connections there may be, and how one ends whose request is refused before it was read. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Tally } from '../access/tally.js';
import type { Limits } from '../config.js';
import { isComing } from './bodies.js';
import { isLoopback } from './guard.js';

/** Seconds for which a refused client that still sends may read its answer. */
const linger_s = 1;

/** Holds a server to its numbers of connections: in all, and from one address. */
export function limitConnections(server: Server, { connections, connectionsPerAddress }: Limits): void {
  server.maxConnections = connections;
  const open = new Tally();
  const counted = new WeakSet<Socket>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    // Everybody comes from loopback where a proxy on this machine stands in front.
    if (counted.has(socket) || isLoopback(address)) return;
    counted.add(socket);
    if (open.of(address) >= connectionsPerAddress) {
      socket.destroy();
      return;
    }
    open.add(address, 1);
    socket.once('close', () => open.add(address, -1));
  });
}

/**
 * Ends the connection with the answer. Whatever the client still sends is read for a moment and thrown away: a connection that is closed
 * over unread bytes is reset, and the client would see that in place of its answer.
 */
export function endConnection(request: FastifyRequest, reply: FastifyReply): void {
  reply.header('connection', 'close');
  if (!isComing(request)) return;
  const { raw } = request;
  const { socket } = raw;
  // What Node calls when the answer is written.
  socket.destroySoon = () => {
    socket.end();
    raw.resume();
    const timer = setTimeout(() => socket.destroy(), linger_s * 1000).unref();
    socket.once('close', () => clearTimeout(timer));
    raw.once('end', () => socket.destroy());
  };
}
