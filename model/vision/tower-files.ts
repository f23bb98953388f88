/** A published tower as files of a pack: only its own tensors, under their published names. */
import { writeSafetensors, type TensorFile, type TowerConfig } from '../pack/index.js';
import type { HostTensor } from '../runtime/tensor.js';
import { towerSpecs } from './feature-tower.js';

/** Bytes of one file: it is in memory while it is written, and again while it is checked. */
const MAX_FILE_BYTES = 2 ** 28;

export interface TowerFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** Names of the files `towerFiles` gives, for pack.json's `vision.files`. Nothing is read. */
export function towerFileNames(config: TowerConfig, tensors: TensorFile, most = MAX_FILE_BYTES): string[] {
  return groups(config, tensors, most).map((_, index, all) => fileName(index, all.length));
}

/**
 * The files, one after another. Halves stay halves; bfloat16 becomes float32, which holds it exactly.
 * @throws TensorFileError naming the tensor that is missing or of another shape
 */
export function* towerFiles(config: TowerConfig, tensors: TensorFile, most = MAX_FILE_BYTES): Generator<TowerFile, void> {
  const parts = groups(config, tensors, most);
  for (const [index, part] of parts.entries()) {
    const held = new Map<string, HostTensor>(part.map(({ name, dims }) => [name, tensors.get(name, dims)]));
    yield { name: fileName(index, parts.length), content: writeSafetensors(held) };
  }
}

function fileName(index: number, count: number): string {
  return count === 1 ? 'vision.safetensors' : `vision-${index + 1}.safetensors`;
}

/** The tower's tensors in its order, in parts of at most `most` bytes (one tensor at least). */
function groups(config: TowerConfig, tensors: TensorFile, most: number): { name: string; dims: readonly number[] }[][] {
  const parts: { name: string; dims: readonly number[] }[][] = [];
  let held = Infinity;
  for (const spec of towerSpecs(config)) {
    const { bytes, stored } = tensors.info(spec.name);
    const size = stored === 'bfloat16' ? 2 * bytes : bytes;
    if (held + size > most) {
      parts.push([]);
      held = 0;
    }
    (parts.at(-1) as typeof parts[number]).push(spec);
    held += size;
  }
  return parts;
}
