import type { ChildProcess } from 'node:child_process';
import type { FastifyBaseLogger } from 'fastify';
import type { VideoProgress } from '../api/schemas.js';
import { boundary } from '../boundary.js';
import type { Limits } from '../config.js';
import { errorTable, type ErrorCode } from '../errors.js';
import type { Job, Jobs } from '../store/jobs.js';
import type { Settlements } from '../store/settlements.js';
import type { ContainerFacts } from '../store/videos.js';
import { endChild, startChild, type ChildEnd } from './child.js';
import type { EncodeTask, FromEncoder, ToEncoder } from './messages.js';

/**
 * What the queue tells about a video, in this order: progress and containers, then one of done and failed, with which its job leaves the
 * store. Each may throw what the store throws: it is told again when the disk can be written.
 */
export interface EncodeEvents {
  progressed(videoId: string): void;
  contained(videoId: string, facts: ContainerFacts): void;
  done(videoId: string, psnr_db: number | null): void;
  failed(videoId: string, code: ErrorCode, message: string): void;
}

export interface EncodeQueueOptions {
  readonly jobs: Jobs;
  readonly events: EncodeEvents;
  readonly settlements: Settlements;
  readonly log: FastifyBaseLogger;
  /** Makes the task of a video, or null when the video is gone. */
  readonly taskOf: (videoId: string) => EncodeTask | null;
  readonly hasLatents: (videoId: string) => boolean;
  readonly limits: Pick<Limits, 'encodeCrashes' | 'stop_s' | 'childSilence_s' | 'readingTurn_s' | 'reading_s'>;
}

/** See EncodeQueue. */
type Place = 'reading' | 'slow' | 'training';

interface Running {
  readonly child: ChildProcess;
  place: Place;
  /** It has been read for as long as it may keep others from being read. */
  turnOver: boolean;
  readonly turnTimer: NodeJS.Timeout;
  /** Ends when its frames and features are there. */
  readonly readingTimer: NodeJS.Timeout;
  progress: VideoProgress;
  /** Why it was told to stop, if it was. */
  stopped: 'cancel' | 'yield' | 'late' | 'shutdown' | null;
}

const started: VideoProgress = { stage: 'frames', done: 0, total: 0, unit: 'frames', psnr_db: null, frames_per_s: null, eta_s: null };

/**
 * The encodes, each in a child process. At most three run at once: one that reads its video (frames and features, after which it can be
 * asked about), one in training, and one that reads slowly. So a new video never waits for the training of an older one; when it has its
 * latents and training is taken, it is stopped and goes on from its checkpoint when its turn comes. Nor does it wait long for one that is
 * slow to read: after its turn that one makes place where another waits. Slow ones are read beside the others, one at a time.
 */
export class EncodeQueue {
  readonly #options: EncodeQueueOptions;
  readonly #running = new Map<string, Running>();
  #waiting: Job[] = [];
  /** Videos that had their turn of being read, and were slow. */
  readonly #slow = new Set<string>();
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
    return { running: this.#running.size, waiting: this.#waiting.length + this.#options.settlements.size };
  }

