import {
  encodeImages, encodeNetwork, firstCosts, imageSize, roundImages, writeContainer, type CodedImages, type Container, type ImageShape, type Mixing,
  type ContainerNetwork, type ContainerTensor, type JsonObject, type NetworkOptions,
} from '../../model/container/index.js';
import type { InrConfig, TransformConfig } from '../../model/inr/config.js';
import { fixedSpecs, parameterSpecs } from '../../model/inr/network.js';
import { openPack } from '../../model/pack/open.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { randomNumbers, type RandomNumbers } from './random.js';

/** Latents (T, D) that drift as a video's do. */
export function driftingLatents(frames: number, latentDim: number, random: RandomNumbers): Float32Array {
  const latents = new Float32Array(frames * latentDim);
  for (let d = 0; d < latentDim; d++) {
    const spread = 2 ** (-4 * random.uniform());
    let value = random.normal() * 3 * spread;
    for (let t = 0; t < frames; t++) {
      latents[t * latentDim + d] = value;
      value += random.normal() * 0.3 * spread;
    }
  }
  return latents;
}

function tensor(dims: readonly number[], scale: number, random: RandomNumbers): ContainerTensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return { dims, data: Float32Array.from({ length: count }, () => random.normal() * scale) };
}

/** Basis images of no particular meaning: of each, some groups have numbers, the lower frequencies more often. */
export function sampleImages(shape: ImageShape, random: RandomNumbers): CodedImages {
  const images = Array.from({ length: shape.count }, (_, k) => {
    const spread = 3 / (1 + k / 4);
    return Float32Array.from({ length: imageSize(shape) }, () => (random.uniform() < 0.1 ? Math.round(random.normal() * spread) * (random.uniform() < 0.01 ? 900 : 1) : 0));
  });
  return { shape, stream: encodeImages(roundImages(shape, images, { step: 1, price: 0 }, firstCosts())) };
}

/** Free numbers of a segment's latents, which fall from image to image. */
export function sampleMixing(frames: number, count: number, random: RandomNumbers): Mixing {
  return { count, levels: Int16Array.from({ length: frames * count }, (_, i) => Math.round((random.normal() * 90) / (1 + (i % count)))) };
}

/** A network of no particular meaning. */
export function sampleNetwork(random: RandomNumbers): ContainerNetwork {
  return {
    config: { kind: 'patch', layers: [32, 32, 48], residual: 'mean', nested: { rank: 8, on: true, off: null } },
    tensors: new Map([
      ['grid.0', tensor([4, 9, 16], 0.1, random)],
      ['layer.0.weight', tensor([24, 32], 0.2, random)],
      ['layer.0.bias', tensor([24], 0.01, random)],
      ['gain', tensor([], 1, random)],
      ['constant', { dims: [3, 5], data: new Float32Array(15).fill(0.25) }],
    ]),
  };
}

export interface SampleOptions {
  readonly frames?: number;
  readonly latentDim?: number;
  /** Frames of each segment. Default: one segment of all frames. */
  readonly segments?: readonly number[];
  /** Whether segment k is coded; one answer for all or one each. Default: all are. */
  readonly network?: boolean | readonly boolean[];
  readonly seed?: number;
  /** How the networks are stored. */
  readonly coding?: NetworkOptions;
  /** Basis images of each network, mixed by as many free numbers a frame. Default: none. */
  readonly images?: number;
}

