/** Published weights on disk: one file or a folder, whole or in shards, whatever their format. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { openWeightBytes, type WeightFileBytes } from './bytes.node.js';
import { PackError } from './manifest.js';
import { readSafetensors } from './safetensors.js';
import { joined, type TensorFile } from './tensor-file.js';
import { readTorchFile } from './torch/read.js';

/** Files that hold a model's weights or list those that do, as published folders name them, the first that is there counting. */
const WEIGHT_FILES = [
  'model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model.bin.index.json',
  'weights.safetensors', 'consolidated.00.pth',
];
/** An index lists every tensor of a model with its shard: 100,000 of them take 10 MB. */
const MAX_INDEX_BYTES = 32 * 1024 * 1024;
/** Shards of one model; the largest published ones have under 200. */
const MAX_SHARDS = 1024;

/** Weights over open files. */
export interface OpenWeights extends TensorFile {
  /** Closes the files; tensors that were not read by then cannot be read any more. */
  close(): void;
}

/**
 * Opens weights without reading them: each tensor is read when it is asked for.
 *
 * @param where a file (.safetensors, .pth, .pt, .bin, or a shards' index .json) or a folder with weights under one of the usual names
 * @throws PackError when there are none or a shard is missing; TensorFileError when a file is damaged or holds anything but tensors
 */
export async function openWeights(where: string): Promise<OpenWeights> {
  const file = weightsFile(where);
  if (file === null) throw new PackError(`${where} holds no weights: it has none of ${WEIGHT_FILES.join(', ')}`);
  if (!existsSync(file)) throw new PackError(`${file} does not exist`);
  return file.endsWith('.json') ? openShards(file) : openFile(file);
}

/** The file that holds or lists the weights of a folder, or null; a file is its own answer. */
export function weightsFile(where: string): string | null {
  if (!existsSync(where) || !statSync(where).isDirectory()) return where;
  return WEIGHT_FILES.map((name) => path.join(where, name)).find((file) => existsSync(file)) ?? null;
}

function openFile(file: string): OpenWeights {
  const bytes = openWeightBytes(file);
  try {
    return { ...readAny(bytes, path.basename(file)), close: () => bytes.close() };
  } catch (error) {
    bytes.close();
    throw error;
  }
}

function readAny(bytes: WeightFileBytes, name: string): TensorFile {
  switch (path.extname(name)) {
    case '.safetensors':
      return readSafetensors(bytes, name);
    case '.pth':
    case '.pt':
    case '.bin':
      return readTorchFile(bytes, name);
    default:
      throw new PackError(`${name} has no extension of a known weight format: .safetensors, .pth, .pt or .bin`);
  }
}

/** The shards an index (model.safetensors.index.json) names, as one file. */
async function openShards(index: string): Promise<OpenWeights> {
  const { size } = statSync(index);
  if (size > MAX_INDEX_BYTES) throw new PackError(`${index} has ${size} bytes, more than the ${MAX_INDEX_BYTES} allowed`);
  const map = weightMap(await readFile(index, 'utf8'), index);
  const names = [...new Set(Object.values(map))];
  if (names.length > MAX_SHARDS) throw new PackError(`${index} names ${names.length} files, more than the ${MAX_SHARDS} allowed`);
  const shards: OpenWeights[] = [];
  const close = (): void => shards.forEach((shard) => shard.close());
  try {
    for (const name of names) {
      const file = path.join(path.dirname(index), name);
      if (!existsSync(file)) throw new PackError(`${name} is missing beside ${index}, which names it: fetch it again`);
      shards.push(openFile(file));
    }
    for (const [tensor, name] of Object.entries(map)) {
      if (!shards.some((shard) => shard.file === name && shard.has(tensor))) {
        throw new PackError(`${name} has no tensor "${tensor}", which ${index} says it has: they are not of one model`);
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return { ...joined(shards, path.basename(index)), close };
}

function weightMap(text: string, index: string): Record<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new PackError(`${index} is not JSON`);
  }
  const map: unknown = typeof json === 'object' && json !== null && 'weight_map' in json ? json.weight_map : null;
  if (typeof map !== 'object' || map === null) throw new PackError(`${index} has no weight_map`);
  for (const [tensor, name] of Object.entries(map)) {
    if (typeof name !== 'string' || name !== path.basename(name) || name.startsWith('.')) {
      throw new PackError(`${index}: weight_map names ${JSON.stringify(name)} for "${tensor}"; shards lie beside the index and have plain names`);
    }
  }
  return map as Record<string, string>;
}