  /** Seconds that running encodes still need, as far as they know. */
  get seconds_left(): number {
    return [...this.#running.values()].reduce((left, { progress }) => left + (progress.eta_s ?? 0), 0);
  }

  /** Trainings stand aside while an answer is being written. */
  set answering(answering: boolean) {
    this.#answering = answering;
    for (const { child } of this.#running.values()) tell(child, { type: 'answering', answering });
  }

  /** Stops the encode of a video and forgets it; resolves when its process has ended. */
  async cancel(videoId: string): Promise<void> {
    this.#waiting = this.#waiting.filter((job) => job.videoId !== videoId);
    this.#slow.delete(videoId);
    this.#options.settlements.forget(videoId);
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
    await Promise.all(
      [...this.#running.values()].map(async (running) => {
        running.stopped = 'shutdown';
        tell(running.child, { type: 'stop' });
        await endChild(running.child, this.#options.limits.stop_s);
      }),
    );
  }

  #enqueue(job: Job): void {
    this.#waiting = [...this.#waiting.filter((other) => other.videoId !== job.videoId), job].sort((a, b) => a.sequence - b.sequence);
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#open) return;
    const { hasLatents } = this.#options;
    const fits: Readonly<Record<Place, (job: Job) => boolean>> = {
      reading: ({ videoId }) => !this.#slow.has(videoId) && !hasLatents(videoId),
      slow: ({ videoId }) => this.#slow.has(videoId),
      training: ({ videoId }) => !this.#slow.has(videoId) && hasLatents(videoId),
    };
    if (this.#waiting.some(fits.reading)) this.#endTurn();
    for (const place of ['reading', 'slow', 'training'] as const) {
      if (!this.#at(place)) this.#startFirst(place, fits[place]);
    }
  }

  #at(place: Place): Running | undefined {
    return [...this.#running.values()].find((run) => run.place === place);
  }

  /** Whoever has been read for longer than its turn makes place: it goes on beside the next, or later where another does that already. */
  #endTurn(): void {
    const { log } = this.#options;
    for (const [videoId, run] of this.#running) {
      if (run.place !== 'reading' || run.stopped !== null || !run.turnOver) continue;
      log.info({ video: videoId }, 'a video that is slow to read lets the next one go first');
      this.#slow.add(videoId);
      if (this.#at('slow')) {
        // What it has read is lost: there is no checkpoint before its features are complete.
        run.stopped = 'yield';
        run.child.kill('SIGKILL');
      } else {
        run.place = 'slow';
        tell(run.child, { type: 'aside' });
      }
    }
  }

  #startFirst(place: Place, fits: (job: Job) => boolean): void {
    for (;;) {
      const job = this.#waiting.find(fits);
      if (!job) return;
      this.#waiting = this.#waiting.filter((other) => other !== job);
      const task = this.#options.taskOf(job.videoId);
      if (task) return this.#run(job, task, place);
    }
  }

  #run(job: Job, task: EncodeTask, place: Place): void {
    const { videoId } = job;
    const { log, events, limits } = this.#options;
    let last: FromEncoder | null = null;
    const child = startChild<FromEncoder>({
      program: 'encode-process',
      log,
      silence_s: limits.childSilence_s,
      onMessage: (message) => {
        // What a cancelled encode still says is about a video that is gone.
        if (run.stopped === 'cancel') return;
        if (message.type === 'progress' || message.type === 'container') this.#heard(videoId, run, message);
        else last = message;
      },
      onEnd: (how) => {
        for (const timer of [run.turnTimer, run.readingTimer]) clearTimeout(timer);
        this.#running.delete(videoId);
        try {
          if (run.stopped !== 'cancel') this.#ended(job, run, last, how);
        } finally {
          this.#schedule();
        }
      },
    });
    const later = (seconds: number, what: string, work: () => void): NodeJS.Timeout => setTimeout(boundary(log, what, work), seconds * 1000).unref();
    const run: Running = {
      child,
      place,
      turnOver: false,
      turnTimer: later(limits.readingTurn_s, 'the end of a turn', () => {
        run.turnOver = true;
        this.#schedule();
      }),
      readingTimer: later(limits.reading_s, 'the end of the time for reading', () => {
        run.stopped ??= 'late';
        run.child.kill('SIGKILL');
      }),
      progress: started,
      stopped: null,
    };
    this.#running.set(videoId, run);
    log.info({ video: videoId, pid: child.pid, place }, 'encode started');
    tell(child, { type: 'start', task });
    if (place === 'slow') tell(child, { type: 'aside' });
    if (this.#answering) tell(child, { type: 'answering', answering: true });
    events.progressed(videoId);
  }

  #heard(videoId: string, run: Running, message: Extract<FromEncoder, { type: 'progress' | 'container' }>): void {
    const { events, settlements } = this.#options;
    if (message.type === 'container') {
      settlements.settle(videoId, () => events.contained(videoId, message.facts));
      return;
    }
    run.progress = message.progress;
    if (message.progress.stage === 'training') this.#beginsTraining(videoId, run);
    events.progressed(videoId);
  }

  /** The place for reading is free again; where that for training is taken, the encode goes on later. */
  #beginsTraining(videoId: string, run: Running): void {
    clearTimeout(run.readingTimer);
    if (run.place === 'training') return;
    this.#slow.delete(videoId);
    if (this.#at('training')) {
      run.stopped ??= 'yield';
      tell(run.child, { type: 'stop' });
    }
    run.place = 'training';
    this.#schedule();
  }

  #ended(job: Job, run: Running, last: FromEncoder | null, how: ChildEnd): void {
    const { videoId } = job;
    const { log, events, settlements } = this.#options;
    if (last?.type === 'done') {
      const { psnr_db } = last;
      log.info({ video: videoId, psnr_db }, 'encode done');
      settlements.settle(videoId, () => events.done(videoId, psnr_db));
    } else if (last?.type === 'failed' && (last.code === 'disk_full' || last.code === 'disk_read_only')) {
      log.error({ video: videoId, detail: last.detail }, 'the disk has no room for an encode, which waits');
      settlements.whenRoom(videoId, last.code, () => this.#enqueue(job));
      events.progressed(videoId);
    } else if (last?.type === 'failed') {
      const { code, message, detail } = last;
      // What is wrong with a file is its owner's business; what is wrong with the encoder is the operator's.
      log[errorTable[code][0] < 500 ? 'info' : 'error']({ video: videoId, code, detail }, 'encode failed');
      this.#failed(videoId, code, message);
    } else if (run.stopped === 'late') {
      log.info({ video: videoId }, 'reading took too long');
      this.#failed(videoId, 'encode_timeout', '');
    } else if (run.stopped === 'shutdown') {
      return;
    } else if (last?.type === 'stopped' || run.stopped === 'yield') {
      this.#enqueue(job);
      events.progressed(videoId);
    } else {
      settlements.settle(videoId, () => this.#crashed(job, how));
    }
  }

  #failed(videoId: string, code: ErrorCode, message: string): void {
    this.#slow.delete(videoId);
    this.#options.settlements.settle(videoId, () => this.#options.events.failed(videoId, code, message || errorTable[code][2]));
  }

  #crashed(job: Job, how: ChildEnd): void {
    const { jobs, events, limits, log } = this.#options;
    const crashes = jobs.crashed(job.videoId);
    log.warn({ video: job.videoId, how, crashes }, 'encoder process ended without a result');
    if (crashes >= limits.encodeCrashes) {
      this.#failed(job.videoId, 'encode_crashed', '');
    } else {
      this.#enqueue({ ...job, crashes });
      events.progressed(job.videoId);
    }
  }
}

function tell(child: ChildProcess, message: ToEncoder): void {
  // An encoder that ended in the meantime is seen by its exit.
  if (child.connected) child.send(message, () => undefined);
}
