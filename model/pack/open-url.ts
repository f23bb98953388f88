/** Packs behind an address, for pages. */
import { PackError, parseManifest } from './manifest.js';
import { ModelPack } from './pack.js';

export interface OpenPackUrlOptions {
  /** Default: the platform's. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Aborting makes this call and every later reading throw the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Opens the pack whose pack.json lies in the folder at this address. Its other files are fetched when they are asked for, whole.
 * @throws PackError when pack.json cannot be fetched or is not valid
 */
export async function openPackUrl(folder: string | URL, { fetch: fetcher = fetch, signal }: OpenPackUrlOptions = {}): Promise<ModelPack> {
  const base = new URL(String(folder).replace(/\/?$/, '/'), globalThis.location?.href);
  const read = async (name: string): Promise<Uint8Array> => {
    const address = new URL(name, base).href;
    const answer = await fetcher(address, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
      signal?.throwIfAborted();
      throw new PackError(`${address} could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}`, { code: 'pack_missing', cause });
    });
    if (!answer.ok) throw new PackError(`${address} could not be fetched: the server answered with status ${answer.status}`, { code: 'pack_missing' });
    return new Uint8Array(await answer.arrayBuffer());
  };
  const manifest = parseManifest(new TextDecoder().decode(await read('pack.json')), new URL('pack.json', base).href);
  return new ModelPack(manifest, { where: base.href, read, sha256 });
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
