/**
 * The worker that owns the language model. A few replies are written side by side, a token of each in one run of the model, so that
 * nobody's long answer keeps another from beginning; the others wait, clients in turn. Nobody's slow connection holds a reply up:
 * its text waits in the server. Replies of the background, which nobody waits for, are written while there are no others: they pause
 * between two tokens, and one whose prompt is still being read is given up and begun again later.
 */
import { parentPort } from 'node:worker_threads';
import { ContextError } from '../../model/language/index.js';
import type { PackManifest } from '../../model/pack/index.js';
import { ModelPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { canSearch } from '../../model/retrieval/index.js';
import { captionSearch, ChatModel, checkFeatureSpace, PromptError, replyWithMoments, type ChatMessage, type ContentPart } from '../../projector/index.js';
import { ApiError, type ErrorCode } from '../errors.js';
import type { SearchTask } from '../search/messages.js';
import { Searcher } from '../search/searcher.js';
import { endMessage } from '../workers/host.js';
import { hosted } from '../workers/pulse.js';
import { grammarOf } from './format.js';
import { LatentReader } from './latents.js';
import { NOTHING_WRITTEN, type FromInference, type InferenceWorkerData, type PromptMessage, type ReplyOutcome, type ReplyTask, type ToInference } from './messages.js';
import { Turns } from './turns.js';

interface Run {
  readonly id: number;
  readonly task: ReplyTask;
  readonly abort: AbortController;
  /** It was begun, perhaps not for the first time. */
  begun: boolean;
  /** In line, as last told; 0 before. */
  place: number;
}

/** Replies that are written side by side. Each holds some 20 MB of keys and values, a caption for each of its beams, and slows the others' text down a little. */
const SIDE_BY_SIDE = 8;

const waiting = new Turns<Run>();
const behind = new Turns<Run>();
const runs = new Map<number, Run>();
const searches: Search[] = [];
/** One search runs at a time. */
let searching = false;
/** Until the text tower's memory is given back. */
let idle: NodeJS.Timeout | undefined;
const latents = new LatentReader();
/** Replies that are being written, and those of the background that are, or pause. */
let active = 0;
let activeBehind = 0;
/** The reply of the background whose prompt is being read: one at a time, so that nobody who comes waits for several. Aborting gives it up. */
let reading: AbortController | null = null;
/** Goes on with what pauses. */
const paused = new Set<() => void>();
/** Begins what waits as far as there is room. Until the model is loaded, everything waits and hears its place in line. */
let startWaiting = tellPlaces;

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

interface Search {
  readonly id: number;
  readonly task: SearchTask;
}

/** Writes a reply from its prompt to its end. @returns false for one of the background that was given up before it had any text */
async function write(model: ChatModel, searcher: Searcher | null, manifest: PackManifest, run: Run): Promise<boolean> {
  const { sampling: { seed, stop, format, caption, ...sampling }, background = false } = run.task;
  if (!run.begun) send({ type: 'started', id: run.id });
  run.begun = true;
  const giveUp = new AbortController();
  if (background) reading = giveUp;
  const hasRead = (): void => {
    if (reading !== giveUp) return;
    reading = null;
    startWaiting();
  };
  const givenUp = (): boolean => giveUp.signal.aborted && !run.abort.signal.aborted;
  try {
    const messages = await promptOf(run.task.messages, manifest);
    const grammar = grammarOf(format);
    const signal = background ? AbortSignal.any([run.abort.signal, giveUp.signal]) : run.abort.signal;
    const searched = caption === null ? {} : caption ? captionSearch(searcher?.moments ?? null) : { beams: 1 };
    const options = { ...sampling, ...(seed === null ? {} : { seed }), ...(grammar === null ? {} : { grammar }), ...searched, stop: [...stop], signal };
    const reply = replyWithMoments(model, searcher?.moments ?? null, messages, options);
    for (;;) {
      const step = await reply.next();
      if (givenUp()) {
        if (step.done === true) return false;
        continue;
      }
      hasRead();
      if (step.done === true) {
        send({ type: 'done', id: run.id, outcome: outcomeOf(step.value) });
        runs.delete(run.id);
        return true;
      }
      send({ type: 'delta', id: run.id, text: step.value.text });
      if (background) await untilQuiet(run.abort.signal);
    }
  } catch (error) {
    if (givenUp()) return false;
    fail(run, error);
    return true;
  } finally {
    hasRead();
  }
}

/** Begins a reply of the background; the next one when its prompt has been read. */
function startBehind(model: ChatModel, searcher: Searcher | null, manifest: PackManifest): void {
  const run = behind.next();
  if (!run) return;
  activeBehind += 1;
  void write(model, searcher, manifest, run).then((ended) => {
    activeBehind -= 1;
    if (!ended) behind.putBack(run.task.client, run);
    startWaiting();
  });
}

/** Resolves when nobody waits for an answer, or the reply was cancelled. */
async function untilQuiet(cancelled: AbortSignal): Promise<void> {
  while ((active > 0 || waiting.length > 0) && !cancelled.aborted) await new Promise<void>((resolve) => paused.add(resolve));
}

function goOn(): void {
  for (const resolve of paused) resolve();
  paused.clear();
}

function fail(run: Run, error: unknown): void {
  send({ type: 'failed', id: run.id, ...failureOf(error) });
  runs.delete(run.id);
}

/** Tells every waiting reply its place in line, where that has changed. */
function tellPlaces(): void {
  const places: [number, number][] = [];
  for (const [index, run] of waiting.order().entries()) {
    if (run.place === index + 1) continue;
    run.place = index + 1;
    places.push([run.id, run.place]);
  }
  if (places.length > 0) send({ type: 'positions', places });
}

function outcomeOf({ text, finish, usage, annotations }: ReplyOutcome): ReplyOutcome {
  return { text, finish, usage, annotations };
}

/** Runs a search to its end. Between two of its videos, answers get their turn. */
async function runSearch(searcher: Searcher | null, { id, task }: Search): Promise<void> {
  try {
    if (searcher === null) throw new ApiError('search_unavailable');
    const steps = searcher.search(task);
    for (;;) {
      const step = await steps.next();
      if (step.done === true) {
        send({ type: 'found', id, hits: step.value });
        return;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    send({ type: 'failed', id, ...failureOf(error, 'search_failed') });
  }
}

function failureOf(error: unknown, otherwise: ErrorCode = 'inference_failed'): { code: ErrorCode; message: string; param: string | null; detail: string } {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof ApiError) return { code: error.code, message: error.message, param: error.param, detail };
  if (error instanceof ContextError) return { code: 'context_too_long', message: sentence(error.message), param: null, detail };
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
    case 'reply': {
      const run: Run = { id: message.id, task: message.task, abort: new AbortController(), begun: false, place: 0 };
      runs.set(run.id, run);
      if (run.task.background === true) behind.add(run.task.client, run);
      else waiting.add(run.task.client, run);
      break;
    }
    case 'cancel': {
      const run = runs.get(message.id);
      run?.abort.abort();
      goOn();
      const line = run?.task.background === true ? behind : waiting;
      if (line.remove((entry) => entry.id === message.id)) {
        runs.delete(message.id);
        send({ type: 'done', id: message.id, outcome: NOTHING_WRITTEN });
      }
      break;
    }
    case 'search':
      searches.push({ id: message.id, task: message.task });
  }
  startWaiting();
}

const { data: { packDir, threads, searchIdle_s }, onNative } = hosted<InferenceWorkerData>();
parentPort?.on('message', receive);
try {
  const pack = await ModelPack.open(packDir);
  const runtime = nodeRuntime({ threads, onNative });
  const model = await ChatModel.load(pack, runtime, { searchesInTurn: true });
  const searcher = canSearch(pack.manifest) ? await Searcher.load(pack, runtime, latents) : null;
  send({ type: 'ready' });
  startWaiting = () => {
    clearTimeout(idle);
    while (active < SIDE_BY_SIDE) {
      const run = waiting.next();
      if (!run) break;
      active += 1;
      reading?.abort();
      void write(model, searcher, pack.manifest, run).finally(() => {
        active -= 1;
        startWaiting();
      });
    }
    if (active === 0) {
      goOn();
      if (reading === null && activeBehind < SIDE_BY_SIDE) startBehind(model, searcher, pack.manifest);
    }
    tellPlaces();
    const search = searching ? undefined : searches.shift();
    if (search) {
      searching = true;
      void runSearch(searcher, search).finally(() => {
        searching = false;
        startWaiting();
      });
    }
    if (active === 0 && activeBehind === 0 && !searching) idle = setTimeout(() => void searcher?.moments.releaseText(), searchIdle_s * 1000).unref();
  };
  startWaiting();
} catch (error) {
  send({ type: 'unavailable', detail: failureOf(error).detail });
}
