import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { FastifyBaseLogger } from 'fastify';
import { moveDurably, writeAtomically } from '../../model/runtime/durable.node.js';
import type { Caller } from '../access/caller.js';
import type { Video, VideoProgress } from '../api/schemas.js';
import type { Limits } from '../config.js';
import type { ErrorCode } from '../errors.js';
import { reportOnContainer } from '../jobs/container-report.js';
import { describeFailure } from '../jobs/failure.js';
import type { EncodeTask } from '../jobs/messages.js';
import { EncodeQueue, type EncodeEvents } from '../jobs/queue.js';
import type { Store } from '../store/database.js';
import type { Disk } from '../store/disk.js';
import { fileBytes, PRIVATE_MODE, type DataFolder } from '../store/files.js';
import { Jobs } from '../store/jobs.js';
import { Settlements } from '../store/settlements.js';
import { presentVideo, Videos, type ContainerFacts } from '../store/videos.js';
import { fileType } from '../uploads/type.js';
import { VideoFeed, type Told } from './feed.js';
import { Intake } from './intake.js';
import { VisibleVideos, type LibraryParts } from './visible.js';

export interface LibraryOptions {
  readonly store: Store;
  readonly folder: DataFolder;
  readonly disk: Disk;
  readonly packDir: string;
  readonly limits: Limits;
  readonly log: FastifyBaseLogger;
  readonly encode: Pick<EncodeTask, 'preset' | 'seconds' | 'device' | 'threads'>;
  /** True where every caller sees and may remove every video, whoever uploaded it. */
  readonly shared: boolean;
}

/**
 * The videos: from a finished upload through looking at it and encoding it to deletion. Every step first changes the
 * disk and then the store, and `recover` finishes steps that a kill cut in the middle.
 */
export class Library implements EncodeEvents {
  readonly feed: VideoFeed;
  readonly queue: EncodeQueue;
  /** What follows from what has happened, while the disk cannot be written. */
  readonly settlements: Settlements;
  readonly #videos: Videos;
  readonly #jobs: Jobs;
  readonly #intake: Intake;
  readonly #options: LibraryOptions;
  readonly #parts: LibraryParts;
  readonly #work = new Set<Promise<void>>();

  constructor(options: LibraryOptions) {
    const { store, limits, log, disk } = options;
    this.#options = options;
    this.#videos = new Videos(store);
    this.#jobs = new Jobs(store);
    this.settlements = new Settlements(disk, log);
    this.feed = new VideoFeed({ perSecond: limits.progressPerSecond, present: (id) => this.#told(id), log });
    this.queue = new EncodeQueue({
      jobs: this.#jobs,
      events: this,
      settlements: this.settlements,
      log,
      taskOf: (id) => this.#taskOf(id),
      hasLatents: (id) => this.#videos.find(id)?.container !== null,
      limits,
    });
    this.#intake = new Intake({
      ...options,
      videos: this.#videos,
      jobs: this.#jobs,
      settlements: this.settlements,
      changed: (id) => this.feed.changed(id, true),
      failed: (id, code, message) => this.failed(id, code, message),
      queued: (id) => this.queue.add(id),
    });
    this.#parts = { videos: this.#videos, board: this, feed: this.feed, shared: options.shared, remove: (id) => this.#remove(id) };
  }

  /** The videos as a caller sees them: the one way from an id that somebody named to a video. */
  seenBy(caller: Caller): VisibleVideos {
    return new VisibleVideos(this.#parts, caller);
  }

  /** Whosever it is: for ids that this server made or checked itself. */
  find(id: string): Video | null {
    return this.#told(id)?.video ?? null;
  }

  #told(id: string): Told | null {
    const row = this.#videos.find(id);
    return row && { video: presentVideo(row, this), owner: row.owner };
  }

