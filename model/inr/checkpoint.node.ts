/** The state of an encoding on disk: written whole or not at all, so that a kill at any moment leaves the last one. */
import { readFile, rm } from 'node:fs/promises';
import { writeAtomically } from '../runtime/durable.node.js';
import { float32, asFloat32, type HostTensor } from '../runtime/tensor.js';
import { readSafetensors, writeSafetensors } from '../pack/index.js';
import type { Mixing } from '../container/index.js';
import type { Scan } from './scan.node.js';
import type { TrainingState } from './trainer.js';

/** A segment's training: its state, and its seconds. */
export interface TrainingCheckpoint {
  readonly state: TrainingState;
  readonly seconds: number;
}

export interface Checkpoint {
  readonly scan: Scan;
  /** (T, D): those of finished segments are trained, the others are the targets. */
  readonly latents: Float32Array;
  /** The finished segments' networks as a container stores them. */
  readonly networks: readonly Uint8Array[];
  /** The training of the segment after them; null: it has not begun. */
  readonly training: TrainingCheckpoint | null;
  /** The free numbers of the finished segments' latents. */
  readonly mixing: readonly (Mixing | null)[];
  /** Seconds behind it, all segments together. */
  readonly seconds: number;
}

/** What an encoding is made of; a checkpoint of anything else is not resumed. */
export type Fingerprint = string;

const vector = (data: Float32Array): HostTensor => float32(data, [data.length]);
const raw = (data: Uint8Array): HostTensor => ({ dtype: 'uint8', dims: [data.length], data });
/** Float64 numbers as bytes: the file has no such type. */
const wide = (data: ArrayLike<number>): HostTensor => raw(new Uint8Array(Float64Array.from(data).buffer));

export async function saveCheckpoint(path: string, fingerprint: Fingerprint, checkpoint: Checkpoint): Promise<void> {
  const { scan, latents, networks, training, mixing, seconds } = checkpoint;
  const tensors = new Map<string, HostTensor>([
    ['fingerprint', raw(new TextEncoder().encode(fingerprint))],
    ['times', wide(scan.times_s)],
    ['shots', wide(scan.shots)],
    ['targets', vector(scan.targets)],
    ['latents', vector(latents)],
    ['progress', wide([seconds, networks.length, ...(training === null ? [] : [training.state.step, training.seconds])])],
    ...networks.map((bytes, i): [string, HostTensor] => [`network${i}`, raw(bytes)]),
  ]);
  mixing.forEach((segment, i) => {
    if (segment !== null) tensors.set(`mixing${i}`, wide([segment.count, ...segment.levels]));
  });
  if (training !== null) {
    tensors.set('parameters', vector(training.state.parameters));
    tensors.set('moments', vector(training.state.moments));
  }
  await writeAtomically(path, writeSafetensors(tensors));
}

/** The checkpoint at `path`, or null when there is none, it is damaged, or it belongs to another encoding. */
export async function loadCheckpoint(path: string, fingerprint: Fingerprint): Promise<Checkpoint | null> {
  try {
    const file = readSafetensors(await readFile(path), path);
    const bytes = (name: string): Uint8Array => Uint8Array.from(file.get(name).data as Uint8Array);
    const numbers = (name: string): Float64Array => new Float64Array(bytes(name).buffer);
    const floats = (name: string): Float32Array => Float32Array.from(asFloat32(file.get(name)));
    if (!Buffer.from(bytes('fingerprint')).equals(Buffer.from(fingerprint))) return null;
    const [seconds, finished, step, trained] = numbers('progress') as unknown as [number, number, number?, number?];
    return {
      scan: { times_s: numbers('times'), shots: [...numbers('shots')], targets: floats('targets') },
      latents: floats('latents'),
      networks: Array.from({ length: finished }, (_, i) => bytes(`network${i}`)),
      training: step === undefined || trained === undefined
        ? null
        : { state: { parameters: floats('parameters'), moments: floats('moments'), step }, seconds: trained },
      mixing: Array.from({ length: finished }, (_, i) => {
        if (!file.has(`mixing${i}`)) return null;
        const [count = 0, ...levels] = numbers(`mixing${i}`);
        return { count, levels: Int16Array.from(levels) };
      }),
      seconds,
    };
  } catch {
    // No checkpoint, or one that cannot be read: the encoding starts from the beginning, which is always right.
    return null;
  }
}

export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}
