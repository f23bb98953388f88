/** The half of a new pack that makes frames into latents, and the projector that fits it: another pack's, or a published tower's. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { openFrames } from '../../../model/frames/open.node.js';
import { PackError, writeSafetensors, type ModelPack, type PackManifest, type PromptConfig } from '../../../model/pack/index.js';
import type { PackWriter } from '../../../model/pack/write.node.js';
import { decodeFloat16, encodeFloat16 } from '../../../model/runtime/float16.js';
import { asFloat32, float32, sizeOf, type HostTensor } from '../../../model/runtime/tensor.js';
import type { Runtime } from '../../../model/runtime/types.js';
import { fitLatentMap, PublishedTower, towerFileNames, towerFiles } from '../../../model/vision/index.js';
import type { FoundTower } from '../../../model/vision/open.node.js';
import { readWeight } from '../../../model/vision/weights.js';
import { initialProjector, projectorTensors, videoProjectorSpecs, type ProjectorShape } from '../../../projector/index.js';
import { UserError } from '../failure.js';
import { grouped } from '../terminal.js';

export interface VisionHalf {
  readonly manifest: Pick<PackManifest, 'feature_space' | 'vision' | 'latent' | 'licences' | 'sources'>;
  readonly prompt: PromptConfig;
  /** For a language model of width `hidden`. */
  readonly projector: (hidden: number) => Promise<ProjectorFile>;
  /** Writes the files of this half. */
  readonly write: (writer: PackWriter) => Promise<void>;
}

/** projector.safetensors, and what pack.json says of it. */
export interface ProjectorFile {
  readonly tensors: Map<string, HostTensor>;
  readonly manifest: PackManifest['projector'];
}

/** Files of a pack that make frames into latents. */
const VISION_FILES = ['vision.safetensors', 'latent-map.safetensors'];
/** Numbers a latent as it comes from principal components, the default pack's. */
const COMPONENTS = 256;
/** Numbers a latent may have: a container's limit. */
const MAX_LATENT = 4096;
/** Photos looked at: components of more vary little, and all their features are in memory at once. */
const MAX_PHOTOS = 512;
/** Memory of those features. */
const MAX_FEATURE_BYTES = 2 ** 31;
const PHOTO = /\.(jpe?g|png|webp)$/i;

/** The tower and latents of a pack that is there: containers made with it can be asked about. */
export function baseHalf(base: ModelPack): VisionHalf {
  const { feature_space, vision, latent, licences, projector, prompt, id } = base.manifest;
  const parts = licences.filter((entry) => typeof entry === 'object' && entry !== null && 'part' in entry && /vision|latent/.test(String(entry.part)));
  const texts = parts.flatMap((entry) => (typeof entry === 'object' && entry !== null && 'file' in entry && typeof entry.file === 'string' ? [entry.file] : []));
  const files = 'vit' in vision ? [...vision.files, 'latent-map.safetensors'] : VISION_FILES;
  return {
    manifest: { feature_space, vision, latent, licences: parts, sources: [{ part: 'vision', from: `pack ${id}` }] },
    prompt,
    projector: async (hidden) => {
      const shape = { latent: latent.dim, tokens: latent.tokens, hidden, inner: projector.hidden };
      const sigma = asFloat32((await base.tensors('latent-map.safetensors')).get('sigma', [latent.dim]));
      return untrained(shape, sigma);
    },
    write: async (writer) => {
      for (const name of new Set([...files, ...texts])) if (base.has(name)) await writer.write(name, await base.bytes(name));
    },
  };
}

export interface TowerHalfOptions {
  readonly origin: string;
  readonly licence: string | null;
  /** Folder of photos whose features give the latents' directions; needed where a frame has more than MAX_LATENT numbers. */
  readonly photos?: string;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly onPhoto: (done: number, total: number) => void;
  /** The pack whose prompt and sizes serve where the tower's model has none of its own. */
  readonly base: ModelPack;
}

/** Directions of the latents in the features: z = components (x - mean) / scale. */
interface Directions {
  readonly mean: Float32Array;
  /** (D, features), or null for the features themselves. */
  readonly components: Float32Array | null;
  readonly scale: number;
  /** latent-map.safetensors. */
  readonly map: ReadonlyMap<string, HostTensor>;
  /** What distinguishes them from others of the same tower. */
  readonly name: string;
}

/**
 * A published tower. Of a model with a connector (Idefics3, SmolVLM), the projector is this connector: exactly, for latents that are the
 * features themselves; on the plane of the principal components otherwise.
 * @throws UserError when photos are needed and not given; PackError naming what the tower lacks
 */
