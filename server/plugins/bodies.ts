/** What request bodies may take: memory, counted before they are read, and time. */
import { Transform, type Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BodyRoom, type BodyPlace } from '../access/bodies.js';
import type { App } from '../api/typed.js';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body goes to the disk as it comes: it is not held in memory, and may take as long as it keeps coming. */
    streamed?: boolean;
  }
}

/** Register after the guard, so that who has no key has no body read. */
export function bodies(app: App, limits: Limits): void {
  const room = new BodyRoom(limits);
  app.addHook('onRequest', (request, reply, done) => {
    if (hasBody(request)) watch(request, reply, limits);
    done();
  });
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.routeOptions.config.streamed === true || !hasBody(request)) return done(null, payload);
    const declared = request.headers['content-length'];
    // What is above the limit of the route is refused by its length, before it is read.
    if (declared !== undefined && Number(declared) > (request.routeOptions.bodyLimit ?? limits.bodyBytes)) return done(null, payload);
    const place = room.place(request.apiKey?.id ?? request.ip);
    reply.raw.once('close', () => place.free());
    if (declared === undefined) return done(null, counted(payload as Readable, place, limits.smallBodyBytes));
    try {
      if (Number(declared) > limits.smallBodyBytes) place.grow(Number(declared));
      done(null, payload);
    } catch (error) {
      done(error as Error);
    }
  });
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** True while a part of the body has not come. Requests that the server makes to itself have no `complete`. */
export function isComing(request: FastifyRequest): boolean {
  return hasBody(request) && !request.raw.complete && !request.raw.readableEnded;
}

/** A body of unknown length takes its room as it comes. */
function counted(payload: Readable, place: BodyPlace, free: number): Readable {
  const counter = Object.assign(
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        counter.receivedEncodedLength += chunk.length;
        try {
          if (counter.receivedEncodedLength > free) place.grow(counter.receivedEncodedLength);
          done(null, chunk);
        } catch (error) {
          done(error as Error);
        }
      },
    }),
    // Where Fastify looks for the length of a body that a hook has passed on.
    { receivedEncodedLength: 0 },
  );
  payload.on('error', (error) => counter.destroy(error));
  return payload.pipe(counter);
}

/** Ends a request whose body stops coming, or, unless it is streamed, does not end. */
function watch(request: FastifyRequest, reply: FastifyReply, { body_s, bodyIdle_s }: Limits): void {
  const { raw } = request;
  const streamed = request.routeOptions.config.streamed === true;
  const began = performance.now();
  let received = raw.socket.bytesRead;
  let cameAt = began;
  const look = (): void => {
    if (!isComing(request)) return stop();
    const now = performance.now();
    // A buffer that is full waits for this server's disk, not for the client.
    if (raw.socket.bytesRead !== received || raw.readableLength >= raw.readableHighWaterMark) cameAt = now;
    received = raw.socket.bytesRead;
    const late = now - cameAt > bodyIdle_s * 1000 || (!streamed && now - began > body_s * 1000);
    if (!late) return;
    stop();
    if (streamed || reply.sent) raw.destroy();
    else void reply.send(new ApiError('request_timeout'));
  };
  const timer = setInterval(look, Math.min(1, bodyIdle_s / 4, body_s / 4) * 1000).unref();
  const stop = (): void => clearInterval(timer);
  raw.once('close', stop);
}
