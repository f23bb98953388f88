/** The frames a codec bench works on: of the video it is given, or of one made on the spot. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readClip, type Clip } from '../../client/peers/clip.js';
import type { FrameSize } from '../../model/frames/types.js';
import { makeVideo, movingPicture } from '../helpers/videos.js';

const MADE = { width: 320, height: 160, frames: 48, fps: 25 } as const;

/** All frames of `video` at `size`; without a video, one is made in `folder`. */
export async function openClip(video: string | undefined, size: FrameSize, folder: string): Promise<Clip> {
  if (video !== undefined) return readClip(video, { size });
  const clip = await readClip(await madeVideo(folder), { size });
  return { ...clip, caption: clip.caption.replace('made.mp4', 'a made clip (a disc crossing a turning texture; name a video for one of your own)') };
}

async function madeVideo(folder: string): Promise<string> {
  const { width, height, frames, fps } = MADE;
  const file = path.join(folder, 'made.mp4');
  await writeFile(file, await makeVideo({ width, height, times: Array.from({ length: frames }, (_, t) => t / fps), lastDuration: 1 / fps, picture: movingPicture }));
  return file;
}
