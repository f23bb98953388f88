import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Caller } from '../access/caller.js';
import { videoIdOf } from '../chat/prompt.js';
import type { Limits } from '../config.js';
import { ApiError, isErrorCode } from '../errors.js';
import { newId } from '../ids.js';
import type { Library } from '../library/library.js';
import type { Claim, Disk } from '../store/disk.js';
import { PRIVATE_MODE, type DataFolder } from '../store/files.js';
import { dataUrlBytes } from './data-url.js';
import { fetchRemote, type RemoteFetch } from './remote.js';
import { displayName } from './receiver.js';

export interface ArrivalsOptions {
  readonly library: Library;
  readonly folder: DataFolder;
  readonly disk: Disk;
  readonly limits: Limits;
  /** See AppOptions. */
  readonly remoteHosts: readonly string[];
  readonly log: FastifyBaseLogger;
  /** Default: over the network, to public addresses only. */
  readonly fetchRemote?: RemoteFetch;
}

/** A video that is brought along. */
interface Coming {
  /** Bytes, as far as known before they come. */
  readonly coming: number;
  readonly name: string;
  readonly param: string;
}

/** Longest address that is no `data:` one, in characters; as long as browsers and proxies take. */
const longestUrl = 8192;

/**
 * Videos that a chat completion brings along, as `data:` or remote addresses. They become ordinary videos of the
 * library. Their id is made from their owner and their bytes, so a client that sends its whole history again with each
 * question has its video encoded once, and nobody learns what another has sent.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions;
  /** Videos that are being added right now, by id. */
  readonly #adding = new Map<string, Promise<void>>();

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /**
   * The id of the video an address names; one that was brought along belongs to the caller, and is waited for until it
   * can be asked about. Whether a caller may ask about the video of a `video://` address is for the prompt to check.
   * @throws ApiError naming `param`: what is wrong with the address or with the file behind it
   */
  async videoIdOf(url: string, param: string, caller: Caller, signal: AbortSignal): Promise<string> {
    const { limits, remoteHosts } = this.#options;
    if (/^data:/i.test(url)) {
      const most = Math.min(limits.dataUrlBytes, limits.uploadBytes);
      const bytes = dataUrlBytes(url, most, param);
      return this.#arrived((file) => writeFile(file, bytes, { mode: PRIVATE_MODE }), { coming: bytes.length, name: 'video', param }, caller, signal);
    }
    if (remoteHosts.length > 0 && /^https?:/i.test(url)) {
      const fetch = this.#options.fetchRemote ?? fetchRemote;
      if (url.length > longestUrl || !URL.canParse(url)) throw new ApiError('unsupported_video_url', { param, message: 'The address is not a valid one.' });
      const address = new URL(url);
      const timed = AbortSignal.any([signal, AbortSignal.timeout(limits.remote_s * 1000)]);
      const receive = (file: string, claim: Claim): Promise<void> => fetch(address, file, { hosts: remoteHosts, mostBytes: limits.uploadBytes, param, signal: timed, claim });
      return this.#arrived(receive, { coming: 0, name: nameOf(address), param }, caller, signal);
    }
    return videoIdOf(url, param);
  }

  async #arrived(receive: (file: string, claim: Claim) => Promise<void>, { coming, name, param }: Coming, { owner }: Caller, signal: AbortSignal): Promise<string> {
    const { folder, disk } = this.#options;
    const claim = await disk.claim(coming);
    // A file in this folder that no upload knows is removed at the next start, should this one be killed now.
    const file = folder.upload(newId('vid'));
    try {
      await receive(file, claim);
      claim.release();
      if ((await stat(file)).size === 0) throw new ApiError('empty_file', { param });
      const id = await contentId(file, owner);
      await this.#add(id, file, name, owner);
      await this.#untilAskable(id, param, signal);
      return id;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      claim.release();
      await rm(file, { force: true });
    }
  }

  async #add(id: string, file: string, name: string, owner: string | null): Promise<void> {
    const { library, folder } = this.#options;
    const running = this.#adding.get(id);
    if (running) return running;
    if (library.find(id)) return;
    const work = rename(file, folder.upload(id))
      .then(() => library.admit(id, name, owner))
      .then(() => undefined)
      .catch(async (error: unknown) => {
        // Nobody was told of it, so nobody asks for it again: what it has taken of a full disk is given back.
        await rm(folder.upload(id), { force: true });
        if (!library.find(id)) await rm(folder.video(id), { recursive: true, force: true });
        throw error;
      })
      .finally(() => this.#adding.delete(id));
    this.#adding.set(id, work);
    return work;
  }

  /** Resolves once questions about the video can be answered. */
  #untilAskable(id: string, param: string, signal: AbortSignal): Promise<void> {
    const { library, limits } = this.#options;
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const video = library.find(id);
        if (video?.askable) resolve();
        else if (!video) reject(new ApiError('video_not_found', { param }));
        else if (video.state === 'failed') {
          const { code, message } = video.error ?? { code: 'internal_error', message: '' };
          reject(new ApiError(isErrorCode(code) ? code : 'internal_error', { param, ...(message === '' ? {} : { message }) }));
        } else return false;
        return true;
      };
      const ended = (error: ApiError): void => {
        leave();
        reject(error);
      };
      const late = setTimeout(() => {
        const message = `The video was received as video://${id}, but its features are still being computed. Ask again in a moment.`;
        ended(new ApiError('video_not_ready', { param, message }));
      }, limits.arrival_s * 1000).unref();
      const abort = (): void => ended(new ApiError('cancelled'));
      const unsubscribe = library.feed.subscribe((change) => {
        const changed = change.type === 'video.progress' ? change.video.id : change.video_id;
        if (changed === id && look()) leave();
      });
      const leave = (): void => {
        clearTimeout(late);
        unsubscribe();
        signal.removeEventListener('abort', abort);
      };
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else if (look()) leave();
    });
  }
}

/** An id of the usual form, made from the SHA-256 of the owner's id and the file. */
async function contentId(file: string, owner: string | null): Promise<string> {
  const hash = createHash('sha256').update(owner ?? '');
  await pipeline(createReadStream(file), hash);
  return `vid_${hash.digest('hex').slice(0, 24)}`;
}

function nameOf(url: URL): string {
  const last = url.pathname.split('/').pop() ?? '';
  try {
    return displayName(decodeURIComponent(last));
  } catch {
    return displayName(last);
  }
}