export async function towerHalf(found: FoundTower, options: TowerHalfOptions): Promise<VisionHalf> {
  const [problem] = found.problems;
  if (problem !== undefined) throw new PackError(problem);
  const features = found.tokens * found.channels;
  const directions = await findDirections(found, features, options);
  const dim = directions.components === null ? features : directions.components.length / features;
  const idefics = found.config.architecture === 'idefics3';
  // Its ViT and Q-Former may come without Video-LLaMA's own checkpoint: BLIP-2's eye alone.
  const eye = found.tensors.has('video_query_tokens') ? found.projector : null;
  const { manifest } = options.base;
  return {
    manifest: {
      feature_space: `${found.featureSpace()}${directions.name}`,
      vision: { ...found.config, files: towerFileNames(found.config, found.tensors) },
      latent: { dim, tokens: eye?.video.queries ?? (idefics ? found.tokens : manifest.latent.tokens) },
      licences: [{ part: 'vision tower', licence: options.licence, origin: options.origin }],
      sources: [{ part: 'vision', from: options.origin, file: found.tensors.file }],
    },
    prompt: eye !== null ? VIDEO_LLAMA_PROMPT : idefics ? IDEFICS_PROMPT : manifest.prompt,
    projector: async (hidden) => {
      if (eye !== null) return videoProjector(found, eye, hidden);
      if (idefics) return connectorProjector(found, directions, dim, hidden);
      const shape = { latent: dim, tokens: manifest.latent.tokens, hidden, inner: manifest.projector.hidden };
      return untrained(shape, asFloat32(directions.map.get('sigma') as HostTensor));
    },
    write: async (writer) => {
      for (const { name, content } of towerFiles(found.config, found.tensors)) await writer.write(name, content);
      await writer.write('latent-map.safetensors', writeSafetensors(directions.map));
    },
  };
}

/** SmolVLM's own words around pictures, one a frame, not split. */
const IDEFICS_PROMPT: PromptConfig = {
  system: '',
  photo_before: '<fake_token_around_image><global-img>',
  photo_after: '<fake_token_around_image>',
  video_before: 'You are provided the following series of {n} frames from a video.\n',
  frame_before: '\nFrame from {clock}:<fake_token_around_image><global-img>',
  frame_after: '<fake_token_around_image>',
  max_frames: 8,
  default_question: 'Describe what you see in one sentence.',
};

/** Video-LLaMA's: the whole video's tokens, then what they are of. */
const VIDEO_LLAMA_PROMPT: PromptConfig = {
  system: '',
  photo_before: '<Image>',
  photo_after: '</Image> ',
  video_before: '<Video>',
  frame_before: '',
  frame_after: '',
  video_after: '</Video> The video contains {n} frames sampled at {times} seconds. ',
  max_frames: 8,
  default_question: 'Describe this video in one sentence.',
};

function untrained(shape: ProjectorShape, sigma: Float32Array): ProjectorFile {
  return { tensors: projectorTensors(shape, initialProjector(shape, sigma)), manifest: { hidden: shape.inner, trained: false } };
}

/** Video-LLaMA's own, as published. @throws PackError naming the tensor that is missing; UserError when it was trained for another width */
function videoProjector(found: FoundTower, sizes: NonNullable<FoundTower['projector']>, hidden: number): ProjectorFile {
  const [width] = found.tensors.info('llama_proj.weight').dims;
  if (width !== hidden) throw new UserError(`llama_proj of ${found.tensors.file} was trained for a language model of width ${width}; this one's is ${hidden}. Name the one that Video-LLaMA was trained with.`);
  const tensors = new Map(videoProjectorSpecs(sizes, hidden).map(({ name, dims }) => [name, found.tensors.get(name, dims)]));
  return { tensors, manifest: { hidden: sizes.video.inner, video: sizes } };
}

