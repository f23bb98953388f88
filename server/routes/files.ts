import multipart from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { ErrorSchema, FileDeletedSchema, FilePageSchema, FileSchema, FilesQuerySchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import type { BatchApi } from '../batches/api.js';
import type { Draft } from '../batches/files.js';
import { ApiError } from '../errors.js';
import type { Services } from '../services.js';
import type { FileRow } from '../store/api-files.js';
import { displayName } from '../uploads/receiver.js';
import { attachment } from './downloads.js';
import { pageOf } from './pages.js';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }) });
/** Bytes of a form around its file: boundaries, headers and the other fields. */
const formBytes = 64 * 1024;

/** The files API, as far as batches need it. */
export async function fileRoutes(app: App, { batches, limits }: Pick<Services, 'batches' | 'limits'>): Promise<void> {
  const errors = { '4xx': ErrorSchema, '5xx': ErrorSchema };
  const tags = ['batches'];
  const present = (row: FileRow) => presentFile(row, limits.fileExpiry_s);

  await app.register(async (scope: App) => {
    await scope.register(multipart, { limits: { files: 1, fields: 4, fieldSize: 1000, fieldNameSize: 100, headerPairs: 100, fileSize: limits.fileBytes } });
    scope.post(
      '/v1/files',
      {
        bodyLimit: limits.fileBytes + formBytes,
        config: { streamed: true },
        schema: { tags, summary: 'Upload a file of batch questions: a form with the fields purpose ("batch") and file', consumes: ['multipart/form-data'], response: { 200: FileSchema, ...errors } },
      },
      async (request) => present(await received(batches, limits.fileBytes, request)),
    );
  });

  app.get('/v1/files', { schema: { tags, summary: 'Files, newest first', querystring: FilesQuerySchema, response: { 200: FilePageSchema, ...errors } } }, ({ query, caller }) => {
    const rows = batches.listFiles(caller).filter(({ purpose }) => query.purpose === undefined || query.purpose === purpose);
    return pageOf(query.order === 'asc' ? rows.reverse() : rows, query, present);
  });

  app.get('/v1/files/:id', { schema: { tags, summary: 'One file', params: Params, response: { 200: FileSchema, ...errors } } }, ({ params, caller }) => present(batches.file(caller, params.id)));

  app.get(
    '/v1/files/:id/content',
    { schema: { tags, summary: "A file's bytes", params: Params, produces: ['application/jsonl'] } },
    async ({ params, caller }, reply) => {
      const { bytes, name } = batches.file(caller, params.id);
      const stream = await batches.content(caller, params.id);
      return reply
        .type('application/jsonl')
        .header('content-length', bytes)
        .header('content-disposition', attachment(name))
        .send(stream);
    },
  );

  app.delete('/v1/files/:id', { schema: { tags, summary: 'Delete a file', params: Params, response: { 200: FileDeletedSchema, ...errors } } }, async ({ params: { id }, caller }) => {
    await batches.deleteFile(caller, id);
    return { id, object: 'file' as const, deleted: true as const };
  });
}

/** Reads the form of an upload to its end; its fields come in any order. */
async function received(batches: BatchApi, mostBytes: number, request: FastifyRequest): Promise<FileRow> {
  if (!request.isMultipart()) throw new ApiError('unsupported_media_type', { message: 'A file is uploaded as a form (multipart/form-data) with the fields purpose and file.' });
  const { caller } = request;
  let draft: Draft | null = null;
  try {
    let name = '';
    let purpose: unknown;
    for await (const part of request.parts()) {
      if (part.type === 'file') {
        if (part.fieldname !== 'file') throw unsupported(part.fieldname);
        name = displayName(part.filename);
        draft = await batches.receive(caller, part.file, Number(request.headers['content-length'] ?? 0));
        if (part.file.truncated) throw tooLarge(mostBytes);
      } else if (part.fieldname === 'purpose') purpose = part.value;
      else throw unsupported(part.fieldname);
    }
    if (purpose === undefined) throw new ApiError('invalid_request', { param: 'purpose', message: 'The field "purpose" is missing.' });
    if (purpose !== 'batch') throw new ApiError('invalid_request', { param: 'purpose', message: 'The field "purpose" is wrong: it must be "batch".' });
    if (draft === null) throw new ApiError('invalid_request', { param: 'file', message: 'The field "file" is missing.' });
    return batches.keepUpload(caller, draft, name);
  } catch (error) {
    if (draft !== null) await batches.forget(draft);
    throw formError(error, mostBytes);
  }
}

function unsupported(field: string): ApiError {
  const param = field.slice(0, 200);
  return new ApiError('unsupported_parameter', { param, message: `The field "${param}" is not supported.` });
}

function tooLarge(mostBytes: number): ApiError {
  return new ApiError('upload_too_large', { param: 'file', message: `The file has more than ${mostBytes} bytes. Split it.` });
}

/** What the form's parser finds wrong, in this server's one shape. */
function formError(error: unknown, mostBytes: number): unknown {
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (code === 'FST_REQ_FILE_TOO_LARGE') return tooLarge(mostBytes);
  if (error instanceof ApiError || !(error instanceof Error)) return error;
  const broken = (typeof code === 'string' && code.startsWith('FST_')) || (typeof statusCode === 'number' && statusCode < 500) || /multipart|form/i.test(error.message);
  return broken ? new ApiError('invalid_request', { message: 'The form is not valid, or was cut off.', cause: error }) : error;
}

function presentFile({ id, bytes, created_s, name, purpose }: FileRow, expiry_s: number) {
  const created_at = Math.floor(created_s);
  return { id, object: 'file' as const, bytes, created_at, expires_at: created_at + expiry_s, filename: name, purpose, status: 'processed' as const };
}
