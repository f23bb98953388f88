/** A small HTTP server for one file, as well-behaved or not as a test wants it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from '../../model/container/crc32.js';

export interface RangeServerOptions {
  /** Answers every request with the whole file. */
  readonly ignoreRange?: boolean;
  /** Sends neither ETag nor Last-Modified. */
  readonly noValidators?: boolean;
  /** Answers a request in place of the file server; false leaves it to that. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export class RangeServer {
  /** The file; replace it to have another version. */
  file: Uint8Array;
  /** The Range header of every request, '' where there was none. */
  readonly asked: string[] = [];
  /** Bytes of all bodies. */
  sent = 0;
  readonly #server: Server;

  private constructor(file: Uint8Array, options: RangeServerOptions) {
    this.file = file;
    this.#server = createServer((request, response) => {
      this.asked.push(request.headers.range ?? '');
      if (options.intercept?.(request, response) !== true) this.#answer(request, response, options);
    });
  }

  static async start(file: Uint8Array, options: RangeServerOptions = {}): Promise<RangeServer> {
    const server = new RangeServer(file, options);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/video.linr`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse, { ignoreRange, noValidators }: RangeServerOptions): void {
    const { file } = this;
    const etag = `"${crc32(file)}"`;
    if (noValidators !== true) response.setHeader('etag', etag);
    const { range, 'if-range': ifRange } = request.headers;
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
    if (match === null || ignoreRange === true || (ifRange !== undefined && ifRange !== etag)) {
      this.#send(response, file);
      return;
    }
    const [from, to] = [Number(match[1]), Math.min(Number(match[2]) + 1, file.length)];
    if (from >= file.length) {
      response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
      return;
    }
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${file.length}` });
    this.#send(response, file.subarray(from, to));
  }

  #send(response: ServerResponse, body: Uint8Array): void {
    this.sent += body.length;
    response.end(body);
  }
}
