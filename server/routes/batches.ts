import Type from 'typebox';
import { strictValidator } from '../api/check.js';
import { BatchPageSchema, BatchRequestSchema, BatchSchema, ErrorSchema, PageQuerySchema, type Batch } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { batchUrl } from '../batches/lines.js';
import type { Services } from '../services.js';
import type { BatchRow, BatchStatus } from '../store/batches.js';
import { pageOf } from './pages.js';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }) });

/** Many questions in one file, answered while nobody else asks anything; as OpenAI's clients speak of it. */
export function batchRoutes(app: App, { batches }: Pick<Services, 'batches'>): void {
  const errors = { '4xx': ErrorSchema, '5xx': ErrorSchema };
  const tags = ['batches'];

  app.post(
    '/v1/batches',
    {
      validatorCompiler: strictValidator,
      schema: {
        tags,
        summary: 'Have a file of questions answered; OpenAI-compatible. Each line: {"custom_id", "method": "POST", "url": "/v1/chat/completions", "body"}',
        body: BatchRequestSchema,
        response: { 200: BatchSchema, ...errors },
      },
    },
    ({ body, caller }) => presentBatch(batches.create(caller, body.input_file_id, body.metadata ?? null)),
  );

  app.get('/v1/batches', { schema: { tags, summary: 'Batches, newest first', querystring: PageQuerySchema, response: { 200: BatchPageSchema, ...errors } } }, ({ query, caller }) =>
    pageOf(batches.listBatches(caller), query, presentBatch),
  );

  app.get('/v1/batches/:id', { schema: { tags, summary: 'One batch: how far it is, and where its answers are', params: Params, response: { 200: BatchSchema, ...errors } } }, ({ params, caller }) =>
    presentBatch(batches.batch(caller, params.id)),
  );

  app.post('/v1/batches/:id/cancel', { schema: { tags, summary: 'End a batch; what it has by now becomes its files', params: Params, response: { 200: BatchSchema, ...errors } } }, ({ params, caller }) =>
    presentBatch(batches.cancel(caller, params.id)),
  );
}

function presentBatch(row: BatchRow): Batch {
  const at = (status: BatchStatus): number | null => {
    const time_s = row.times[status];
    return time_s === undefined ? null : Math.floor(time_s);
  };
  return {
    id: row.id,
    object: 'batch',
    endpoint: batchUrl,
    input_file_id: row.inputFile,
    completion_window: '24h',
    status: row.status,
    errors: row.errors === null ? null : { object: 'list', data: [...row.errors] },
    output_file_id: row.outputFile,
    error_file_id: row.errorFile,
    created_at: Math.floor(row.created_s),
    in_progress_at: at('in_progress'),
    expires_at: Math.floor(row.expires_s),
    finalizing_at: at('finalizing'),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: at('cancelling'),
    cancelled_at: at('cancelled'),
    request_counts: { total: row.total, completed: row.completed, failed: row.failed },
    metadata: row.metadata,
  };
}
