import { ApiError } from '../errors.js';
import { Tally } from './tally.js';

export interface BodyLimits {
  /** Bytes of bodies that are held at once. */
  readonly bodiesBytes: number;
  /** Of these, those of one client. */
  readonly bodiesBytesPerClient: number;
}

/** Seconds after which a body that found no room is worth sending again: a large one takes about as long to be read and written to the disk. */
const again_s = 2;

/** The room for request bodies, which are held in memory whole: each is counted before it is read, in all and for its client. */
export class BodyRoom {
  readonly #limits: BodyLimits;
  readonly #clients = new Tally();
  #all = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** A place for one body of the client, with no bytes yet. */
  place(client: string): BodyPlace {
    let held = 0;
    return {
      grow: (bytes) => {
        const more = bytes - held;
        if (more <= 0) return;
        const fits = this.#clients.of(client) + more <= this.#limits.bodiesBytesPerClient && this.#all + more <= this.#limits.bodiesBytes;
        if (!fits) throw new ApiError('too_many_bodies', { retryAfter_s: again_s });
        this.#add(client, more);
        held = bytes;
      },
      free: () => {
        this.#add(client, -held);
        held = 0;
      },
    };
  }

  #add(client: string, bytes: number): void {
    this.#all += bytes;
    this.#clients.add(client, bytes);
  }
}

export interface BodyPlace {
  /** Takes room for `bytes` in all. @throws ApiError `too_many_bodies` */
  grow(bytes: number): void;
  /** Gives the room back. */
  free(): void;
}
