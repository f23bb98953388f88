import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyReply } from 'fastify';
import type { DeviceChoice } from '../model/runtime/device-choice.js';
import type { Preset } from '../model/inr/plan.js';
import { openPack } from '../model/pack/open.node.js';
import { Access } from './access/access.js';
import { KeyFile } from './access/keys.js';
import type { App } from './api/typed.js';
import { BatchApi } from './batches/api.js';
import { FileShelf } from './batches/files.js';
import { BatchRunner, type RunnerOptions } from './batches/runner.js';
import { defaultLimits, type Limits } from './config.js';
import { FrameDecoder } from './decode/decoder.js';
import { storageProblem, toApiError } from './errors.js';
import { newId } from './ids.js';
import { Inference } from './inference/inference.js';
import { Clips } from './jobs/clips.js';
import { importDemos } from './library/demo.js';
import { Library } from './library/library.js';
import { Metrics } from './metrics.js';
import { bodies } from './plugins/bodies.js';
import { limitConnections } from './plugins/connections.js';
import { errorHandlers, refuseConnection, sendError } from './plugins/errors.js';
import { guard } from './plugins/guard.js';
import { jsonBodies } from './plugins/json.js';
import { methods } from './plugins/methods.js';
import { openApi } from './plugins/openapi.js';
import { ConversationHub } from './realtime/hub.js';
import { realtimeRoute } from './realtime/route.js';
import { batchRoutes } from './routes/batches.js';
import { chatRoutes } from './routes/chat.js';
import { conversationRoutes } from './routes/conversations.js';
import { embeddingRoutes } from './routes/embeddings.js';
import { fileRoutes } from './routes/files.js';
import { mcpRoutes } from './routes/mcp.js';
import { pageRoutes } from './routes/page.js';
import { responseRoutes } from './routes/responses.js';
import { searchRoutes } from './routes/search.js';
import { serverRoutes } from './routes/server.js';
import { uploadRoutes } from './routes/uploads.js';
import { videoRoutes } from './routes/videos.js';
import type { Services } from './services.js';
import { ApiFiles } from './store/api-files.js';
import { Batches } from './store/batches.js';
import { Conversations } from './store/conversations.js';
import { Store } from './store/database.js';
import { Disk } from './store/disk.js';
import { DataFolder } from './store/files.js';
import { Facts } from './store/facts.js';
import { PacedWrites } from './store/paced.js';
import { Uploads } from './store/uploads.js';
import { Arrivals } from './uploads/arrivals.js';
import { Receiver } from './uploads/receiver.js';

export interface AppOptions {
  /** Folder for the database, uploads and videos; made where it is absent. One server at a time can use it. */
  readonly dataDir: string;
  /** Folder of the model pack. */
  readonly packDir: string;
  /** Folder with .linr files for a data folder that is used for the first time. Default: `demo` beside the pack. */
  readonly demoDir?: string;
  /** Folder of the built page. Default: where client/build.mjs writes it. */
  readonly publicDir?: string;
  /** Default `info`. Texts of users are never logged. */
  readonly logLevel?: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Ask for an API key even while there is none. Default false: while there is none, only loopback names are answered to. */
  readonly requireKey?: boolean;
  /** Ask for no API key any more, though this data folder's server did before. Refused where there are keys. Default false. */
  readonly open?: boolean;
  /** Origins, such as https://example.com, whose pages may use the API. Default: the server's own only. */
  readonly corsOrigins?: readonly string[];
  /** Addresses at which a proxy offers this server, such as https://example.com/video/. Default: none. */
  readonly publicUrls?: readonly string[];
  /** Addresses of proxies that are believed when they say whom they speak for, as proxy-addr writes them. Default: none. */
  readonly trustProxy?: readonly string[];
  /**
   * `owned`, the default: a key sees, asks about and removes the videos it brought, and what is nobody's (the demos, and
   * what came while there were no keys). `shared`: every key sees and may remove every video.
   */
  readonly library?: 'owned' | 'shared';
  readonly limits?: Partial<Limits>;
  /**
   * Hosts whose https addresses a chat completion may name as videos: `example.com`, `example.com:8443`, `[2001:db8::1]`, or
   * `*.example.com` for every name below it; `http://example.com` for plain http. Default: none, so that nothing is ever fetched.
   */
  readonly remoteHosts?: readonly string[];
  /** How uploads are encoded. Default: preset `standard` for as long as it takes. */
  readonly encode?: { readonly preset?: Preset; readonly seconds?: number; readonly device?: DeviceChoice };
  /** Threads of the language model and of an encoder. Default: two, or one where there is one core. */
  readonly threads?: number;
  /** Tokens of the longest conversation that the model is shown, answer included. Default: as many as take 192 MiB of memory, which are 4,096 of the default pack's. */
  readonly context?: number;
}

