/** Opens containers in Node: a path, an address, or bytes. */
import { fileURLToPath } from 'node:url';
import { openUrl } from '../container/index.js';
import type { LinrSource } from '../inr/decoder.js';
import { nodeRuntime } from '../runtime/node.node.js';
import type { Runtime } from '../runtime/types.js';
import { LinrVideo } from './linr-video.js';
import { pathSource } from './path-source.node.js';

export interface OpenLinrOptions {
  /** What errors and search results call the video. Default: the path or address; of bytes, the name of the file they were made of. */
  readonly name?: string;
  /** Processor threads that draw a frame. Default: 2, or 1 on a single core. */
  readonly threads?: number;
  /** What draws frames, instead of a runtime of its own with so many threads. */
  readonly runtime?: Runtime;
  /** Aborting stops the opening; of an address, every later reading too. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a `.linr` file. Of a file on disk and of an address only the parts that are needed are read, when they are needed; nothing is held
 * open in between.
 *
 * @param source a path, an http or https address, a `file:` URL, or the bytes themselves.
 * @throws ContainerError for what is no container, is damaged, or cannot be fetched; the message names the file
 * @throws the file system's error (`ENOENT` and others) for a path that cannot be read, the signal's reason when it is aborted
 */
export async function openLinr(source: LinrSource, { name, threads, runtime = nodeRuntime(threads === undefined ? {} : { threads }), signal }: OpenLinrOptions = {}): Promise<LinrVideo> {
  signal?.throwIfAborted();
  const address = typeof source === 'string' || source instanceof URL ? String(source) : null;
  const called = name ?? address;
  const opening = address === null ? source : sourceAt(address, signal);
  const video = await LinrVideo.open(opening, { runtime, ...(called === null ? {} : { name: called }) });
  signal?.throwIfAborted();
  return video;
}

function sourceAt(address: string, signal: AbortSignal | undefined): Promise<LinrSource> {
  if (/^https?:\/\//i.test(address)) return openUrl(address, signal === undefined ? {} : { signal });
  return pathSource(/^file:\/\//i.test(address) ? fileURLToPath(address) : address);
}
