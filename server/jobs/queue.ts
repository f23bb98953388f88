import type { ChildProcess } from 'node:child_process';
import type { FastifyBaseLogger } from 'fastify';
import type { VideoProgress } from '../api/schemas.js';
import { errorTable, type ErrorCode } from '../errors.js';
import type { Job, Jobs } from '../store/jobs.js';
import type { ContainerFacts } from '../store/videos.js';
import { endChild, startChild } from './child.js';
import type { EncodeTask, FromEncoder, ToEncoder } from './messages.js';

/** What the queue tells about a video, in this order: progress and containers, then one of done and failed. */
export interface EncodeEvents {
  progressed(videoId: string): void;
  contained(videoId: string, facts: ContainerFacts): void;
  done(videoId: string, psnr_db: number | null): void;
  /** `again`: the job stays and is tried once more when there is room on the disk. */
  failed(videoId: string, code: ErrorCode, message: string, again: boolean): void;
}

export interface EncodeQueueOptions {
  readonly jobs: Jobs;
  readonly events: EncodeEvents;
  readonly log: FastifyBaseLogger;
  /** Makes the task of a video, or null when the video is gone. */
  readonly taskOf: (videoId: string) => EncodeTask | null;
  readonly hasLatents: (videoId: string) => boolean;
  /** Bytes of the disk that can be written, and how many must stay free. */
  readonly freeBytes: () => Promise<number>;
  readonly reserveBytes: number;
  readonly crashLimit: number;
  readonly stop_s: number;
}

interface Running {
  readonly child: ChildProcess;
  /** It is past frames and features. */
  training: boolean;
  progress: VideoProgress;
  /** Why it was told to stop, if it was. */
  stopped: 'cancel' | 'yield' | 'shutdown' | null;
}

const started: VideoProgress = { stage: 'frames', done: 0, total: 0, unit: 'frames', psnr_db: null, frames_per_s: null, eta_s: null };
/** Seconds between looks at a full disk. */
const diskRetry_s = 15;

/**
 * The encodes, each in a child process. At most two run at once: one that reads its video (frames and features, after
 * which it can be asked about) and one in training. So a new video never waits for the training of an older one; when
 * it has its latents and training is taken, it is stopped and goes on from its checkpoint when its turn comes.
 */
export class EncodeQueue {
  readonly #options: EncodeQueueOptions;
  readonly #running = new Map<string, Running>();
  #waiting: Job[] = [];
  /** Jobs that wait for room on the disk. */
  readonly #parked = new Map<string, Job>();
  #diskTimer: NodeJS.Timeout | null = null;
  #open = false;
  #answering = false;

  constructor(options: EncodeQueueOptions) {
    this.#options = options;
  }

  /** Takes up every job of the store: those that ran when the server ended are among them. */
  start(): void {
    this.#open = true;
    this.#waiting = this.#options.jobs.list();
    this.#schedule();
  }

