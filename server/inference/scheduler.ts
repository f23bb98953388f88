import { Turns } from './turns.js';

/** A reply as the scheduler sees it. */
export interface Scheduled {
  readonly id: number;
  /** Clients take turns, and none has all places. */
  readonly client: string;
  /** It is written only while nobody else asks anything, and pauses as soon as somebody does. */
  readonly background: boolean;
}

/** What the writer of a reply is told, and tells. */
export interface Place {
  /** Aborted when the reply is cancelled, or given up. */
  readonly signal: AbortSignal;
  /** The reply is to be begun again later: whatever its writer has is thrown away. */
  readonly givenUp: boolean;
  /** The prompt has been read: from here on a reply is not given up any more. */
  hasRead(): void;
  /** To be waited for between two tokens. */
  pause(): Promise<void>;
}

export interface SchedulerOptions<Reply extends Scheduled> {
  /** Replies that are written side by side. */
  readonly places: number;
  /** Writes a reply from its prompt to its end, a failed one too: it never rejects. */
  readonly write: (reply: Reply, place: Place) => Promise<void>;
  /** A reply is begun for the first time. */
  readonly onStarted: (reply: Reply) => void;
  /** Places in line that have changed; 1 is the next to begin. */
  readonly onPlaces: (places: readonly (readonly [id: number, place: number])[]) => void;
  /** Something has begun, ended or come: `idle` may have changed. */
  readonly onChange?: () => void;
}

interface Entry<Reply> {
  readonly reply: Reply;
  readonly cancelled: AbortController;
  begun: boolean;
  /** In line, as last told; 0 before. */
  place: number;
}

/**
 * Decides which replies are written when. A few are written side by side, so that nobody's long answer keeps another from beginning; the others
 * wait, clients in turn. Replies of the background are written while there are no others: they pause between two tokens, and one whose prompt is
 * still being read is given up and begun again later.
 */
export class ReplyScheduler<Reply extends Scheduled> {
  readonly #options: SchedulerOptions<Reply>;
  readonly #waiting = new Turns<Entry<Reply>>();
  readonly #behind = new Turns<Entry<Reply>>();
  readonly #entries = new Map<number, Entry<Reply>>();
  /** Replies of each client that are being written, those of the background not counted. */
  readonly #taken = new Map<string, number>();
  #active = 0;
  #activeBehind = 0;
  /** Of the background, one prompt is read at a time, so that nobody who comes waits for several. Aborting gives it up. */
  #reading: AbortController | null = null;
  /** Goes on with what pauses. */
  readonly #paused = new Set<() => void>();
  #open = false;

  constructor(options: SchedulerOptions<Reply>) {
    this.#options = options;
  }

  /** Nothing is being written, and nothing waits. */
  get idle(): boolean {
    return this.#active === 0 && this.#activeBehind === 0 && this.#waiting.length === 0 && this.#behind.length === 0;
  }

  /** Until this, everything waits and hears its place in line. */
  start(): void {
    this.#open = true;
    this.#fill();
  }

  add(reply: Reply): void {
    const entry: Entry<Reply> = { reply, cancelled: new AbortController(), begun: false, place: 0 };
    this.#entries.set(reply.id, entry);
    this.#lineOf(reply).add(reply.client, entry);
    this.#fill();
  }

  /** @returns true where the reply was in line, which it has left; one that is being written ends by its signal */
  cancel(id: number): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    entry.cancelled.abort();
    this.#goOn();
    const removed = this.#lineOf(entry.reply).remove((other) => other === entry) !== null;
    if (removed) this.#entries.delete(id);
    this.#fill();
    return removed;
  }

  #lineOf({ background }: Reply): Turns<Entry<Reply>> {
    return background ? this.#behind : this.#waiting;
  }

  /**
   * A client may have as many more places as stay free for others. So a single one gets half of them, the next one half of what is left, and
   * whoever comes last still finds one (dynamic thresholds, as switches share their buffers: Choudhury and Hahne, 1998).
   */
  readonly #may = (client: string): boolean => {
    const taken = this.#taken.get(client) ?? 0;
    return taken === 0 || taken < this.#options.places - this.#active;
  };

  #fill(): void {
    if (this.#open) {
      while (this.#active < this.#options.places) {
        const entry = this.#waiting.next(this.#may);
        if (entry === null) break;
        this.#reading?.abort();
        this.#begin(entry);
      }
      if (this.#active === 0) {
        this.#goOn();
        if (this.#reading === null && this.#activeBehind < this.#options.places) this.#beginBehind();
      }
    }
    this.#tellPlaces();
    this.#options.onChange?.();
  }

  #begin(entry: Entry<Reply>): void {
    const { client } = entry.reply;
    this.#active += 1;
    this.#taken.set(client, (this.#taken.get(client) ?? 0) + 1);
    const place: Place = { signal: entry.cancelled.signal, givenUp: false, hasRead: () => undefined, pause: () => Promise.resolve() };
    void this.#write(entry, place).then(() => {
      this.#active -= 1;
      const left = (this.#taken.get(client) ?? 1) - 1;
      if (left > 0) this.#taken.set(client, left);
      else this.#taken.delete(client);
      this.#entries.delete(entry.reply.id);
      this.#fill();
    });
  }

  /** Begins a reply of the background; the next one when its prompt has been read. */
  #beginBehind(): void {
    const entry = this.#behind.next();
    if (entry === null) return;
    this.#activeBehind += 1;
    const giveUp = new AbortController();
    this.#reading = giveUp;
    const cancelled = entry.cancelled.signal;
    const givenUp = (): boolean => giveUp.signal.aborted && !cancelled.aborted;
    const hasRead = (): void => {
      if (this.#reading !== giveUp) return;
      this.#reading = null;
      this.#fill();
    };
    const place: Place = {
      signal: AbortSignal.any([cancelled, giveUp.signal]),
      get givenUp() {
        return givenUp();
      },
      hasRead,
      pause: () => this.#untilQuiet(cancelled),
    };
    void this.#write(entry, place).then(() => {
      this.#activeBehind -= 1;
      if (givenUp()) this.#behind.putBack(entry.reply.client, entry);
      else this.#entries.delete(entry.reply.id);
      if (this.#reading === giveUp) this.#reading = null;
      this.#fill();
    });
  }

  #write(entry: Entry<Reply>, place: Place): Promise<void> {
    if (!entry.begun) this.#options.onStarted(entry.reply);
    entry.begun = true;
    return this.#options.write(entry.reply, place);
  }

  /** Resolves when nobody waits for an answer, or the reply was cancelled. */
  async #untilQuiet(cancelled: AbortSignal): Promise<void> {
    while ((this.#active > 0 || this.#waiting.length > 0) && !cancelled.aborted) await new Promise<void>((resolve) => this.#paused.add(resolve));
  }

  #goOn(): void {
    for (const resolve of this.#paused) resolve();
    this.#paused.clear();
  }

  /** Tells every waiting reply its place in line, where that has changed. */
  #tellPlaces(): void {
    const places: [number, number][] = [];
    for (const [index, entry] of this.#waiting.order().entries()) {
      if (entry.place === index + 1) continue;
      entry.place = index + 1;
      places.push([entry.reply.id, entry.place]);
    }
    if (places.length > 0) this.#options.onPlaces(places);
  }
}
