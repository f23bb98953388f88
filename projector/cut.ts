import { frameEnd, videoEnd } from '../model/retrieval/moments.js';
import type { VideoPart } from './messages.js';

/** Frames `first` up to, not including, `end` as a video of their own, with the first at second 0. */
export function cutVideo(video: VideoPart, { first, end }: { readonly first: number; readonly end: number }): VideoPart {
  const { times_s, latents, dim, id } = video;
  if (first === 0 && end === times_s.length) return video;
  const start = times_s[first] as number;
  return {
    ...video,
    // Nothing that is cached for the whole video may be used for a part, whose frames have other numbers.
    id: `${id}#${first}-${end}`,
    latents: latents.subarray(first * dim, end * dim),
    times_s: Array.from({ length: end - first }, (_, i) => (times_s[first + i] as number) - start),
    duration_s: frameEnd(times_s, videoEnd(video), end - 1) - start,
  };
}
