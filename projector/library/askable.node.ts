/** Any file as something to ask about: a container as it is, a video or photo through the vision tower. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { latentsContainer } from '../../model/encoding/latents.js';
import type { FrameSource, VideoInfo } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { MAX_FRAMES } from '../../model/inr/plan.js';
import { LinrVideo } from '../../model/video/linr-video.js';
import { openLinr } from '../../model/video/open.node.js';
import { isContainer } from '../../model/video/path-source.node.js';
import { checkFeatureSpace } from '../messages.js';
import type { Models } from './models.js';

/** Frames a second that are looked at of a video that is no container yet, to find moments in it. */
export const SEARCH_FRAMES_PER_SECOND = 2;
const FEWEST_SEARCHED = 8;

/** As many frames, within what an encoder would take. */
export function framesToSearch({ duration_s }: VideoInfo): number {
  return Math.min(MAX_FRAMES, Math.max(FEWEST_SEARCHED, Math.ceil(duration_s * SEARCH_FRAMES_PER_SECOND)));
}

export interface Askable {
  readonly video: LinrVideo;
  /** (T, D) the vision tower's targets before quantization; null where the file was a container. */
  readonly targets: Float32Array | null;
}

export interface AskableOptions {
  readonly signal?: AbortSignal;
  /** Most frames looked at of a video, uniform in time; not relevant for containers. Default: as many as a prompt shows. */
  readonly frames?: (info: VideoInfo) => number;
  /** Told how many frames have passed the vision tower, of at most how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * A container, or the latents of a video or photo: no network is trained for these, but the latents are written as a container and read
 * back, so that an answer never depends on more than a file holds.
 *
 * @throws FrameSourceError or ContainerError naming the file that cannot be used, PromptError for a container of another feature space
 */
export async function openAskable(file: string, models: Models, options: AskableOptions = {}): Promise<Askable> {
  const facts = await stat(file).catch(() => null);
  if (facts?.isFile() === true && (await isContainer(file))) return { video: checkedVideo(await openLinr(file), models), targets: null };
  return encodeFrames(await openFrames(file), { name: file, bytes: facts?.size ?? 0 }, models, options);
}

/** The video, if its latents are of the models' feature space. @throws PromptError `wrong_pack` */
export function checkedVideo(video: LinrVideo, { pack }: Pick<Models, 'pack'>): LinrVideo {
  checkFeatureSpace(video.meta.pack, pack.manifest);
  return video;
}

/** Frames through the vision tower into a container without networks, and back. Closes `source`, whose name and size in bytes are kept with it. */
export async function encodeFrames(
  source: FrameSource,
  { name, bytes }: { readonly name: string; readonly bytes: number | null },
  models: Models,
  options: AskableOptions = {},
): Promise<Askable> {
  try {
    const made = await latentsOf(source, { name, bytes }, models, options);
    return { video: await LinrVideo.open(made.bytes, { name, runtime: models.pictureRuntime }), targets: made.targets };
  } finally {
    await source.close();
  }
}

/** The bytes of that container. `source` stays its owner's to close. */
export async function latentsOf(
  source: FrameSource,
  { name, bytes }: { readonly name: string; readonly bytes: number | null },
  models: Models,
  { signal, frames, onProgress }: AskableOptions = {},
): Promise<{ readonly bytes: Uint8Array; readonly targets: Float32Array }> {
  const { manifest } = models.pack;
  const { width, height, duration_s } = source.info;
  const limit = frames?.(source.info) ?? manifest.prompt.max_frames;
  const total = Math.min(limit, source.info.frames ?? limit);
  return latentsContainer(source.frames({ limit, ...(signal === undefined ? {} : { signal }) }), await models.tower(), {
    duration_s,
    source: { name: path.basename(name), width, height, bytes },
    pack: manifest,
    onFrame: (done) => onProgress?.(done, total),
  });
}
