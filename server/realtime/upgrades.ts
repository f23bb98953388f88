import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Gives an emitter that has a server's `upgrade` events of WebSockets alone. A request to change to any other protocol is answered as if
 * it had not asked, which HTTP allows (RFC 9110, section 7.8): Java's HttpClient asks for `h2c` with its first request of a connection.
 */
export function webSocketUpgrades(server: Server): EventEmitter {
  const upgrades = new EventEmitter();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (asksFor(request, 'websocket')) upgrades.emit('upgrade', request, socket, head);
    else serveWithout(server, request, socket, head);
  });
  return upgrades;
}

function asksFor({ headers }: IncomingMessage, protocol: string): boolean {
  return listOf(headers.upgrade).some((name) => name.toLowerCase() === protocol);
}

/** Node has taken the connection from the HTTP server by now: it is given back with the same request, less what asked for the upgrade. */
function serveWithout(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = request.rawHeaders.slice(at, at + 2);
    const kept = withoutUpgrade(name.toLowerCase(), value);
    if (kept !== null) lines.push(`${name}: ${kept}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutUpgrade(name: string, value: string): string | null {
  if (name === 'upgrade' || name === 'http2-settings') return null;
  if (name !== 'connection') return value;
  const rest = listOf(value).filter((token) => !['upgrade', 'http2-settings'].includes(token.toLowerCase()));
  return rest.length > 0 ? rest.join(', ') : null;
}

function listOf(value = ''): string[] {
  return value.split(',').map((part) => part.trim()).filter((part) => part !== '');
}
