/**
 * The frames a codec bench works on: of the videos it is given, of the known ones where they are, or of one made on the
 * spot.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeVideo, movingPicture } from '../helpers/videos.js';

const MADE = { width: 320, height: 160, frames: 48, fps: 25 } as const;

/** The clips that codecs are compared on, in the folder that LATENTCHAT_DATA names. */
const KNOWN = ['bunny', 'dog', 'bikes', 'juggle', 'coffee'];

/**
 * The videos a bench works on.
 *
 * @param named on the command line; none: the known clips, or without LATENTCHAT_DATA a made one
 * @param most of the known ones
 * @param folder where the made one is written
 */
export async function benchVideos(named: readonly string[], folder: string, most = KNOWN.length): Promise<string[]> {
  if (named.length > 0) return [...named];
  const data = process.env['LATENTCHAT_DATA'] || undefined;
  if (data !== undefined) return KNOWN.slice(0, most).map((name) => path.join(data, 'videos', `${name}.mp4`));
  console.log(
    'LATENTCHAT_DATA names no folder of videos, so a made clip is measured: a disc crossing a turning texture.',
  );
  return [await madeVideo(folder)];
}

async function madeVideo(folder: string): Promise<string> {
  const { width, height, frames, fps } = MADE;
  const file = path.join(folder, 'made.mp4');
  await writeFile(
    file,
    await makeVideo({
      width,
      height,
      times: Array.from({ length: frames }, (_, t) => t / fps),
      lastDuration: 1 / fps,
      picture: movingPicture,
    }),
  );
  return file;
}
