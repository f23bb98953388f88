import { HealthSchema, ModelListSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { now_s } from '../ids.js';
import type { Services } from '../services.js';

/** /health and /v1/models. */
export function serverRoutes(app: App, services: Services): void {
  const { inference, library, model, version } = services;
  const started_s = now_s();

  app.get('/health', { schema: { tags: ['server'], summary: 'Is the server up, and is its model loaded', response: { 200: HealthSchema } } }, () => ({
    status: 'ok' as const,
    version,
    uptime_s: now_s() - started_s,
    model: { id: model?.id ?? null, status: inference.status },
    encoding: library.queue.counts(),
  }));

  app.get('/v1/models', { schema: { tags: ['chat'], summary: 'The model packs this server runs', response: { 200: ModelListSchema } } }, () => ({
    object: 'list' as const,
    data: model ? [{ id: model.id, object: 'model' as const, created: Math.floor(started_s), owned_by: 'latentchat' }] : [],
  }));
}
