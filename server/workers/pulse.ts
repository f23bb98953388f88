/**
 * Whether a worker thread lives, told through shared memory: its event loop adds a beat now and then, and says when it is inside native
 * code. A thread whose beats stay out hangs, unless it is there: ending a thread in the middle of native code takes the process down.
 */
import { workerData } from 'node:worker_threads';

const BEATS = 0;
const NATIVE = 1;
/** Milliseconds between two beats. */
const BEAT_MS = 100;

/** What a worker is started with. */
export interface HostedData<Data> {
  readonly data: Data;
  /** (2): beats so far; 1 while native code runs, else 0. */
  readonly pulse: Int32Array<SharedArrayBuffer>;
}

export function newPulse(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

export interface Hosted<Data> {
  readonly data: Data;
  /** To be told when native code that holds the thread begins and ends. */
  readonly onNative: (inside: boolean) => void;
}

/** What the host gave this worker; from here on it is watched. To be called once, in the worker. */
export function hosted<Data>(): Hosted<Data> {
  const { data, pulse } = workerData as HostedData<Data>;
  const beat = (): void => void Atomics.add(pulse, BEATS, 1);
  beat();
  setInterval(beat, BEAT_MS).unref();
  return { data, onNative: (inside) => void Atomics.store(pulse, NATIVE, inside ? 1 : 0) };
}

/** Looks at a pulse now and then. */
export class PulseWatch {
  readonly #pulse: Int32Array<SharedArrayBuffer>;
  #beats = 0;
  #missed = 0;

  constructor(pulse: Int32Array<SharedArrayBuffer>) {
    this.#pulse = pulse;
  }

  /**
   * @returns how many looks in a row have found no beat. Looks are counted and not seconds: a process that was stopped, or whose main thread
   * was busy, finds its workers alive when it goes on.
   */
  look(): number {
    const beats = Atomics.load(this.#pulse, BEATS);
    const alive = beats !== this.#beats || beats === 0 || Atomics.load(this.#pulse, NATIVE) === 1;
    this.#beats = beats;
    this.#missed = alive ? 0 : this.#missed + 1;
    return this.#missed;
  }
}
