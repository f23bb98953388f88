/** Training state on disk: written whole or not at all, so that a kill at any moment leaves the last one. */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { float32, asFloat32, type HostTensor } from '../runtime/tensor.js';
import { readSafetensors, writeSafetensors } from '../pack/index.js';
import type { TrainingState } from './trainer.js';

export interface Checkpoint {
  readonly state: TrainingState;
  /** (T, D) latent targets, so that a resumed encoding need not look at the frames again. */
  readonly targets: Float32Array;
  /** Seconds of training behind it. */
  readonly seconds: number;
}

/** What an encoding is made of; a checkpoint of anything else is not resumed. */
export type Fingerprint = string;

export async function saveCheckpoint(path: string, fingerprint: Fingerprint, checkpoint: Checkpoint): Promise<void> {
  const { state, targets, seconds } = checkpoint;
  const vector = (data: Float32Array): HostTensor => float32(data, [data.length]);
  const bytes = writeSafetensors(
    new Map([
      ['parameters', vector(state.parameters)],
      ['first', vector(state.first)],
      ['second', vector(state.second)],
      ['targets', vector(targets)],
      ['progress', vector(Float32Array.of(state.step, seconds))],
      ['fingerprint', fingerprintTensor(fingerprint)],
    ]),
  );
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** The checkpoint at `path`, or null when there is none, it is damaged, or it belongs to another encoding. */
export async function loadCheckpoint(path: string, fingerprint: Fingerprint): Promise<Checkpoint | null> {
  try {
    const file = readSafetensors(await readFile(path), path);
    if (!Buffer.from(file.get('fingerprint').data as Uint8Array).equals(Buffer.from(fingerprint))) return null;
    const vector = (name: string): Float32Array => Float32Array.from(asFloat32(file.get(name)));
    const [step, seconds] = vector('progress') as unknown as [number, number];
    return {
      state: { parameters: vector('parameters'), first: vector('first'), second: vector('second'), step },
      targets: vector('targets'),
      seconds,
    };
  } catch {
    // No checkpoint, or one that cannot be read: the encoding starts from the beginning, which is always right.
    return null;
  }
}

function fingerprintTensor(fingerprint: Fingerprint): HostTensor {
  const data = new TextEncoder().encode(fingerprint);
  return { dtype: 'uint8', dims: [data.length], data };
}

export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}