/** Seconds between sweeps for uploads that nobody went on with. */
const sweep_s = 3600;

/**
 * Builds the server as a Fastify app: it opens the data folder, goes on with what an earlier run left, and loads the
 * model in the background. `app.close()` stops encodes at a checkpoint and gives everything back.
 *
 * @throws Error when the data folder cannot be used, or another server uses it
 */
export async function buildApp(options: AppOptions): Promise<App> {
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const app: App = Fastify({
    logger: { level: options.logLevel ?? 'info', redact: ['req.headers.authorization', 'req.headers.cookie', 'req.headers["sec-websocket-protocol"]'] },
    genReqId: () => newId('req'),
    bodyLimit: limits.bodyBytes,
    routerOptions: { maxParamLength: 200 },
    ajv: { customOptions: { removeAdditional: false, useDefaults: false } },
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    http: { headersTimeout: limits.header_s * 1000 },
    trustProxy: [...(options.trustProxy ?? [])],
    frameworkErrors: (error, _request, reply) => void sendError(reply as FastifyReply, toApiError(error)),
    clientErrorHandler: refuseConnection,
  });
  errorHandlers(app);
  jsonBodies(app);
  limitConnections(app.server, limits);
  const folder = new DataFolder(options.dataDir);
  const disk = new Disk({ folder, limits, log: app.log });
  const store = Store.open(folder.database, { giveReserve: () => disk.giveReserve() });
  void disk.fillReserve().catch((err: unknown) => app.log.error({ err }, 'the reserve could not be made'));
  const access = await Access.open({
    keys: new KeyFile(folder.root), limits, always: options.requireKey ?? false, open: options.open ?? false, facts: new Facts(store), log: app.log,
  }).catch((error: unknown) => {
    store.close();
    throw error;
  });
  const opened = openServices({ log: app.log, options, limits, folder, disk, store, access, model: await readPack(options.packDir, app.log), sockets: () => app.websocketServer.clients.size });
  const { services, receiver } = opened;
  // First of all: loading takes seconds, and everything below can happen beside it.
  services.inference.start();
  const conversations = new ConversationHub({ ...services, store: new Conversations(store), writes: new PacedWrites(), log: app.log });
  const elapsed_s = lapTimer();
  const sweep = async (): Promise<void> => {
    const seconds = elapsed_s();
    await Promise.all([receiver.removeExpired(seconds), services.batches.removeExpired(seconds)])
      .then(() => conversations.removeExpired(seconds))
      .catch((err: unknown) => app.log.error({ err }, 'sweep failed'));
  };
  const sweeper = setInterval(() => void sweep(), sweep_s * 1000).unref();
  // Before sockets are closed: answers that are being written reach who asked for them.
  app.addHook('preClose', async () => {
    await services.batches.stop();
    await services.inference.drain(limits.drain_s);
  });
  app.addHook('onClose', async () => {
    clearInterval(sweeper);
    access.close();
    await services.batches.stop();
    await Promise.all([services.inference.close(), services.decoder.close(), services.library.close()]);
    await countLast(opened, conversations, elapsed_s(), app.log);
    disk.close();
    store.close();
  });
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, url, apiKey } = request;
    const { statusCode: status, elapsedTime } = reply;
    const key = apiKey ? { key: apiKey.id } : {};
    request.log.info({ method, path: url.split('?')[0], status, ms: Math.round(elapsedTime), ...key }, 'request');
    services.metrics.requested(method, request.routeOptions.url ?? 'none', status, elapsedTime / 1000);
  });

  try {
    await guard(app, { access, corsOrigins: options.corsOrigins ?? [], publicUrls: options.publicUrls ?? [] });
    methods(app);
    bodies(app, limits);
    await openApi(app, services.version, options.publicUrls ?? []);
    await realtimeRoute(app, { ...services, hub: conversations, model: services.model?.id ?? '', log: app.log });
    serverRoutes(app, services);
    videoRoutes(app, services);
    await uploadRoutes(app, receiver);
    chatRoutes(app, services);
    responseRoutes(app, services);
    conversationRoutes(app, conversations);
    searchRoutes(app, services);
    embeddingRoutes(app, services);
    await fileRoutes(app, services);
    batchRoutes(app, services);
    mcpRoutes(app, services, options.publicUrls ?? []);
    await pageRoutes(app, options.publicDir ?? fileURLToPath(new URL('../client/web/public', import.meta.url)));

    await receiver.recover();
    await services.library.recover();
    await services.batches.recover();
    await importDemos({ library: services.library, facts: new Facts(store), demoDir: options.demoDir ?? path.join(options.packDir, '..', 'demo'), log: app.log }).catch((err: unknown) => {
      // Without demos the server is as good; the next start tries again.
      if (storageProblem(err) === null) throw err;
      app.log.error({ err }, 'there was no room for the demos');
    });
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** Gives the seconds since its last call, or since it was made, by a clock that nobody sets. */
function lapTimer(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}

/** Servers that never run for an hour grow old as well. */
async function countLast({ receiver, services }: Opened, conversations: ConversationHub, seconds: number, log: FastifyBaseLogger): Promise<void> {
  try {
    await receiver.age(seconds);
    services.batches.age(seconds);
    conversations.age(seconds);
  } catch (err) {
    log.error({ err }, 'the time this server ran could not be counted');
  }
}

interface Opened {
  readonly services: Services;
  readonly receiver: Receiver;
}

interface Parts extends Pick<Services, 'limits' | 'folder' | 'disk' | 'access' | 'model'> {
  readonly log: FastifyBaseLogger;
  readonly options: AppOptions;
  readonly store: Store;
  /** Sockets open now. */
  readonly sockets: () => number;
}

function openServices({ log, options, limits, folder, disk, store, access, model, sockets }: Parts): Opened {
  const threads = options.threads ?? Math.min(2, os.availableParallelism());
  const { packDir } = options;
  const encode = { preset: options.encode?.preset ?? ('standard' as const), seconds: options.encode?.seconds ?? null, device: options.encode?.device ?? ('auto' as const), threads };
  const library = new Library({ store, folder, disk, packDir, limits, log, encode, shared: options.library === 'shared' });
  const metrics = new Metrics(model?.id ?? 'none', {
    replies: () => inference.counts(),
    batches: () => batches.running,
    encodes: () => ({ ...library.queue.counts(), seconds_left: library.queue.seconds_left }),
    sockets,
  });
  const inference: Inference = new Inference({
    packDir, threads, context: options.context ?? null, most: limits.replyQueue, mostSearches: limits.searchQueue, searchIdle_s: limits.searchIdle_s,
    silence_s: limits.workerSilence_s, observer: metrics, log,
    onAnswering: (answering) => {
      library.queue.answering = answering;
    },
  });
  const arrivals = new Arrivals({ library, folder, disk, limits, remoteHosts: options.remoteHosts ?? [], log });
  const batches = openBatches({ store, disk, log, services: { limits, model, library, folder, arrivals, inference, access, metrics } });
  const services: Services = {
    library,
    arrivals,
    access,
    folder,
    disk,
    inference,
    batches,
    metrics,
    decoder: new FrameDecoder({ threads: 1, containerBytes: limits.containerBytes, most: limits.frameQueue, idle_s: limits.decoderIdle_s, silence_s: limits.workerSilence_s, log }),
    clips: new Clips({ limits, log }),
    limits,
    model,
    version: programVersion(),
  };
  return { services, receiver: new Receiver({ folder, uploads: new Uploads(store), library, disk, limits, log }) };
}

function openBatches({ store, disk, log, services }: Pick<RunnerOptions, 'store' | 'disk' | 'log' | 'services'>): BatchApi {
  const { folder, limits, access } = services;
  const [files, batches] = [new ApiFiles(store), new Batches(store)];
  const shelf = new FileShelf(folder, files, disk);
  return new BatchApi({ files, batches, shelf, runner: new BatchRunner({ services, store, disk, batches, files, shelf, log }), access, limits });
}

async function readPack(packDir: string, log: FastifyBaseLogger): Promise<{ id: string } | null> {
  try {
    return { id: (await openPack(packDir)).manifest.id };
  } catch (error) {
    log.error({ err: error }, 'the model pack cannot be read: uploads and chat will fail');
    return null;
  }
}

/** From package.json, found by walking up: source and build lie at different depths. */
function programVersion(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version ?? '0';
    if (path.dirname(folder) === folder) return '0';
  }
}
