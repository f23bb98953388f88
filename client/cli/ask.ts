/** Any file as something to ask about, and one question to it. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { ContainerError, readContainer, readHead, writeContainer, type Container, type ContainerMeta } from '../../model/container/index.js';
import type { Frame, FrameSource, VideoInfo } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { MAX_FRAMES } from '../../model/inr/plan.js';
import { canSearch } from '../../model/retrieval/index.js';
import { captionSearch, checkFeatureSpace, replyWithMoments, type AnnotatedReply, type AnswerOptions, type ChatMessage, type MomentFinder, type VideoPart } from '../../projector/index.js';
import type { Models } from './models.js';
import { inFile, isContainer } from './sources.js';

/** Bytes read first of a container whose head may be longer: most are shorter. */
const HEAD_GUESS = 64 * 1024;

/** Frames a second that are looked at of a video that is no container yet, to find moments in it. */
export const SEARCH_FRAMES_PER_SECOND = 2;
const FEWEST_SEARCHED = 8;

/** As many frames, within what an encoder would take. */
export function framesToSearch({ duration_s }: VideoInfo): number {
  return Math.min(MAX_FRAMES, Math.max(FEWEST_SEARCHED, Math.ceil(duration_s * SEARCH_FRAMES_PER_SECOND)));
}

export interface Askable {
  readonly video: VideoPart;
  readonly container: Container;
  /** (T, D) the vision tower's targets before quantisation; null where the file was a container. */
  readonly targets: Float32Array | null;
}

export interface AskableOptions {
  readonly signal?: AbortSignal;
  /** Most frames looked at of a video, uniform in time; not relevant for containers. Default: as many as a prompt shows. */
  readonly frames?: (info: VideoInfo) => number;
}

/**
 * Latents of a container, or those of a video or photo: no network is trained for these, but the latents are written as a container and
 * read back, so that an answer never depends on more than a file holds.
 *
 * @throws UserError, FrameSourceError or PromptError naming the file that cannot be used.
 */
export async function openAskable(file: string, models: Models, options: AskableOptions = {}): Promise<Askable> {
  const exists = await stat(file).then((facts) => facts.isFile(), () => false);
  if (exists && (await isContainer(file))) {
    const container = await readHeadOf(file);
    return { container, targets: null, video: askableVideo(file, container, models) };
  }
  return encodeLatents(await openFrames(file), { name: file, bytes: exists ? (await stat(file)).size : 0 }, models, options);
}

/** A container's latents as something to ask about. @throws PromptError when they were made for another feature space. */
export function askableVideo(name: string, container: Container, models: Models): VideoPart {
  const { id, feature_space } = models.pack.manifest;
  checkFeatureSpace(container.meta.pack, { id, feature_space });
  const { times_s, duration_s } = container.meta;
  return { type: 'video', id: name, latents: container.latents, dim: container.latentDim, times_s, duration_s, version: '1' };
}

/** The head alone: the network can be a hundred times larger and is not needed for answers. */
async function readHeadOf(file: string): Promise<Container> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const read = async (count: number): Promise<Uint8Array> => {
      const buffer = Buffer.alloc(Math.min(count, size));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      return buffer.subarray(0, bytesRead);
    };
    const start = await read(HEAD_GUESS);
    try {
      return readHead(start).container;
    } catch (error) {
      if (!(error instanceof ContainerError) || error.code !== 'truncated' || error.neededBytes === null || start.length === size) {
        return inFile(file, () => readHead(start).container);
      }
      const whole = await read(error.neededBytes);
      return inFile(file, () => readHead(whole).container);
    }
  } finally {
    await handle.close();
  }
}

/** Frames through the vision tower into a container without network, and back. Closes `source`, whose name and size in bytes are kept with it. */
export async function encodeLatents(
  source: FrameSource,
  { name, bytes }: { readonly name: string; readonly bytes: number },
  models: Models,
  { signal, frames }: AskableOptions,
): Promise<Askable> {
  try {
    const { manifest } = models.pack;
    const limited = source.frames({ limit: frames?.(source.info) ?? manifest.prompt.max_frames, ...(signal === undefined ? {} : { signal }) });
    const { width, height, duration_s } = source.info;
    const made = await latentsContainer(limited, models, { duration_s, source: { name: path.basename(name), width, height, bytes } });
    return { ...made, video: askableVideo(name, made.container, models) };
  } finally {
    await source.close();
  }
}

/** Latents of frames, written as a container and read back, and as they were before. */
export async function latentsContainer(
  frames: AsyncIterable<Frame> | Iterable<Frame>,
  models: Models,
  { duration_s, source }: Pick<ContainerMeta, 'duration_s' | 'source'>,
): Promise<{ container: Container; targets: Float32Array }> {
  const started = performance.now();
  const tower = await models.tower();
  const { id, feature_space } = models.pack.manifest;
  const latents: Float32Array[] = [];
  const times: number[] = [];
  for await (const frame of frames) {
    latents.push(tower.latents(await tower.features([frame])));
    times.push(frame.time_s);
  }
  const joined = new Float32Array(latents.length * tower.latentDim);
  latents.forEach((latent, i) => joined.set(latent, i * tower.latentDim));
  const bytes = writeContainer({
    meta: {
      width: source.width,
      height: source.height,
      frames: times.length,
      segments: [times.length],
      duration_s,
      source,
      times_s: Float64Array.from(times),
      pack: { id, feature_space },
      encoder: { preset: 'latents', seconds: (performance.now() - started) / 1000 },
    },
    latents: joined,
    latentDim: tower.latentDim,
    networks: [null],
  });
  return { container: readContainer(bytes), targets: joined };
}

/** What finds the moments that answers begin with, loaded when the first is asked for; null for a pack without retrieval towers. */
export function momentFinder(models: Pick<Models, 'pack' | 'search'>): MomentFinder | null {
  if (!canSearch(models.pack.manifest)) return null;
  return {
    query: async (words) => (await models.search()).query(words),
    find: async (video, query) => (await models.search()).find(video, query),
    likeness: async (videos, texts) => (await models.search()).likeness(videos, texts),
  };
}

/**
 * Asks one question, about a video or about nothing, and gives the whole answer; with a finder, one to when something is seen begins with
 * the seconds. @throws the signal's reason when it was aborted.
 */
export async function askOnce(
  models: Pick<Models, 'chat'>, video: VideoPart | null, question: string, options: AnswerOptions, finder: MomentFinder | null = null,
): Promise<AnnotatedReply> {
  const chat = await models.chat();
  const reply = replyWithMoments(chat, finder, questionMessages(video, question), options);
  for (;;) {
    const next = await reply.next();
    if (next.done !== true) continue;
    if (next.value.finish === 'cancelled') options.signal?.throwIfAborted();
    return next.value;
  }
}

/** As askOnce, for a description: of what a search with beams finds, the one that is most like what is seen. */
export function captionOnce(models: Pick<Models, 'pack' | 'chat' | 'search'>, video: VideoPart | null, question: string, options: AnswerOptions): Promise<AnnotatedReply> {
  return askOnce(models, video, question, { ...captionSearch(momentFinder(models)), sayDoubt: false, ...options });
}

export function questionMessages(video: VideoPart | null, question: string): ChatMessage[] {
  return [{ role: 'user', content: [...(video === null ? [] : [video]), { type: 'text', text: question }] }];
}
