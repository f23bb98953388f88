/** The stretches of a video that get a caption each. */
import { InvalidArgumentError } from 'commander';
import type { VideoInfo } from '../../../model/frames/index.js';
import { MAX_FRAMES } from '../../../model/inr/plan.js';
import { shotsOf, type Shot } from '../../../model/inr/shots.js';
import type { VideoPart } from '../../../projector/index.js';

/** One caption for the whole, one a shot, or one for every so many seconds. */
export type Per = 'video' | 'shot' | { readonly every_s: number };

/** Shorter stretches than this hold no more than a frame or two. */
const SHORTEST_STRETCH_S = 0.1;

/** `video`, `shot`, or `every 5s`; the blank and the s may be left out. */
export function parsePer(value: string): Per {
  if (value === 'video' || value === 'shot') return value;
  const every_s = Number(/^every\s*(\d*\.?\d+)\s*s?$/.exec(value)?.[1]);
  if (!(every_s >= SHORTEST_STRETCH_S)) throw new InvalidArgumentError(`It must be video, shot, or every and seconds from ${SHORTEST_STRETCH_S} on, such as "every 5s".`);
  return { every_s };
}

/** A stretch of a video. */
export type Segment = Shot;

/** Frames that must be looked at of a video so that each stretch has as many as a prompt shows, within what an encoder would take. */
export function framesFor(per: Per, shown: number): (info: VideoInfo) => number {
  if (per === 'video') return () => shown;
  if (per === 'shot') return () => MAX_FRAMES;
  return ({ duration_s }) => Math.min(MAX_FRAMES, shown * Math.max(1, Math.ceil(duration_s / per.every_s)));
}

/** Stretches in order of time, without gaps; those that hold no frame are left out. */
export function segmentsOf(per: Per, video: VideoPart, duration_s: number): Segment[] {
  const { times_s, latents, dim } = video;
  const frames = times_s.length;
  const time = (index: number): number => times_s[index] as number;
  if (per === 'video') return [{ start_s: 0, end_s: duration_s, first: 0, end: frames }];
  if (per === 'shot') return shotsOf(latents, dim, times_s, duration_s);
  const segments: Segment[] = [];
  for (let first = 0; first < frames; ) {
    const stretch = Math.floor(time(first) / per.every_s);
    let end = first + 1;
    while (end < frames && Math.floor(time(end) / per.every_s) === stretch) end++;
    const start_s = stretch * per.every_s;
    segments.push({ start_s, end_s: Math.max(time(end - 1), Math.min(duration_s, start_s + per.every_s)), first, end });
    first = end;
  }
  return segments;
}
