/**
 * The worker that owns the language model: writes the replies that the scheduler begins, and runs searches. Nobody's slow connection holds a
 * reply up: its text waits in the server.
 */
import { parentPort } from 'node:worker_threads';
import { ContextError, SchemaError } from '../../model/language/index.js';
import type { PackManifest } from '../../model/pack/index.js';
import { openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { canSearch } from '../../model/retrieval/index.js';
import { captionSearch, ChatModel, checkFeatureSpace, PromptError, replyWithMoments, type AnnotatedReply, type ChatMessage, type ContentPart } from '../../projector/index.js';
import { ApiError, type ErrorCode } from '../errors.js';
import { Searcher } from '../search/searcher.js';
import { endMessage } from '../workers/host.js';
import { hosted } from '../workers/pulse.js';
import { grammarOf } from './format.js';
import { LatentReader } from './latents.js';
import { NOTHING_WRITTEN, type FromInference, type InferenceWorkerData, type PromptMessage, type ReplyOutcome, type ReplyTask, type ToInference } from './messages.js';
import { ReplyScheduler, type Place, type Scheduled } from './scheduler.js';

/** Replies that are written side by side. Each holds 46 MB of keys and values for 1,000 tokens, a caption for each of its beams, and slows the others' text down a little. */
const SIDE_BY_SIDE = 8;

interface Run extends Scheduled {
  readonly task: ReplyTask;
}

type Search = Extract<ToInference, { type: 'search' | 'embed' }>;

interface Models {
  readonly chat: ChatModel;
  readonly searcher: Searcher | null;
  readonly manifest: PackManifest;
}

const { data: { packDir, threads, searchIdle_s, context }, onNative } = hosted<InferenceWorkerData>();
const latents = new LatentReader();
/** Until the model is loaded, what is asked waits. */
let models: Models | null = null;
const searches: Search[] = [];
/** One search runs at a time. */
let searching = false;
/** Until the text tower's memory is given back. */
let idle: NodeJS.Timeout | undefined;

const scheduler = new ReplyScheduler<Run>({
  places: SIDE_BY_SIDE,
  write: (run, place) => write(models as Models, run, place),
  onStarted: ({ id }) => send({ type: 'started', id }),
  onPlaces: (places) => send({ type: 'positions', places }),
  onChange: () => watchIdle(),
});

function send(message: FromInference): void {
  parentPort?.postMessage(message);
}

async function promptOf(messages: readonly PromptMessage[], manifest: PackManifest): Promise<ChatMessage[]> {
  const prompt: ChatMessage[] = [];
  for (const { role, content } of messages) {
    const parts: ContentPart[] = [];
    for (const part of content) {
      if (part.type === 'text') {
        parts.push(part);
        continue;
      }
      const { pack, ...video } = await latents.read(part.file);
      checkFeatureSpace(pack, manifest);
      parts.push({ type: 'video', id: part.id, ...video });
    }
    prompt.push({ role, content: parts });
  }
  return prompt;
}

/** Writes a reply from its prompt to its end. */
async function write({ chat, searcher, manifest }: Models, { id, task }: Run, place: Place): Promise<void> {
  const { seed, stop, format, caption, ...sampling } = task.sampling;
  try {
    const messages = await promptOf(task.messages, manifest);
    const grammar = grammarOf(format);
    const searched = caption === null ? {} : caption ? captionSearch(searcher?.moments ?? null) : { beams: 1 };
    const options = { ...sampling, ...(seed === null ? {} : { seed }), ...(grammar === null ? {} : { grammar }), ...searched, stop: [...stop], signal: place.signal };
    const reply = replyWithMoments(chat, searcher?.moments ?? null, messages, options);
    for (;;) {
      const step = await reply.next();
      if (place.givenUp) {
        if (step.done === true) return;
        continue;
      }
      place.hasRead();
      if (step.done === true) return send({ type: 'done', id, outcome: outcomeOf(step.value) });
      send({ type: 'delta', id, text: step.value.text });
      await place.pause();
    }
  } catch (error) {
    if (!place.givenUp) send({ type: 'failed', id, ...failureOf(error) });
  }
}

function outcomeOf({ text, finish, usage, annotations, confidence }: AnnotatedReply): ReplyOutcome {
  return { text, finish, usage, annotations, confidence: confidence === null ? null : Math.round(confidence.probability * 1000) / 1000 };
}

/** Runs the searches that wait, one after another. */
async function runSearches({ searcher }: Models): Promise<void> {
  if (searching) return;
  searching = true;
  for (let search = searches.shift(); search !== undefined; search = searches.shift()) await runSearch(searcher, search);
  searching = false;
  watchIdle();
}

/** Runs a search, or makes a vector. Between two videos of a search, answers get their turn. */
async function runSearch(searcher: Searcher | null, search: Search): Promise<void> {
  const { id } = search;
  try {
    if (searcher === null) throw new ApiError('search_unavailable');
    if (search.type === 'embed') return send({ type: 'embedded', id, embedding: await searcher.embed(search.task) });
    const steps = searcher.search(search.task);
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return send({ type: 'found', id, hits: step.value });
      await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    send({ type: 'failed', id, ...failureOf(error, 'search_failed') });
  }
}

function watchIdle(): void {
  clearTimeout(idle);
  if (models !== null && scheduler.idle && !searching) idle = setTimeout(() => void models?.searcher?.moments.releaseText(), searchIdle_s * 1000).unref();
}

function failureOf(error: unknown, otherwise: ErrorCode = 'inference_failed'): { code: ErrorCode; message: string; param: string | null; detail: string } {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof ApiError) return { code: error.code, message: error.message, param: error.param, detail };
  if (error instanceof ContextError) return { code: 'context_too_long', message: sentence(error.message), param: null, detail };
  if (error instanceof SchemaError) return { code: 'invalid_schema', message: `The schema's part ${error.message}.`, param: null, detail };
  if (error instanceof PromptError) {
    const code = error.code === 'empty_messages' ? 'empty_question' : 'pack_mismatch';
    return { code, message: sentence(error.message), param: null, detail };
  }
  // The video was deleted between the question and its turn.
  if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') return { code: 'video_not_found', message: '', param: null, detail };
  return { code: otherwise, message: '', param: null, detail };
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}

function receive(message: ToInference | typeof endMessage): void {
  if (message === endMessage) process.exit();
  switch (message.type) {
    case 'reply':
      scheduler.add({ id: message.id, client: message.task.client, background: message.task.background === true, task: message.task });
      return;
    case 'cancel':
      if (scheduler.cancel(message.id)) send({ type: 'done', id: message.id, outcome: NOTHING_WRITTEN });
      return;
    case 'search':
    case 'embed':
      searches.push(message);
      if (models !== null) void runSearches(models);
  }
}

parentPort?.on('message', receive);
try {
  const pack = await openPack(packDir);
  const { manifest } = pack;
  const runtime = nodeRuntime({ threads, onNative });
  const most = context === null ? {} : { context: Math.min(context, manifest.language.context) };
  const chat = await ChatModel.load(pack, runtime, { searchesInTurn: true, ...most });
  models = { chat, searcher: canSearch(manifest) ? await Searcher.load(pack, runtime, latents) : null, manifest };
  send({ type: 'ready' });
  scheduler.start();
  void runSearches(models);
} catch (error) {
  send({ type: 'unavailable', detail: failureOf(error).detail });
}
