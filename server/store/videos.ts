import type { Video, VideoProgress } from '../api/schemas.js';
import { ApiError, errorTable, isErrorCode, type ErrorCode } from '../errors.js';
import { isId, now_s } from '../ids.js';
import type { Store } from './database.js';

/** What looking at an original told about it. */
export interface Media {
  readonly width: number;
  readonly height: number;
  readonly frames: number | null;
  readonly duration_s: number;
  /** See FrameSource of the model; missing in rows of older servers. */
  readonly warnings?: readonly string[];
}

/** What is kept about the `.linr` of a video, so that listing videos opens none. */
export interface ContainerFacts {
  /** See versionOf of files.ts. */
  readonly version: string;
  readonly stage: 'latents' | 'checkpoint' | 'final';
  readonly bytes: number;
  /** Encoded size in pixels. */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly psnr_db: number | null;
  /** As Media's: what reading the whole video told. */
  readonly warnings?: readonly string[];
}

/** A video as stored. `status` never holds what only a running process can know: that is the progress. */
export interface VideoRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: a demo, or uploaded while there were no keys. */
  readonly owner: string | null;
  readonly name: string;
  readonly kind: 'video' | 'photo';
  readonly status: 'checking' | 'queued' | 'ready' | 'failed';
  readonly demo: boolean;
  readonly created_s: number;
  readonly sourceFile: string | null;
  readonly sourceBytes: number | null;
  readonly media: Media | null;
  readonly container: ContainerFacts | null;
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
}

interface RawRow {
  readonly id: string;
  readonly owner: string | null;
  readonly name: string;
  readonly kind: 'video' | 'photo';
  readonly status: VideoRow['status'];
  readonly demo: number;
  readonly created_s: number;
  readonly source_file: string | null;
  readonly source_bytes: number | null;
  readonly media: string | null;
  readonly container: string | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
}

function fromRaw(row: RawRow): VideoRow {
  const code = row.error_code;
  return {
    id: row.id,
    owner: row.owner,
    name: row.name,
    kind: row.kind,
    status: row.status,
    demo: row.demo !== 0,
    created_s: row.created_s,
    sourceFile: row.source_file,
    sourceBytes: row.source_bytes,
    media: row.media === null ? null : (JSON.parse(row.media) as Media),
    container: row.container === null ? null : (JSON.parse(row.container) as ContainerFacts),
    error: code === null ? null : { code: isErrorCode(code) ? code : 'internal_error', message: row.error_message ?? '' },
  };
}

/** What only a running server knows of its videos; a restart begins anew. */
export interface ProgressBoard {
  /** How far its encode is. */
  progressOf(id: string): VideoProgress | null;
  /** Why it cannot go on for now; it does by itself when that has passed. */
  problemOf(id: string): ErrorCode | null;
}

export interface NewVideo {
  readonly id: string;
  readonly owner: string | null;
  readonly name: string;
  readonly kind: 'video' | 'photo';
  readonly status: VideoRow['status'];
  readonly demo?: boolean;
  readonly sourceFile: string | null;
  readonly sourceBytes: number | null;
}

