/** The state of an encoding on disk: written whole or not at all, so that a kill at any moment leaves the last one. */
import { readFile, rm } from 'node:fs/promises';
import { writeAtomically } from '../runtime/durable.node.js';
import { float32, asFloat32, type HostTensor } from '../runtime/tensor.js';
import { readSafetensors, writeSafetensors } from '../pack/index.js';
import type { Scan } from './scan.node.js';
import type { TrainingState } from './trainer.js';

export interface Checkpoint {
  readonly scan: Scan;
  /** (T, D): those of finished segments are trained, the others are the targets. */
  readonly latents: Float32Array;
  /** The finished segments' networks as a container stores them. */
  readonly networks: readonly Uint8Array[];
  /** The training of the segment after them; null: it has not begun. */
  readonly training: { readonly state: TrainingState; readonly price: number; readonly seconds: number } | null;
  /** The last finished segment's network as it was trained, to start the next from; null where there is none. */
  readonly neighbour: Float32Array | null;
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
  const { scan, latents, networks, training, neighbour, seconds } = checkpoint;
  const tensors = new Map<string, HostTensor>([
    ['fingerprint', raw(new TextEncoder().encode(fingerprint))],
    ['times', wide(scan.times_s)],
    ['shots', wide(scan.shots)],
    ['targets', vector(scan.targets)],
    ['latents', vector(latents)],
    ['progress', wide([seconds, networks.length, ...(training === null ? [] : [training.state.step, training.price, training.seconds])])],
    ...networks.map((bytes, i): [string, HostTensor] => [`network${i}`, raw(bytes)]),
  ]);
  if (neighbour !== null) tensors.set('neighbour', vector(neighbour));
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
    const [seconds, finished, step, price, trained] = numbers('progress') as unknown as [number, number, number?, number?, number?];
    return {
      scan: { times_s: numbers('times'), shots: [...numbers('shots')], targets: floats('targets') },
      latents: floats('latents'),
      networks: Array.from({ length: finished }, (_, i) => bytes(`network${i}`)),
      training: step === undefined || price === undefined || trained === undefined
        ? null
        : { state: { parameters: floats('parameters'), moments: floats('moments'), step }, price, seconds: trained },
      neighbour: file.has('neighbour') ? floats('neighbour') : null,
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
