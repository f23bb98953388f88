import type { FastifyBaseLogger } from 'fastify';
import { makeFolderDurably, moveDurably } from '../../model/runtime/durable.node.js';
import type { Limits } from '../config.js';
import { ApiError, errorTable, storageProblem, toApiError, type ErrorCode } from '../errors.js';
import type { ProbeReport, ProbeTask } from '../jobs/messages.js';
import { Prober } from '../jobs/probe.js';
import type { Store } from '../store/database.js';
import { fileBytes, PRIVATE_MODE, type DataFolder } from '../store/files.js';
import type { Jobs } from '../store/jobs.js';
import type { Settlements } from '../store/settlements.js';
import type { VideoRow, Videos } from '../store/videos.js';

export interface IntakeParts {
  readonly store: Store;
  readonly folder: DataFolder;
  readonly videos: Videos;
  readonly jobs: Jobs;
  readonly settlements: Settlements;
  readonly packDir: string;
  readonly limits: Limits;
  readonly log: FastifyBaseLogger;
  /** The video's state is new. */
  readonly changed: (id: string) => void;
  /** Nothing will come of the video. */
  readonly failed: (id: string, code: ErrorCode, message: string) => void;
  /** Its job is in the store. */
  readonly queued: (id: string) => void;
}

/** What is in the files of videos: found out when they come, and held to what the store says of them after a start. */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #prober: Prober;
  /** Probes that run, by video; aborted when the video is deleted or the server stops. */
  readonly #probes = new Map<string, AbortController>();
  readonly #work = new Set<Promise<void>>();
  readonly #stopped = new AbortController();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#prober = new Prober({ limit_s: parts.limits.probe_s, silence_s: parts.limits.childSilence_s, log: parts.log });
  }

  /** The video is being deleted. */
  abort(id: string): void {
    this.#probes.get(id)?.abort();
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    for (const probe of this.#probes.values()) probe.abort();
    await Promise.all(this.#work);
  }

  /** Looks at a file in a child process; what is found goes to the store. */
  begin(id: string, source: string): void {
    const abort = new AbortController();
    this.#probes.set(id, abort);
    const work = this.#prober
      .probe(this.#probeTask(source, this.#parts.videos.find(id)?.name ?? 'The file'), abort.signal)
      .then((report) => this.#probed(id, source, report))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        const { code, message } = toApiError(error);
        this.#parts.log.error({ err: error, video: id }, 'the file could not be looked at');
        if (storageProblem(error) === null) this.#parts.settlements.settle(id, () => this.#parts.failed(id, code, message));
        else this.#recoverLater(id, code);
      })
      .finally(() => this.#probes.delete(id));
    this.#track(work);
  }

  async #probed(id: string, source: string, report: ProbeReport): Promise<void> {
    const { store, folder, log } = this.#parts;
    if (!this.#parts.videos.find(id)) return;
    switch (report.type) {
      case 'failed':
        log.info({ video: id, code: report.code, detail: report.detail }, 'file refused');
        if (errorTable[report.code][1] === 'storage_error') throw new ApiError(report.code, { message: report.detail });
        this.#parts.failed(id, report.code, report.message || errorTable[report.code][2]);
        return;
      case 'media':
        store.transaction(() => {
          this.#parts.videos.setMedia(id, report.kind, report.media);
          this.#parts.videos.setStatus(id, 'queued');
          this.#parts.jobs.add(id);
        });
        this.#parts.changed(id);
        this.#parts.queued(id);
        return;
      case 'container':
        await moveDurably(source, folder.container(id), { mode: PRIVATE_MODE });
        store.transaction(() => this.#parts.videos.setUploadedContainer(id, report));
        this.#parts.changed(id);
    }
  }

  /** Brings a video in line with what lies on the disk: now, or when that can be written again. */
  async recover(id: string): Promise<void> {
    try {
      const row = this.#parts.videos.find(id);
      if (row) await this.#compare(row);
    } catch (error) {
      const problem = storageProblem(error);
      if (problem === null) throw error;
      this.#parts.log.error({ err: error, video: id }, 'a video could not be brought in line with the disk yet');
      this.#recoverLater(id, problem);
    }
  }

  #recoverLater(id: string, problem: ErrorCode): void {
    this.#parts.settlements.whenRoom(id, problem, () => this.#track(this.recover(id).then(() => this.#parts.queued(id))));
    this.#parts.changed(id);
  }

  async #compare(row: VideoRow): Promise<void> {
    const { folder, store } = this.#parts;
    const { id } = row;
    await makeFolderDurably(folder.video(id), PRIVATE_MODE);
    await folder.removeParts(id);
    const version = await folder.containerVersion(id);
    const lost = version === null && (row.container !== null || row.status === 'ready');
    // A video that is ready and has lost its container is looked at as if it had just come: its original may still be there.
    if (row.status === 'checking' || (row.status === 'ready' && lost)) {
      if (this.#probes.has(id)) return;
      const sourceFile = row.sourceFile ?? (await folder.findSource(id));
      // An uploaded container may have been moved to its place already: it is looked at where it lies.
      const source = version !== null ? folder.container(id) : sourceFile === null ? null : folder.source(id, sourceFile);
      if (source !== null && (await fileBytes(source)) !== null) {
        if (lost) store.transaction(() => this.#parts.videos.lookAgain(id, sourceFile));
        this.begin(id, source);
      } else {
        if (lost) this.#parts.videos.setContainer(id, null);
        this.#parts.failed(id, 'internal_error', 'The file of this video is gone. Upload it again.');
      }
      return;
    }
    if (lost) this.#parts.videos.setContainer(id, null);
    if (version !== null && version !== row.container?.version) await this.#recoverContainer(row);
    if (row.status === 'failed' && this.#parts.jobs.has(id)) this.#parts.videos.setStatus(id, 'queued');
  }

  /** The encoder replaced the container and the server ended before it heard of it. */
  async #recoverContainer(row: VideoRow): Promise<void> {
    const report = await this.#prober.probe(this.#probeTask(this.#parts.folder.container(row.id), row.name), this.#stopped.signal);
    if (report.type === 'container') {
      const stage = report.facts.stage === 'latents' ? 'latents' : 'checkpoint';
      this.#parts.videos.setContainer(row.id, { ...report.facts, stage, psnr_db: row.container?.psnr_db ?? null });
    } else {
      this.#parts.videos.setContainer(row.id, null);
    }
  }

  #probeTask(file: string, name: string): ProbeTask {
    return { file, name, packDir: this.#parts.packDir, containerBytes: this.#parts.limits.containerBytes };
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.catch(() => undefined).finally(() => this.#work.delete(work));
  }
}
