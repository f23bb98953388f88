import { DetailedError, Upload, type HttpResponse, type UrlStorage } from 'tus-js-client';
import { connectionFailed, errorFromAnswer, LatentChatError, parseErrorBody } from './errors.js';

export interface UploadProgress {
  /** Bytes the server has acknowledged or is being sent now. */
  readonly sent: number;
  /** Bytes in all. */
  readonly total: number;
}

export interface UploadOptions {
  /** The name the video is listed under. Default: the file's own name, or "upload". */
  readonly name?: string;
  /** Called as bytes leave, many times a second on a fast line. */
  readonly onProgress?: (progress: UploadProgress) => void;
  /** Called once the server has made room for the upload, with the id the video will have. */
  readonly onStart?: (id: string) => void;
  /** Aborting stops the upload and tells the server to discard what it has; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Bytes a request. Default: the whole file in one request in the browser, 8 MiB in Node; less after a request that was refused or cut off. */
  readonly chunkSize?: number;
  /** Where unfinished uploads are remembered. Default: localStorage in the browser, nowhere in Node. */
  readonly urlStorage?: UrlStorage;
}

/** Header in which the server names the video that an upload became. */
const videoIdHeader = 'X-Video-Id';
/** Bytes a request after one that failed: below the 1 MiB that proxies take unless they are told otherwise. */
const CAREFUL_CHUNK = 768 * 1024;
/** Pauses in milliseconds before the attempts after a broken connection; about two minutes in all. */
const retryDelays = [300, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000];

/**
 * Sends a file by the tus protocol. A broken connection is taken up again where it stopped; in the browser the same file
 * picked again after a reload goes on too. Resolves with the id of the video the upload became.
 * @throws LatentChatError with the server's reason, or `connection_failed` when every attempt failed.
 */
export async function uploadFile(endpoint: string, file: File | Blob | Buffer, options: UploadOptions, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const { signal, onProgress, onStart } = options;
  signal?.throwIfAborted();
  const named = 'name' in file && typeof file.name === 'string' ? file.name : 'upload';
  const browser = typeof window !== 'undefined';
  const input = browser || file instanceof Uint8Array ? file : Buffer.from(await file.arrayBuffer());
  let videoId: string | null = null;

  return new Promise<string>((resolve, reject) => {
    const upload: Upload = new Upload(input, {
      endpoint,
      headers,
      metadata: { filename: options.name ?? named, filetype: 'type' in file ? file.type : '' },
      chunkSize: options.chunkSize ?? (browser ? Infinity : 8 * 1024 * 1024),
      retryDelays,
      removeFingerprintOnSuccess: true,
      storeFingerprintForResuming: browser || options.urlStorage !== undefined,
      ...(options.urlStorage ? { urlStorage: options.urlStorage } : {}),
      onShouldRetry: (error) => {
        const status = statusOf(error);
        const refused = tooLargeForProxy(error);
        const smaller = (refused || status === 0) && (upload.options.chunkSize ?? Infinity) > CAREFUL_CHUNK;
        if (smaller) upload.options.chunkSize = CAREFUL_CHUNK;
        const passing = status < 400 || status >= 500 || status === 409 || status === 423;
        return passing || (refused && smaller);
      },
      onProgress: (sent, total) => onProgress?.({ sent, total }),
      onUploadUrlAvailable: () => onStart?.(lastSegment(upload.url ?? '')),
      onAfterResponse: (_request, response) => {
        videoId = response.getHeader(videoIdHeader) ?? videoId;
      },
      onSuccess: () => {
        signal?.removeEventListener('abort', abort);
        resolve(videoId ?? lastSegment(upload.url ?? ''));
      },
      onError: (error) => {
        signal?.removeEventListener('abort', abort);
        reject(uploadError(endpoint, error));
      },
    });
    const abort = (): void => {
      // The server may be gone; what it holds of this upload then expires on its own.
      upload.abort(true).catch(() => undefined);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    void resumeOrStart(upload, signal);
  });
}

async function resumeOrStart(upload: Upload, signal: AbortSignal | undefined): Promise<void> {
  const previous = await upload.findPreviousUploads().catch(() => []);
  if (signal?.aborted) return;
  if (previous[0]) upload.resumeFromPreviousUpload(previous[0]);
  upload.start();
}

/** 0: there was no answer. */
function statusOf(error: Error): number {
  return error instanceof DetailedError ? (error.originalResponse?.getStatus() ?? 0) : 0;
}

/** Whether something before the server found a part of the file too large: the server's own refusals are in its own form. */
function tooLargeForProxy(error: Error): boolean {
  if (!(error instanceof DetailedError) || statusOf(error) !== 413) return false;
  return error.originalRequest.getMethod() === 'PATCH' && parseErrorBody(error.originalResponse?.getBody() ?? '') === null;
}

function uploadError(endpoint: string, error: Error): LatentChatError {
  const answer: HttpResponse | null = error instanceof DetailedError ? error.originalResponse : null;
  if (!answer || answer.getStatus() === 0) return connectionFailed(endpoint, error);
  return errorFromAnswer(answer.getStatus(), answer.getBody());
}

function lastSegment(url: string): string {
  return new URL(url).pathname.split('/').filter(Boolean).at(-1) ?? '';
}
