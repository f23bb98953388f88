/** Published vision towers in folders: what a folder holds, and frames to features with it. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { joined, PackError, type TensorFile, type TowerConfig } from '../pack/index.js';
import { openWeights, weightsFile, type OpenWeights } from '../pack/weights.node.js';
import { encodeFloat16 } from '../runtime/float16.js';
import { sizeOf } from '../runtime/tensor.js';
import type { Runtime } from '../runtime/types.js';
import { featureShape, PublishedTower, towerProblems, towerSpecs } from './feature-tower.js';
import { publishedTower, videoLlamaSizes } from './published.js';
import { isObject, type Json } from './settings.js';
import { videoLlamaPart, type VideoLlamaConfig } from './video-llama.js';
import { readWeight } from './weights.js';

/** Settings are a few kilobytes. */
const MAX_SETTINGS_BYTES = 4 * 1024 * 1024;
/** Numbers of each tensor that a fingerprint is taken of. */
const FINGERPRINT_NUMBERS = 64;

/** A folder's tower before its weights are read. */
export interface FoundTower {
  /** As pack.json's `vision` describes it, but with no files yet. */
  readonly config: TowerConfig;
  /** The tower's tensors under the names `config` asks for; nothing is read until it is asked for. Others may lie beside them. */
  readonly tensors: TensorFile;
  readonly tokens: number;
  readonly channels: number;
  readonly parameters: number;
  /** Bytes its weights take while it runs: float32. */
  readonly memoryBytes: number;
  /** What is missing or of another shape, a sentence each; empty: it can be opened. */
  readonly problems: readonly string[];
  /** Of video-llama: the sizes of the video Q-Former and what follows, whose tensors may lie among `tensors`. */
  readonly projector: Pick<VideoLlamaConfig, 'frame' | 'video' | 'positions'> | null;
  /** Names the space of its features: the same for the same weights, whatever file format they came in. Reads a little of every tensor. */
  featureSpace(): string;
  close(): void;
}

/**
 * Finds the vision tower in a folder of a published model: config.json with weights (safetensors or PyTorch files, whole or in
 * shards), or Video-LLaMA's checkpoints, several .pth files beside each other.
 *
 * @throws PackError when there is none that is known; TensorFileError when a weight file is damaged or holds anything but tensors
 */
export async function findVisionTower(folder: string): Promise<FoundTower> {
  const settings = {
    where: folder,
    config: await readJson(path.join(folder, 'config.json')),
    preprocessor: await readJson(path.join(folder, 'preprocessor_config.json')),
  };
  const weights = await openTowerWeights(folder);
  try {
    const config = publishedTower(settings, weights);
    const { frame, video, positions } = videoLlamaSizes(settings.config);
    const parameters = towerSpecs(config).reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    return {
      config, tensors: weights, ...featureShape(config), parameters, memoryBytes: 4 * parameters,
      problems: towerProblems(config, weights),
      projector: config.architecture === 'video-llama' ? { frame, video, positions } : null,
      featureSpace: () => featureSpace(config, weights),
      close: () => weights.close(),
    };
  } catch (error) {
    weights.close();
    throw error;
  }
}

/**
 * Frames to features with the tower of a published folder.
 * @throws as findVisionTower; PackError listing what is missing
 */
export async function openVisionTower(folder: string, runtime: Runtime, options: { readonly signal?: AbortSignal } = {}): Promise<PublishedTower> {
  const found = await findVisionTower(folder);
  try {
    const [first, ...others] = found.problems;
    if (first !== undefined) throw new PackError(`${first}${others.length === 0 ? '' : ` (and ${others.length} more)`}`);
    return await PublishedTower.load(found.config, found.tensors, runtime, options);
  } finally {
    found.close();
  }
}

/** The folder's weights; of checkpoints beside each other, all that belong to Video-LLaMA's visual branch. */
async function openTowerWeights(folder: string): Promise<OpenWeights> {
  const usual = weightsFile(folder);
  if (usual !== null) {
    const weights = await openWeights(usual);
    const part = videoLlamaPart(weights);
    return part === null ? weights : { ...part, close: () => weights.close() };
  }
  const parts: TensorFile[] = [];
  const opened: OpenWeights[] = [];
  const close = (): void => opened.forEach((weights) => weights.close());
  try {
    for (const name of readdirSync(folder).filter((entry) => /\.(pth|pt|safetensors)$/.test(entry)).sort()) {
      const weights = await openWeights(path.join(folder, name));
      opened.push(weights);
      const part = videoLlamaPart(weights);
      if (part !== null) parts.push(part);
    }
    if (parts.length === 0) throw new PackError(`${folder} holds no vision tower that is known: neither a model's weights nor Video-LLaMA's checkpoints`);
  } catch (error) {
    close();
    throw error;
  }
  return { ...joined(parts, parts.map(({ file }) => file).join(' + ')), close };
}

async function readJson(file: string): Promise<Json | null> {
  if (!existsSync(file)) return null;
  const bytes = await readFile(file);
  if (bytes.length > MAX_SETTINGS_BYTES) throw new PackError(`${file} has ${bytes.length} bytes, more than the ${MAX_SETTINGS_BYTES} allowed`);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new PackError(`${file} is not JSON`);
  }
  if (!isObject(json)) throw new PackError(`${file} is not a JSON object`);
  return json;
}

function featureSpace(config: TowerConfig, tensors: TensorFile): string {
  const hash = createHash('sha256');
  for (const { name, dims } of [...towerSpecs(config)].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${name.slice(name.startsWith(config.prefix) ? config.prefix.length : 0)} ${dims.join()}\n`);
    // As halves, so that a model published in both precisions has one space.
    hash.update(encodeFloat16(readWeight(tensors, name, dims).slice(0, FINGERPRINT_NUMBERS)));
  }
  const { tokens, channels } = featureShape(config);
  return `${config.architecture}-${config.vit.image}-${tokens}x${channels}-${hash.digest('hex').slice(0, 16)}`;
}
