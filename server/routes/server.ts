import Type from 'typebox';
import { ErrorSchema, HealthSchema, ModelListSchema, ModelSchema, ReadySchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';
import { now_s } from '../ids.js';
import type { Services } from '../services.js';

/** /health, /ready, /metrics, /v1/models and /v1/models/{id}. */
export function serverRoutes(app: App, services: Services): void {
  const { inference, library, metrics, model, version } = services;
  const started_s = now_s();
  const started_ms = performance.now();

  app.get('/health', { schema: { tags: ['server'], summary: 'Is the server up, and is its model loaded', response: { 200: HealthSchema } } }, () => ({
    status: 'ok' as const,
    version,
    // By a clock that no correction of the time of day moves.
    uptime_s: (performance.now() - started_ms) / 1000,
    model: { id: model?.id ?? null, status: inference.status },
    encoding: library.queue.counts(),
  }));

  app.get(
    '/ready',
    { schema: { tags: ['server'], summary: 'Can questions be answered: 200, or 503 with the reason', response: { 200: ReadySchema, 503: ErrorSchema } } },
    () => {
      if (inference.stopping) throw new ApiError('stopping');
      if (inference.status === 'loading') throw new ApiError('model_loading', { retryAfter_s: 1 });
      if (inference.status === 'failed') throw new ApiError('model_unavailable');
      return { status: 'ready' as const };
    },
  );

  app.get('/metrics', { schema: { tags: ['server'], summary: "What the server measures about itself, in Prometheus' form", produces: ['text/plain'] } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );

  const models = model ? [{ id: model.id, object: 'model' as const, created: Math.floor(started_s), owned_by: 'latentchat' }] : [];
  app.get('/v1/models', { schema: { tags: ['chat'], summary: 'The model packs this server runs', response: { 200: ModelListSchema } } }, () => ({
    object: 'list' as const,
    data: models,
  }));

  app.get(
    '/v1/models/:id',
    { schema: { tags: ['chat'], summary: 'One of them', params: Type.Object({ id: Type.String() }), response: { 200: ModelSchema, 404: ErrorSchema } } },
    ({ params: { id } }) => {
      const found = models.find((one) => one.id === id);
      if (!found) throw new ApiError('model_not_found', { param: 'id', message: `There is no model "${id.slice(0, 100)}". GET /v1/models lists them.` });
      return found;
    },
  );
}