async function findDirections(found: FoundTower, features: number, { photos, runtime, signal, onPhoto }: TowerHalfOptions): Promise<Directions> {
  if (photos === undefined) {
    if (features > MAX_LATENT) {
      throw new UserError(
        `The tower gives ${grouped(features)} numbers a frame, a latent has ${grouped(MAX_LATENT)} at most. Name a folder of ordinary photos with --photos: the latents are then their ${COMPONENTS} principal components.`,
      );
    }
    return { mean: new Float32Array(features), components: null, scale: 1, map: sameMap(features), name: '' };
  }
  const most = Math.min(MAX_PHOTOS, Math.floor(MAX_FEATURE_BYTES / (4 * features)));
  const names = (await readdir(photos)).filter((name) => PHOTO.test(name)).sort();
  if (names.length < 2) throw new UserError(`${photos} holds ${names.length} photos (JPEG, PNG, WebP); at least two are needed, a few hundred are good.`);
  const chosen = names.filter((_, i) => names.length <= most || Math.floor((i * most) / names.length) !== Math.floor(((i - 1) * most) / names.length));
  const tower = await PublishedTower.load(found.config, found.tensors, runtime, { signal });
  try {
    const rows = new Float32Array(chosen.length * features);
    for (const [index, name] of chosen.entries()) {
      onPhoto(index, chosen.length);
      signal.throwIfAborted();
      const source = await openFrames(path.join(photos, name));
      try {
        for await (const frame of source.frames({ limit: 1, signal })) rows.set(await tower.features([frame], { signal }), index * features);
      } finally {
        await source.close();
      }
    }
    onPhoto(chosen.length, chosen.length);
    // Of n photos there are n - 1 directions at most.
    const dim = Math.min(COMPONENTS, chosen.length - 1);
    const { tensors } = await fitLatentMap(rows, features, dim, runtime, { signal }).catch((error: unknown) => {
      throw error instanceof RangeError ? new UserError(`The photos in ${photos} give no latents: ${error.message}.`) : error;
    });
    const [mean, scale] = ['mean', 'scale'].map((name) => asFloat32(tensors.get(name) as HostTensor)) as [Float32Array, Float32Array];
    const halves = (tensors.get('components') as HostTensor).data as Uint16Array;
    const digest = createHash('sha256').update(halves.subarray(0, 65_536)).digest('hex').slice(0, 8);
    return { mean, components: decodeFloat16(halves), scale: scale[0] as number, map: tensors, name: `-pca${dim}-${digest}` };
  } finally {
    await tower.release();
  }
}

/** The map that leaves every feature as it is. */
function sameMap(features: number): ReadonlyMap<string, HostTensor> {
  const identity = new Uint16Array(features * features);
  const one = encodeFloat16(Float32Array.of(1))[0] as number;
  for (let i = 0; i < features; i++) identity[i * features + i] = one;
  return new Map<string, HostTensor>([
    ['mean', float32(new Float32Array(features), [features])],
    ['components', { dtype: 'float16', dims: [features, features], data: identity }],
    ['scale', float32(Float32Array.of(1), [1])],
    ['sigma', float32(new Float32Array(features).fill(1), [features])],
  ]);
}

/**
 * tokens = W x with x = mean + scale components^T z, as the projector's linear path: skip (K H, D) and, of the mean, fc2's bias. Its hidden
 * layer is there for a later training and adds nothing yet.
 */
function connectorProjector(found: FoundTower, { mean, components, scale }: Directions, dim: number, hidden: number): ProjectorFile {
  const { tokens, channels } = found;
  const connector = readWeight(found.tensors, 'model.connector.modality_projection.proj.weight', [hidden, channels]);
  const shape = { latent: dim, tokens, hidden, inner: Math.min(1024, dim) };
  const zeros = (...dims: number[]): Float32Array => new Float32Array(sizeOf(dims));
  const skip = zeros(tokens * hidden, dim);
  const bias = zeros(tokens * hidden);
  for (let token = 0; token < tokens; token++) {
    for (let h = 0; h < hidden; h++) {
      const row = token * hidden + h;
      const weights = connector.subarray(h * channels, (h + 1) * channels);
      for (let c = 0; c < channels; c++) bias[row] = (bias[row] as number) + (weights[c] as number) * (mean[token * channels + c] as number);
      if (components === null) skip.set(weights, row * dim + token * channels);
      else for (let d = 0; d < dim; d++) skip[row * dim + d] = scale * product(weights, components, (d * tokens + token) * channels);
    }
  }
  const values = new Map<string, Float32Array>([
    ['norm', new Float32Array(dim).fill(1)],
    ['fc1.weight', initialProjector(shape, new Float32Array(dim).fill(1)).get('fc1.weight') as Float32Array],
    ['fc1.bias', zeros(shape.inner)],
    ['fc2.weight', zeros(tokens * hidden, shape.inner)],
    ['fc2.bias', bias],
    ['skip.weight', skip],
  ]);
  return { tensors: projectorTensors(shape, values), manifest: { hidden: shape.inner } };
}

function product(a: Float32Array, b: Float32Array, start: number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[start + i] as number);
  return sum;
}