/** The videos table. */
export class Videos {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add(video: NewVideo): void {
    this.#store.run(
      'INSERT INTO videos (id, owner, name, kind, status, demo, created_s, source_file, source_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      video.id,
      video.owner,
      video.name,
      video.kind,
      video.status,
      video.demo ? 1 : 0,
      now_s(),
      video.sourceFile,
      video.sourceBytes,
    );
  }

  find(id: string): VideoRow | null {
    if (!isId('vid', id)) return null;
    const row = this.#store.get<RawRow>('SELECT * FROM videos WHERE id = ?', id);
    return row && fromRaw(row);
  }

  /** Throws `video_not_found`. */
  get(id: string, param: string | null = null): VideoRow {
    const row = this.find(id);
    if (!row) throw videoNotFound(id, param);
    return row;
  }

  /** Newest first. */
  list(): VideoRow[] {
    return this.#store.all<RawRow>('SELECT * FROM videos ORDER BY created_s DESC, id').map(fromRaw);
  }

  setStatus(id: string, status: VideoRow['status']): void {
    this.#store.run('UPDATE videos SET status = ?, error_code = NULL, error_message = NULL WHERE id = ?', status, id);
  }

  setMedia(id: string, kind: 'video' | 'photo', media: Media): void {
    this.#store.run('UPDATE videos SET kind = ?, media = ? WHERE id = ?', kind, JSON.stringify(media), id);
  }

  setContainer(id: string, container: ContainerFacts | null): void {
    this.#store.run('UPDATE videos SET container = ? WHERE id = ?', container === null ? null : JSON.stringify(container), id);
  }

  /** The upload was a container itself: there is no original on this server. */
  setUploadedContainer(id: string, report: { kind: 'video' | 'photo'; media: Media; facts: ContainerFacts; sourceBytes: number | null }): void {
    this.setMedia(id, report.kind, report.media);
    this.setContainer(id, report.facts);
    this.#store.run('UPDATE videos SET source_file = NULL, source_bytes = ? WHERE id = ?', report.sourceBytes, id);
    this.setStatus(id, 'ready');
  }

  /** Its container is gone: it has its original alone, as when it came. */
  lookAgain(id: string, sourceFile: string | null): void {
    this.setContainer(id, null);
    this.#store.run('UPDATE videos SET source_file = ? WHERE id = ?', sourceFile, id);
    this.setStatus(id, 'checking');
  }

  fail(id: string, code: ErrorCode, message: string): void {
    this.#store.run("UPDATE videos SET status = 'failed', error_code = ?, error_message = ? WHERE id = ?", code, message, id);
  }

  remove(id: string): void {
    this.#store.remove('DELETE FROM videos WHERE id = ?', id);
  }
}

/** What is told of a video that is not there, and of one that the caller may not know of. */
export function videoNotFound(id: string, param: string | null): ApiError {
  return new ApiError('video_not_found', { param, message: `There is no video "${id.slice(0, 60)}". GET /v1/videos lists them.` });
}

/** A row and what its encode reports right now, as the API gives it. */
export function presentVideo(row: VideoRow, board: ProgressBoard): Video {
  const problem = row.status === 'ready' || row.status === 'failed' ? null : board.problemOf(row.id);
  const progress = row.status === 'queued' && problem === null ? board.progressOf(row.id) : null;
  return {
    id: row.id,
    object: 'video',
    name: row.name,
    kind: row.kind,
    state: problem === null ? stateOf(row, progress) : 'failed',
    askable: row.container !== null,
    demo: row.demo,
    created: row.created_s,
    width: row.media?.width ?? null,
    height: row.media?.height ?? null,
    frames: row.media?.frames ?? row.container?.frames ?? null,
    duration_s: row.media?.duration_s ?? null,
    warnings: [...new Set([...(row.media?.warnings ?? []), ...(row.container?.warnings ?? [])])],
    source_bytes: row.sourceBytes,
    container_bytes: row.container?.bytes ?? null,
    container_version: row.container?.version ?? null,
    container_stage: row.container?.stage ?? null,
    encoded_width: row.container?.width ?? null,
    encoded_height: row.container?.height ?? null,
    encoded_frames: row.container?.frames ?? null,
    psnr_db: progress?.psnr_db ?? row.container?.psnr_db ?? null,
    progress,
    error: problem === null ? row.error : { code: problem, message: errorTable[problem][2] },
  };
}

function stateOf(row: VideoRow, progress: VideoProgress | null): Video['state'] {
  if (row.status === 'ready' || row.status === 'failed') return row.status;
  if (row.status === 'checking') return 'reading';
  if (!progress) return 'queued';
  return progress.stage === 'frames' || progress.stage === 'features' ? 'reading' : 'training';
}