/** A container as an encoder would write it, with random weights. */
export function sampleContainer(options: SampleOptions = {}): Container {
  const { latentDim = 32, network = true, seed = 7, coding, images = 0 } = options;
  const coded = (k: number): boolean => (typeof network === 'boolean' ? network : network[k] === true);
  const segments = options.segments ?? [options.frames ?? 12];
  const frames = segments.reduce((sum, count) => sum + count, 0);
  const random = randomNumbers(seed);
  return {
    meta: {
      width: 320,
      height: 160,
      frames,
      segments,
      duration_s: frames / 25,
      source: { name: 'stück – 1.mp4', width: 1280, height: 720, bytes: 1_003_520 },
      times_s: Float64Array.from({ length: frames }, (_, i) => i / 25),
      pack: { id: 'pack-a', feature_space: 'space-a' },
      encoder: { preset: 'draft', seconds: 12.5 },
    },
    latents: driftingLatents(frames, latentDim, random),
    latentDim,
    networks: segments.map((_, k) => {
      if (!coded(k)) return null;
      const drawn = sampleNetwork(random);
      return encodeNetwork(images === 0 ? drawn : { ...drawn, images: sampleImages({ count: images, rows: 3, columns: 4, patch: 8 }, random) }, coding);
    }),
    ...(images === 0 ? {} : { mixing: segments.map((count, k) => (coded(k) ? sampleMixing(count, images, random) : null)) }),
  };
}

export interface DecodableOptions extends SampleOptions {
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
}

/** A container whose frames can be decoded: the networks are real ones with random weights, another for each segment. */
export function decodableContainer(options: DecodableOptions = {}): Container {
  const { width = 22, height = 14, latentDim = 8, seed = 7, network = true, segments = [options.frames ?? 6], images = 0 } = options;
  const random = randomNumbers(seed);
  const sample = sampleContainer({ ...options, latentDim, network: false, images: 0 });
  const coded = (k: number): boolean => (typeof network === 'boolean' ? network : network[k] === true);
  return {
    ...sample,
    meta: { ...sample.meta, width, height },
    ...(images === 0 ? {} : { mixing: segments.map((frames, k) => (coded(k) ? sampleMixing(frames, images, random) : null)) }),
    networks: segments.map((frames, k) => {
      if (images > 0) return coded(k) ? encodeNetwork(transformNetwork({ width, height, frames, latentDim }, images, random), options.coding) : null;
      const config: InrConfig = {
        width, height, frames, latentDim, patch: 4, layers: 3, hidden: 12, rank: 2, hyperHidden: 6,
        grids: [{ channels: 3, rows: 4, columns: 6 }],
        basis: { count: 4, grids: [{ channels: 3, rows: 4, columns: 6 }, { channels: 2, rows: 2, columns: 3 }] },
      };
      const tensors = new Map([...fixedSpecs(config), ...parameterSpecs(config)].map(({ name, dims }) => [name, tensor(dims, 0.5, random)]));
      return coded(k) ? encodeNetwork({ config: config as unknown as JsonObject, tensors }, options.coding) : null;
    }),
  };
}

function transformNetwork(place: Omit<TransformConfig, 'transform'>, count: number, random: RandomNumbers): ContainerNetwork {
  const patch = 8;
  const config: TransformConfig = { ...place, transform: { count, patch, step: 0.05 } };
  const shape = { count, rows: Math.ceil(place.height / patch), columns: Math.ceil(place.width / patch), patch };
  return { config: config as unknown as JsonObject, tensors: new Map([['color', tensor([3, 3], 0.6, random)]]), images: sampleImages(shape, random) };
}

/** A container of a pack's feature space: two shots of random latents, half a second a frame. */
export async function twoShots(packFolder: string): Promise<Uint8Array> {
  const { manifest } = await openPack(packFolder);
  const { dim } = manifest.latent;
  const random = seededRandom('two shots');
  const shot = (): number[][] => {
    const still = Array.from({ length: dim }, () => normal(random));
    return Array.from({ length: 10 }, () => still.map((value) => value + 0.02 * normal(random)));
  };
  const { meta } = sampleContainer();
  const { id, feature_space } = manifest;
  return writeContainer({
    meta: { ...meta, frames: 20, segments: [20], duration_s: 10, times_s: Float64Array.from({ length: 20 }, (_, i) => i / 2), pack: { id, feature_space } },
    latents: Float32Array.from([...shot(), ...shot()].flat()),
    latentDim: dim,
    networks: [null],
  });
}
