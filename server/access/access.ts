import { stat } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyBaseLogger } from 'fastify';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';
import type { Facts } from '../store/facts.js';
import { TokenBucket } from './bucket.js';
import type { Caller } from './caller.js';
import { hashOf, type ApiKey, type KeyFile } from './keys.js';

export interface AccessOptions {
  readonly keys: KeyFile;
  readonly limits: Pick<Limits, 'keyRequestsPerMinute' | 'keyConcurrent'>;
  /** Ask for a key even while there is none: for a server that others can reach. */
  readonly always: boolean;
  /** Ask for none any more, though keys were asked for before: only where there are none. */
  readonly open: boolean;
  /** Where it is remembered that keys were asked for: a key file that gets lost must not open the server. */
  readonly facts: Pick<Facts, 'has' | 'set' | 'remove'>;
  readonly log: FastifyBaseLogger;
}

/** Seconds for which a look at the key file is good. A look is taken as often by itself, so that a removed key's sockets end within a second. */
const fresh_s = 0.5;
/** The WebSocket subprotocols of this API, by our name and by OpenAI's, and what a key is given behind, since browsers cannot set headers on sockets. */
export const socketProtocols = ['latentchat', 'realtime'] as const;
export const keyProtocolPrefixes = ['latentchat-key.', 'openai-insecure-api-key.'] as const;

/** What a key has a rate of. */
type Counted = 'request' | 'line';

/**
 * Who may use the server: everybody on loopback as long as there never was a key, else whoever has one. That there was one is remembered in
 * the database, so neither a lost key file nor a restart lets anybody in.
 */
export class Access {
  readonly #options: AccessOptions;
  #byHash = new Map<string, ApiKey>();
  #byId = new Map<string, ApiKey>();
  readonly #buckets: Record<Counted, Map<string, { perMinute: number; bucket: TokenBucket }>> = { request: new Map(), line: new Map() };
  #version = '';
  #looked = -Infinity;
  #required: boolean;
  readonly #listeners = new Set<() => void>();
  readonly #looking: NodeJS.Timeout;

  private constructor(options: AccessOptions) {
    this.#options = options;
    this.#required = options.always || options.facts.has('keys_asked');
    this.#looking = setInterval(() => void this.#look(), fresh_s * 1000).unref();
  }

  /** @throws Error when the key file is damaged, or the server is to be open though there are keys */
  static async open(options: AccessOptions): Promise<Access> {
    if (options.open) {
      const { keys, facts } = options;
      if ((await keys.list()).length > 0) throw new Error(`There are API keys in ${keys.file}, and "open" is set. Take one of the two away.`);
      facts.remove('keys_asked');
    }
    const access = new Access(options);
    try {
      await access.#load(await access.#fileVersion());
    } catch (error) {
      access.close();
      throw error;
    }
    return access;
  }