  /** The video's job must be in the store. */
  add(videoId: string): void {
    if (!this.#open || this.#running.has(videoId)) return;
    const job = this.#options.jobs.list().find((entry) => entry.videoId === videoId);
    if (job) this.#enqueue(job);
  }

  progressOf(videoId: string): VideoProgress | null {
    return this.#running.get(videoId)?.progress ?? null;
  }

  counts(): { running: number; waiting: number } {
    return { running: this.#running.size, waiting: this.#waiting.length + this.#parked.size };
  }

  /** Seconds that running encodes still need, as far as they know. */
  get seconds_left(): number {
    let left = 0;
    for (const { progress } of this.#running.values()) left += progress.eta_s ?? 0;
    return left;
  }

  /** Trainings stand aside while an answer is being written. */
  set answering(answering: boolean) {
    this.#answering = answering;
    for (const { child } of this.#running.values()) tell(child, { type: 'answering', answering });
  }

  /** Stops the encode of a video and forgets it; resolves when its process has ended. */
  async cancel(videoId: string): Promise<void> {
    this.#waiting = this.#waiting.filter((job) => job.videoId !== videoId);
    this.#parked.delete(videoId);
    const running = this.#running.get(videoId);
    if (!running) return;
    running.stopped = 'cancel';
    running.child.kill('SIGKILL');
    await endChild(running.child, 0);
  }

  /** Lets running encodes write their checkpoint, as long as the limit allows; their jobs stay in the store. */
  async stop(): Promise<void> {
    this.#open = false;
    this.#waiting = [];
    this.#parked.clear();
    if (this.#diskTimer) clearInterval(this.#diskTimer);
    await Promise.all(
      [...this.#running.values()].map(async (running) => {
        running.stopped = 'shutdown';
        tell(running.child, { type: 'stop' });
        await endChild(running.child, this.#options.stop_s);
      }),
    );
  }

  #enqueue(job: Job): void {
    this.#waiting = [...this.#waiting.filter((other) => other.videoId !== job.videoId), job].sort((a, b) => a.sequence - b.sequence);
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#open) return;
    const running = [...this.#running.values()];
    if (!running.some((run) => !run.training)) this.#startFirst((job) => !this.#options.hasLatents(job.videoId));
    if (!running.some((run) => run.training)) this.#startFirst((job) => this.#options.hasLatents(job.videoId));
  }

  #startFirst(fits: (job: Job) => boolean): void {
    const job = this.#waiting.find(fits);
    if (!job) return;
    this.#waiting = this.#waiting.filter((other) => other !== job);
    const task = this.#options.taskOf(job.videoId);
    if (task) this.#run(job, task);
    else this.#schedule();
  }

  #run(job: Job, task: EncodeTask): void {
    const { videoId } = job;
    const { log, events } = this.#options;
    const child = startChild('encode-process', log);
    const run: Running = { child, training: this.#options.hasLatents(videoId), progress: started, stopped: null };
    this.#running.set(videoId, run);
    log.info({ video: videoId, pid: child.pid, training: run.training }, 'encode started');
    let last: FromEncoder | null = null;

    child.on('message', (message: FromEncoder) => {
      // What a cancelled encode still says is about a video that is gone.
      if (run.stopped === 'cancel') return;
      switch (message.type) {
        case 'progress':
          run.progress = message.progress;
          events.progressed(videoId);
          if (message.progress.stage === 'training') this.#beginsTraining(run);
          break;
        case 'container':
          events.contained(videoId, message.facts);
          break;
        default:
          last = message;
      }
    });
    child.on('error', (error) => log.error({ err: error, video: videoId }, 'encoder process could not be used'));
    child.on('exit', (code, signal) => {
      this.#running.delete(videoId);
      if (run.stopped !== 'cancel') this.#ended(job, run, last, code, signal);
      this.#schedule();
    });
    tell(child, { type: 'start', task });
    if (this.#answering) tell(child, { type: 'answering', answering: true });
    events.progressed(videoId);
  }

  /** The place for reading is free again; where that for training is taken, the encode goes on later. */
  #beginsTraining(run: Running): void {
    if (run.training) return;
    const taken = [...this.#running.values()].some((other) => other.training);
    run.training = true;
    if (taken) {
      run.stopped = 'yield';
      tell(run.child, { type: 'stop' });
    }
    this.#schedule();
  }

  #ended(job: Job, run: Running, last: FromEncoder | null, code: number | null, signal: NodeJS.Signals | null): void {
    const { videoId } = job;
    const { log, events, jobs } = this.#options;
    if (last?.type === 'done') {
      log.info({ video: videoId, psnr_db: last.psnr_db }, 'encode done');
      jobs.remove(videoId);
      events.done(videoId, last.psnr_db);
    } else if (last?.type === 'failed') {
      // What is wrong with a file is its owner's business; what is wrong with the encoder is the operator's.
      const level = errorTable[last.code][0] < 500 ? 'info' : 'error';
      log[level]({ video: videoId, code: last.code, detail: last.detail }, 'encode failed');
      const again = last.code === 'disk_full';
      if (again) this.#park(job);
      else jobs.remove(videoId);
      events.failed(videoId, last.code, last.message || errorTable[last.code][2], again);
    } else if (run.stopped === 'shutdown') {
      return;
    } else if (last?.type === 'stopped' || run.stopped === 'yield') {
      this.#enqueue(job);
      events.progressed(videoId);
    } else {
      this.#crashed(job, code ?? signal);
    }
  }

  #crashed(job: Job, how: number | NodeJS.Signals | null): void {
    const { jobs, events, crashLimit, log } = this.#options;
    const crashes = jobs.crashed(job.videoId);
    log.warn({ video: job.videoId, how, crashes }, 'encoder process ended without a result');
    if (crashes >= crashLimit) {
      jobs.remove(job.videoId);
      events.failed(job.videoId, 'encode_crashed', errorTable.encode_crashed[2], false);
    } else {
      this.#enqueue({ ...job, crashes });
      events.progressed(job.videoId);
    }
  }

  #park(job: Job): void {
    this.#parked.set(job.videoId, job);
    this.#diskTimer ??= setInterval(() => void this.#unpark(), diskRetry_s * 1000).unref();
  }

  async #unpark(): Promise<void> {
    if (this.#parked.size === 0 || (await this.#options.freeBytes()) < this.#options.reserveBytes) return;
    const jobs = [...this.#parked.values()];
    this.#parked.clear();
    for (const job of jobs) {
      this.#options.events.progressed(job.videoId);
      this.#enqueue(job);
    }
  }
}

function tell(child: ChildProcess, message: ToEncoder): void {
  // An encoder that ended in the meantime is seen by its exit.
  if (child.connected) child.send(message, () => undefined);
}