  /**
   * Makes a video of a finished upload, which keeps its id and its owner. Safe to repeat: what a kill interrupted is gone through
   * again. Resolves as soon as the video is listed, what is in the file is found out afterwards; false: there is no file.
   */
  async admit(id: string, name: string, owner: string | null): Promise<boolean> {
    if (this.#videos.find(id)) return true;
    const { folder, store } = this.#options;
    const upload = folder.upload(id);
    if ((await fileBytes(upload)) !== null) {
      const type = await fileType(upload);
      await moveDurably(upload, folder.source(id, `source.${type.extension}`), { mode: PRIVATE_MODE });
    }
    const sourceFile = await folder.findSource(id);
    if (sourceFile === null) return false;
    const source = folder.source(id, sourceFile);
    const { kind } = await fileType(source);
    const sourceBytes = await fileBytes(source);
    store.transaction(() => {
      if (this.#videos.find(id)) return;
      this.#videos.add({ id, owner, name, kind, status: 'checking', sourceFile, sourceBytes });
    });
    this.feed.changed(id, true);
    this.#intake.begin(id, source);
    return true;
  }

  /** Adds a container that came with the server. What is wrong with the file is logged, and the file left out. */
  async addDemo(bytes: Uint8Array, fileName: string): Promise<void> {
    const { folder, store, log, packDir } = this.#options;
    // The same name gives the same id, so that an import that was cut off does not add a video twice.
    const id = `vid_${createHash('sha256').update(fileName).digest('hex').slice(0, 24)}`;
    if (this.#videos.find(id)) return;
    await writeAtomically(folder.container(id), bytes, { makeFolder: true, mode: PRIVATE_MODE });
    const version = (await folder.containerVersion(id)) ?? '';
    const report = await reportOnContainer(bytes, version, packDir).catch((error: unknown) => describeFailure(error, fileName, 'invalid_container'));
    if (report.type !== 'container') {
      log.warn({ file: fileName, report }, 'demo container left out');
      await rm(folder.video(id), { recursive: true, force: true });
      return;
    }
    const { kind, sourceName } = report;
    store.transaction(() => {
      this.#videos.add({ id, owner: null, name: sourceName || fileName, kind, status: 'checking', demo: true, sourceFile: null, sourceBytes: null });
      this.#videos.setUploadedContainer(id, report);
    });
  }

  /** Cancels whatever runs for the video and removes everything that belongs to it. */
  async #remove(id: string): Promise<void> {
    const row = this.#videos.get(id);
    this.#intake.abort(id);
    // The row goes first: from here on nothing can be asked of the video, and a kill leaves only files to sweep up.
    this.#videos.remove(id);
    await this.queue.cancel(id);
    // Again where search has just put its file there.
    await rm(this.#options.folder.video(id), { recursive: true, force: true, maxRetries: 3 });
    this.feed.deleted(id, row);
  }

  /** Goes on where the last run of the server ended, then starts the queue. */
  async recover(): Promise<void> {
    const { folder } = this.#options;
    for (const id of await folder.videoFolders()) {
      if (!this.#videos.find(id)) await rm(folder.video(id), { recursive: true, force: true });
    }
    for (const { id } of this.#videos.list()) await this.#intake.recover(id);
    this.queue.start();
  }

  async close(): Promise<void> {
    this.settlements.stop();
    await Promise.all([this.#intake.close(), this.queue.stop()]);
    await Promise.all(this.#work);
    this.feed.close();
  }

  // What the queue reports:

  progressed(id: string): void {
    this.feed.changed(id, false);
  }

  contained(id: string, facts: ContainerFacts): void {
    this.#videos.setContainer(id, facts);
    this.feed.changed(id, true);
  }

  done(id: string, psnr_db: number | null): void {
    const { store, folder } = this.#options;
    store.transaction(() => {
      const facts = this.#videos.find(id)?.container;
      if (facts) this.#videos.setContainer(id, { ...facts, stage: 'final', psnr_db });
      this.#videos.setStatus(id, 'ready');
      this.#jobs.remove(id);
    });
    this.feed.changed(id, true);
    this.#track(rm(folder.checkpoint(id), { recursive: true, force: true }));
  }

  failed(id: string, code: ErrorCode, message: string): void {
    this.#options.store.transaction(() => {
      this.#videos.fail(id, code, message);
      this.#jobs.remove(id);
    });
    this.feed.changed(id, true);
  }

  // What only a running server knows of a video:

  progressOf(id: string): VideoProgress | null {
    return this.queue.progressOf(id);
  }

  problemOf(id: string): ErrorCode | null {
    return this.settlements.problemOf(id);
  }

  #taskOf(id: string): EncodeTask | null {
    const row = this.#videos.find(id);
    const { folder, packDir, encode } = this.#options;
    if (!row?.sourceFile) return null;
    return {
      source: folder.source(id, row.sourceFile),
      sourceName: row.name,
      sourceBytes: row.sourceBytes ?? 0,
      container: folder.container(id),
      checkpoint: folder.checkpoint(id),
      packDir,
      ...encode,
    };
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.catch(() => undefined).finally(() => this.#work.delete(work));
  }
}
