import { open, type FileHandle } from 'node:fs/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { ErrorSchema, ShotListSchema, VideoListSchema, VideoSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';
import type { Services } from '../services.js';
import { versionOf } from '../store/files.js';
import { clientOf, closing } from './answers.js';
import { attachment } from './downloads.js';
import { etagMatches, parseRange } from './ranges.js';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }) });
const FrameParams = Type.Object({ id: Type.String({ maxLength: 100 }), t: Type.Integer({ minimum: 0, description: 'Frame number, from 0.' }) });
const FrameQuery = Type.Object(
  {
    width: Type.Optional(Type.Integer({ minimum: 1, description: 'Pixels; default the encoded width, at most four times that.' })),
    format: Type.Optional(Type.Enum(['png', 'jpeg', 'webp'], { description: 'Default: png, or what the Accept header names.' })),
  },
  { additionalProperties: false },
);

const ClipQuery = Type.Object(
  {
    from: Type.Optional(Type.Number({ minimum: 0, description: 'Seconds from the start of the video. Default: 0.' })),
    to: Type.Optional(Type.Number({ minimum: 0, description: 'Seconds from the start of the video. Default: its end.' })),
  },
  { additionalProperties: false },
);

/** The videos, their containers, their frames and clips. */
export function videoRoutes(app: App, services: Services): void {
  const { library, folder, decoder, clips, limits } = services;
  const errors = { '4xx': ErrorSchema, '5xx': ErrorSchema };

  app.get('/v1/videos', { schema: { tags: ['videos'], summary: 'All videos that the caller may see, newest first', response: { 200: VideoListSchema } } }, ({ caller }) => ({
    object: 'list' as const,
    data: library.seenBy(caller).list(),
  }));

  app.get(
    '/v1/videos/:id',
    { schema: { tags: ['videos'], summary: 'One video', params: Params, response: { 200: VideoSchema, ...errors } } },
    ({ params, caller }) => library.seenBy(caller).get(params.id),
  );

  app.delete(
    '/v1/videos/:id',
    { schema: { tags: ['videos'], summary: 'Remove a video and everything that belongs to it', params: Params, response: { 204: Type.Null(), ...errors } } },
    async ({ params, caller }, reply) => {
      await library.seenBy(caller).remove(params.id);
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/v1/videos/:id/shots',
    { schema: { tags: ['videos'], summary: 'The shots of a video, as its latents tell them; known as soon as it can be asked about', params: Params, response: { 200: ShotListSchema, ...errors } } },
    async ({ params, caller }) => {
      const row = library.seenBy(caller).row(params.id);
      if (!row.container) throw new ApiError('container_not_ready', row.error ? { message: row.error.message } : {});
      return { object: 'list' as const, data: [...(await decoder.shots(folder.container(row.id)))] };
    },
  );

  app.get(
    '/v1/videos/:id/clip',
    {
      schema: {
        tags: ['videos'],
        summary: 'A part of a video as an MP4 file, accurate to the frame and without sound; from the original while it is there, else drawn from the latents',
        params: Params,
        querystring: ClipQuery,
        produces: ['video/mp4'],
      },
    },
    async (request, reply) => {
      const { params, query: { from = 0, to = null }, caller } = request;
      const row = library.seenBy(caller).row(params.id);
      if (row.kind === 'photo') throw new ApiError('not_a_video');
      const { id, name, sourceFile, container } = row;
      if (sourceFile === null && !container) throw new ApiError('container_not_ready');
      const footage = sourceFile === null ? ({ kind: 'container', file: folder.container(id) } as const) : ({ kind: 'video', file: folder.source(id, sourceFile) } as const);
      const { client } = clientOf(services, request);
      const clip = await clips.cut({ ...footage, name: `"${name}"`, from_s: from, to_s: to, folder: folder.video(id), client }, closing(reply));
      const { size } = await clip.stat();
      return reply.type('video/mp4').header('content-length', size).header('content-disposition', attachment(name, '.mp4')).send(clip.createReadStream());
    },
  );

  app.route({
    method: ['GET', 'HEAD'],
    url: '/v1/videos/:id/container',
    schema: {
      tags: ['videos'],
      summary: 'The .linr file; supports ranges and ETag. It is replaced by a sharper one while the video is in training',
      params: Params,
      produces: ['application/octet-stream'],
    },
    handler: async (request, reply) => {
      const row = library.seenBy(request.caller).row(request.params.id);
      if (!row.container) throw new ApiError('container_not_ready', row.error ? { message: row.error.message } : {});
      return sendContainer(request, reply, await open(folder.container(row.id), 'r'), row.name);
    },
  });

  app.get(
    '/v1/videos/:id/frames/:t',
    {
      schema: {
        tags: ['videos'],
        summary: 'One decoded frame as a picture',
        params: FrameParams,
        querystring: FrameQuery,
        produces: ['image/png', 'image/jpeg', 'image/webp'],
      },
    },
    async (request, reply) => {
      const row = library.seenBy(request.caller).row(request.params.id);
      if (!row.container) throw new ApiError('container_not_ready');
      if (row.container.stage === 'latents') throw new ApiError('pictures_not_ready');
      const { width = null } = request.query;
      if (width !== null && width > limits.frameWidth) {
        throw new ApiError('invalid_request', { param: 'width', message: `The width must be at most ${limits.frameWidth} pixels, got ${width}.` });
      }
      const format = request.query.format ?? acceptedFormat(request.headers.accept);
      if (etagMatches(request.headers['if-none-match'], `"${row.container.version}-${format}"`)) return reply.code(304).send();
      const picture = await decoder.frame({ file: folder.container(row.id), index: request.params.t, width, format });
      return reply
        .type(`image/${format}`)
        .header('cache-control', 'private, max-age=0, must-revalidate')
        .header('vary', 'accept')
        .header('etag', `"${picture.version}-${format}"`)
        .header('x-container-version', picture.version)
        .send(Buffer.from(picture.bytes));
    },
  );
}

function acceptedFormat(accept: string | undefined): 'png' | 'jpeg' | 'webp' {
  return (['png', 'jpeg', 'webp'] as const).find((format) => accept?.includes(`image/${format}`)) ?? 'png';
}

/** Sends an open container. All headers are about this open file, so a newer one taking its place cannot mix with it. */
async function sendContainer(request: FastifyRequest, reply: FastifyReply, handle: FileHandle, name: string): Promise<FastifyReply> {
  try {
    const stats = await handle.stat({ bigint: true });
    const size = Number(stats.size);
    const version = versionOf(stats);
    const etag = `"${version}"`;
    reply
      .header('etag', etag)
      .header('x-container-version', version)
      .header('accept-ranges', 'bytes')
      .header('cache-control', 'private, no-cache')
      .header('last-modified', new Date(Number(stats.mtimeMs)).toUTCString())
      .header('content-disposition', attachment(name, '.linr'))
      .type('application/octet-stream');
    if (etagMatches(request.headers['if-none-match'], etag)) {
      await handle.close();
      return await reply.code(304).send();
    }
    const ifRange = request.headers['if-range'];
    const wanted = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
    const range = parseRange(wanted, size);
    if (range === 'unsatisfiable') {
      reply.header('content-range', `bytes */${size}`);
      throw new ApiError('range_not_satisfiable', { param: 'Range', message: `The range lies outside the file's ${size} bytes.` });
    }
    const { start, end } = range ?? { start: 0, end: size - 1 };
    if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${size}`);
    reply.header('content-length', end - start + 1);
    if (request.method === 'HEAD') {
      await handle.close();
      return await reply.send();
    }
    return await reply.send(handle.createReadStream({ start, end }));
  } catch (error) {
    await handle.close();
    throw error;
  }
}