  close(): void {
    clearInterval(this.#looking);
    this.#listeners.clear();
  }

  /** Once a key has been asked for it is asked for, even when the last one is removed, until the operator opens the server again. */
  get required(): boolean {
    return this.#required;
  }

  /** True where keys are asked for and there are none: nobody is let in. */
  get shut(): boolean {
    return this.#required && this.size === 0;
  }

  /** True where who came with this key, or without one, may still be here. */
  admits(key: ApiKey | null): boolean {
    return key === null ? !this.#required : this.has(key.id);
  }

  /** Tells whenever keys have come or gone; gives the function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Number of keys. */
  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** True where what belongs to the owner can go: its key was removed. A key file that is lost lets nobody in, but removes nothing either. */
  isGone(owner: string | null): boolean {
    return owner !== null && this.size > 0 && !this.has(owner);
  }

  /** null where the key was removed. */
  find(id: string): ApiKey | null {
    return this.#byId.get(id) ?? null;
  }

  /**
   * Whom a request or a stored job speaks for.
   * @param owner id of its key; null: it came without one, which makes its sender the operator only where none is asked for
   */
  callerOf(owner: string | null): Caller {
    return { owner, operator: owner === null ? !this.#required : (this.find(owner)?.operator ?? false) };
  }

  /** Takes note of keys that were added or removed. */
  async refresh(): Promise<void> {
    if (performance.now() / 1000 - this.#looked >= fresh_s) await this.#look();
  }

  async #look(): Promise<void> {
    this.#looked = performance.now() / 1000;
    const version = await this.#fileVersion();
    if (version === this.#version) return;
    try {
      await this.#load(version);
      this.#options.log.info({ keys: this.size }, 'API keys were read again');
    } catch (error) {
      this.#options.log.error({ err: error }, 'API keys could not be read; those known before stay');
    }
  }

  /**
   * The key of a request, or null where none is asked for. It comes as `Authorization: Bearer <key>`, or among the
   * subprotocols of a WebSocket.
   * @throws ApiError `missing_key`, `invalid_key`
   */
  async identify(headers: IncomingHttpHeaders): Promise<ApiKey | null> {
    await this.refresh();
    if (!this.#required) return null;
    const secret = secretOf(headers);
    if (secret === null) throw new ApiError('missing_key');
    const key = this.#byHash.get(hashOf(secret));
    if (!key) throw new ApiError('invalid_key');
    return key;
  }

  /** Counts a request of a key. @throws ApiError `rate_limited` */
  admit(key: ApiKey): void {
    const retryAfter_s = this.#take('request', key);
    if (retryAfter_s > 0) throw new ApiError('rate_limited', { message: `This key may make ${this.#perMinute(key)} requests a minute.`, retryAfter_s });
  }

  /**
   * Counts a line of a key's batches. They may be as many a minute as its requests, and are counted by themselves, so that a batch
   * never keeps its key from asking.
   * @returns 0, or the seconds to wait before it is asked again
   */
  admitLine(key: ApiKey): number {
    return this.#take('line', key);
  }

  #perMinute(key: ApiKey): number {
    return key.requestsPerMinute ?? this.#options.limits.keyRequestsPerMinute;
  }

  #take(counted: Counted, key: ApiKey): number {
    const perMinute = this.#perMinute(key);
    let entry = this.#buckets[counted].get(key.id);
    if (entry?.perMinute !== perMinute) {
      entry = { perMinute, bucket: new TokenBucket(perMinute / 60, perMinute) };
      this.#buckets[counted].set(key.id, entry);
    }
    return entry.bucket.take() ? 0 : entry.bucket.wait_s;
  }

  /** Replies that a key may have waiting or running. */
  mostReplies(key: ApiKey): number {
    return key.concurrent ?? this.#options.limits.keyConcurrent;
  }

  async #load(version: string): Promise<void> {
    const keys = await this.#options.keys.list();
    this.#version = version;
    this.#byHash = new Map(keys.map((key) => [key.sha256, key]));
    this.#byId = new Map(keys.map((key) => [key.id, key]));
    for (const buckets of Object.values(this.#buckets)) for (const id of buckets.keys()) if (!this.#byId.has(id)) buckets.delete(id);
    if (keys.length > 0) this.#ask();
    for (const listener of [...this.#listeners]) listener();
  }

  #ask(): void {
    this.#required = true;
    const { facts, log } = this.#options;
    try {
      if (!facts.has('keys_asked')) facts.set('keys_asked', 'yes');
    } catch (error) {
      log.error({ err: error }, 'that API keys are asked for could not be remembered');
    }
  }

  async #fileVersion(): Promise<string> {
    try {
      const { mtimeNs, size, ino } = await stat(this.#options.keys.file, { bigint: true });
      return `${mtimeNs}-${size}-${ino}`;
    } catch {
      return '';
    }
  }
}

function secretOf(headers: IncomingHttpHeaders): string | null {
  const bearer = /^Bearer +([^\s]+)$/i.exec(headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
  for (const prefix of keyProtocolPrefixes) {
    const found = offered.find((name) => name.startsWith(prefix));
    if (found !== undefined) return found.slice(prefix.length);
  }
  return null;
}
