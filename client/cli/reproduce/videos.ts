/** The videos that studies work on. */
import path from 'node:path';
import { openFrames } from '../../../model/frames/open.node.js';
import { isContainer } from '../../../model/video/path-source.node.js';
import { openPart, readClip, type Clip } from '../../peers/clip.js';
import type { PeerTrainOptions } from '../../peers/codec.js';
import { fileToEncode } from '../encode-once.js';
import { UserError } from '../failure.js';
import { expandInputs } from '../sources.js';
import type { CellWork, StudyContext, VideoInput } from './study.js';

/** Two frames say nothing of a video. */
const FEWEST_FRAMES = 4;

/**
 * The videos below a folder, or a single one; containers and photos are passed over.
 * @param frames the first ones of each; null: all
 * @throws UserError where there is none
 */
export async function readVideos(folder: string, frames: number | null): Promise<VideoInput[]> {
  const videos: VideoInput[] = [];
  for (const file of await expandInputs([folder])) {
    if ((await isContainer(file)) || !(await isVideo(file))) continue;
    const source = await fileToEncode(file);
    const title = path.parse(file).name;
    videos.push({
      ...source, file, identity: [...source.identity, frames], open: () => openPart(file, frames ?? undefined),
      title: videos.some((other) => other.title === title) ? path.basename(file) : title,
    });
  }
  if (videos.length === 0) throw new UserError(`${folder} has no video in it.`);
  return videos;
}

async function isVideo(file: string): Promise<boolean> {
  const source = await openFrames(file);
  await source.close();
  return source.info.kind === 'video';
}

/** A video's frames at the size of the study. */
export async function clipOf(video: VideoInput, { settings }: StudyContext, { signal }: CellWork, size = settings.size): Promise<Clip> {
  const { frames } = settings;
  const clip = await readClip(video.file, { size, ...(frames === null ? {} : { frames }), signal });
  if (clip.frames.length < FEWEST_FRAMES) throw new UserError(`${video.file} has ${clip.frames.length} frames; ${FEWEST_FRAMES} or more are needed.`);
  return clip;
}

/** A peer's training as progress of its cell. */
export function training({ signal, clock, report }: CellWork, total: number): PeerTrainOptions {
  return { signal, clock, onProgress: ({ seconds, psnr_db }) => report((0.95 * seconds) / total, `training, ${psnr_db.toFixed(1)} dB`) };
}
