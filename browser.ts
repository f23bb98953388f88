/**
 * latentchat in a page: `.linr` files are opened, decoded and searched, without a server of ours and without anything of Node's.
 *
 * ONNX Runtime's files (`ort-wasm-simd-threaded.wasm` and `.mjs`, of the package `onnxruntime-web`) must be served: beside this module, or
 * in the folder that `wasmUrl` names. They are fetched when the first frame is drawn.
 */
import { openUrl, type UrlSourceOptions } from './model/container/index.js';
import type { LinrSource } from './model/inr/decoder.js';
import type { ModelPack } from './model/pack/index.js';
import { MomentSearch, type SearchOptions, type VideoHit } from './model/retrieval/index.js';
import { webRuntime, type WebRuntimeOptions } from './model/runtime/web.js';
import type { Runtime } from './model/runtime/types.js';
import { LinrVideo } from './model/video/linr-video.js';
import { searchCandidates, type VideoQuery } from './projector/library/search.js';

export interface OpenLinrOptions extends UrlSourceOptions, WebRuntimeOptions {
  /** What search results call the video. Default: the address; of bytes, the name of the file they were made of. */
  readonly name?: string;
}

/**
 * Opens a `.linr` file: an address, bytes, or a File from a file picker. Of an address only the parts that are needed are fetched, by range
 * requests, when they are needed.
 *
 * @throws ContainerError for what is no container, is damaged, or cannot be fetched; the signal's reason when it is aborted
 */
export async function openLinr(source: LinrSource, { name, fetch, signal, ...runtime }: OpenLinrOptions = {}): Promise<LinrVideo> {
  signal?.throwIfAborted();
  const address = typeof source === 'string' || source instanceof URL ? new URL(source, globalThis.location?.href).href : null;
  const reading = { ...(fetch === undefined ? {} : { fetch }), ...(signal === undefined ? {} : { signal }) };
  const called = name ?? address;
  return LinrVideo.open(address === null ? source : openUrl(address, reading), {
    runtime: lazyRuntime(runtime),
    ...(called === null ? {} : { name: called }),
  });
}

export interface SearchInPageOptions extends SearchOptions, WebRuntimeOptions {
  /** The model pack whose towers compare, from `openPack`. */
  readonly pack: ModelPack;
}

/**
 * The moments that words tell of, or that are like a frame, in one or several videos; best first. For a frame 5 MB of the default pack are
 * fetched, for words 70 MB more, once.
 *
 * @param query words, or `{ like, frame }` for what is like a frame of a video
 * @returns hits as `{ video, start_s, end_s, frame, score }`: the video's id, seconds, the best frame, a cosine
 * @throws SearchError for an empty query and a frame that does not exist, PackError for a pack that cannot be searched
 */
export async function search(
  videos: LinrVideo | readonly LinrVideo[],
  query: VideoQuery,
  { pack, wasmUrl, threads, ...options }: SearchInPageOptions,
): Promise<readonly VideoHit[]> {
  const all = videos instanceof LinrVideo ? [videos] : videos;
  const candidates = all.map((video) => ({ id: video.id, video: () => Promise.resolve(video) }));
  const runtime = pageRuntime({ ...(wasmUrl === undefined ? {} : { wasmUrl }), ...(threads === undefined ? {} : { threads }) });
  const loading = towers.get(pack) ?? runtime.then((loaded) => MomentSearch.load(pack, loaded));
  towers.set(pack, loading);
  loading.catch(() => towers.delete(pack));
  return searchCandidates(candidates, query, await loading, options);
}

const towers = new WeakMap<ModelPack, Promise<MomentSearch>>();

let runtime: Promise<Runtime> | null = null;

/** One runtime for the page: where its files lie and how many threads it has is decided by the first call. */
function pageRuntime(options: WebRuntimeOptions): Promise<Runtime> {
  runtime ??= webRuntime(options);
  return runtime;
}

/** That runtime, loaded when the first session is made. */
function lazyRuntime(options: WebRuntimeOptions): Runtime {
  return {
    name: 'onnxruntime-web (wasm)',
    createSession: async (model, session) => (await pageRuntime(options)).createSession(model, session),
  };
}

export { LinrDecoder, MAX_ENLARGEMENT, type Between, type LinrSource } from './model/inr/decoder.js';
export { LinrVideo, type FrameOptions } from './model/video/linr-video.js';
export { webRuntime, type WebRuntimeOptions } from './model/runtime/web.js';
export { openPackUrl as openPack, type OpenPackUrlOptions } from './model/pack/open-url.js';
export { ModelPack, PackError, type PackErrorCode } from './model/pack/index.js';
export { LinrFile, type ContainerMeta } from './model/container/index.js';
export type { Frame } from './model/frames/types.js';
export type { Runtime } from './model/runtime/types.js';
export type { Scope, SearchOptions, VideoHit } from './model/retrieval/index.js';
export type { VideoQuery } from './projector/library/search.js';
export { CodedError } from './model/runtime/coded-error.js';
export { ContainerError, type ContainerErrorCode } from './model/container/index.js';
export { LinrDecodeError, type LinrDecodeErrorCode } from './model/inr/decode-error.js';
export { SearchError } from './projector/library/search.js';
