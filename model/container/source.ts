/** Where a container's bytes come from: memory, a Blob or an address. Files are in source.node.ts. */
import { checkLimit } from './bytes.js';
import { ContainerError } from './errors.js';
import { MAX_FILE_BYTES } from './limits.js';

/** Bytes that can be read in parts. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /**
   * The bytes from `from` to before `to`, which lie within `size`.
   * @throws ContainerError `source_failed` where they cannot be had, `source_changed` where they are of another file by now.
   */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** Bytes read first, where nothing is known yet: the longest header fits, and the whole head of a short video. */
export const HEAD_GUESS_BYTES = 64 * 1024;

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (from, to) => Promise.resolve(bytes.subarray(from, to)) };
}

export function blobSource(blob: Blob): ByteSource {
  return { size: blob.size, read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()) };
}

export interface UrlSourceOptions {
  /** Default: the platform's. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Aborting makes `openUrl` and every later read throw the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * A file behind an http or https address, read by range requests. The first one is made here and answers the first reading as well. A
 * server that knows no ranges sends the whole file, which is then kept in memory. Ranges are asked for under the file's ETag, so that
 * parts of two versions never mix.
 *
 * @throws ContainerError `source_failed`, or `limit_exceeded` for a file longer than the reader accepts.
 */
export async function openUrl(url: string | URL, options: UrlSourceOptions = {}): Promise<ByteSource> {
  const address = String(url);
  const answer = await request(address, options, { range: `bytes=0-${HEAD_GUESS_BYTES - 1}` });
  // An empty file has no first byte.
  if (answer.status === 416) return bytesSource(new Uint8Array(0));
  if (answer.status !== 206) return bytesSource(await body(answer, MAX_FILE_BYTES));
  const range = contentRange(answer);
  if (range === null || range.from !== 0) {
    await answer.body?.cancel();
    throw failed('The server answered a request for a part of the container without saying how long the whole is.');
  }
  checkLimit(range.size, MAX_FILE_BYTES, 'The length of the file');
  const start = await body(answer, HEAD_GUESS_BYTES);
  if (start.length !== range.to) throw failed(`The server sent ${start.length} bytes where it promised ${range.to}.`);
  return new UrlSource(address, options, range.size, validators(answer), start);
}

/** What tells one version of a file from the next. */
interface Validators {
  /** Only a strong tag may be used with ranges (RFC 9110, section 13.1.5). */
  readonly etag: string | null;
  readonly modified: string | null;
}

class UrlSource implements ByteSource {
  constructor(
    private readonly url: string,
    private readonly options: UrlSourceOptions,
    readonly size: number,
    private readonly version: Validators,
    /** The first bytes of the file. */
    private readonly start: Uint8Array,
  ) {}

  async read(from: number, to: number): Promise<Uint8Array> {
    if (to <= this.start.length) return this.start.subarray(from, to);
    const { etag } = this.version;
    const answer = await request(this.url, this.options, { range: `bytes=${from}-${to - 1}`, ...(etag === null ? {} : { 'if-range': etag }) });
    // A server that answered a range before and now sends everything, or has too few bytes, has another file.
    if (answer.status !== 206 || !this.sameVersion(answer)) {
      await answer.body?.cancel();
      throw new ContainerError('source_changed', 'The container was replaced while it was being read; open it again.');
    }
    const bytes = await body(answer, to - from);
    if (bytes.length !== to - from) throw failed(`The server sent ${bytes.length} bytes where ${to - from} were asked for.`);
    const range = contentRange(answer);
    if (range !== null && range.from !== from) throw failed('The server sent another part of the container than was asked for.');
    return bytes;
  }

  private sameVersion(answer: Response): boolean {
    const { etag, modified } = validators(answer);
    return etag === this.version.etag && modified === this.version.modified && (contentRange(answer)?.size ?? this.size) === this.size;
  }
}

function validators(answer: Response): Validators {
  const etag = answer.headers.get('etag');
  return { etag: etag === null || etag.startsWith('W/') ? null : etag, modified: answer.headers.get('last-modified') };
}

/** `bytes 0-99/1234`: `to` is not included. null where the header is absent (it may be hidden from a page of another origin) or odd. */
function contentRange(answer: Response): { from: number; to: number; size: number } | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(answer.headers.get('content-range') ?? '');
  if (match === null) return null;
  const [from, last, size] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return last < from || last >= size ? null : { from, to: last + 1, size };
}

async function request(url: string, { fetch: fetcher, signal }: UrlSourceOptions, headers: Record<string, string>): Promise<Response> {
  let answer: Response;
  try {
    answer = await (fetcher ?? fetch)(url, { headers, ...(signal === undefined ? {} : { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw failed(`The container could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}.`);
  }
  if (answer.ok || answer.status === 416) return answer;
  await answer.body?.cancel();
  throw failed(`The container could not be fetched: the server answered with status ${answer.status}.`);
}

/** The answer's body, which is refused as soon as it is longer than `most` bytes. */
async function body(answer: Response, most: number): Promise<Uint8Array> {
  const promised = Number(answer.headers.get('content-length') ?? 0);
  if (promised > most) {
    await answer.body?.cancel();
    checkLimit(promised, most, 'The length of the answer');
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = answer.body?.getReader();
  try {
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
      length += next.value.length;
      if (length > most) {
        await reader?.cancel();
        checkLimit(length, most, 'The length of the answer');
      }
      chunks.push(next.value);
    }
  } catch (cause) {
    if (cause instanceof ContainerError) throw cause;
    throw failed(`The container could not be fetched to its end: ${cause instanceof Error ? cause.message : String(cause)}.`);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function failed(message: string): ContainerError {
  return new ContainerError('source_failed', message);
}
