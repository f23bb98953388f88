/** Clips that an evaluation puts together from photos: scenes one after the other, held or slowly zoomed. Nothing is encoded for them. */
import { openFrames } from '../../../model/frames/open.node.js';
import { resize, type Frame, type FrameSource, type FramesOptions } from '../../../model/frames/index.js';
import { UserError } from '../failure.js';
import type { JsonLine } from '../json-lines.js';

/** Left, top, width and height as shares of a photo's sides. */
export type Box = readonly [left: number, top: number, width: number, height: number];

export interface Scene {
  /** A photo, or a video whose first frame is shown. */
  readonly file: string;
  readonly seconds: number;
  /** What the last frame of a slow zoom shows; the whole photo is shown all the time where it is null. */
  readonly zoom: Box | null;
}

/** Frames a second of a clip that is asked for whole. */
const FPS = 4;
const COLOURS = 3;
/** A prompt shows eight frames; more scenes than this could not be told apart by any. */
const MAX_SCENES = 64;
/** A clip longer than a day is a mistake of the data. */
const MAX_SECONDS = 86_400;

/** The field "scenes" of a data line: `[{"source","seconds","zoom"?:[left,top,width,height]}]`. @throws UserError naming what is wrong with it */
export function readScenes(line: JsonLine, at: (source: string) => string, file: string): Scene[] {
  const { id, scenes } = line;
  const wrong = (what: string): UserError => new UserError(`${file}: "scenes" of the line with id ${JSON.stringify(id)} ${what}.`);
  if (!Array.isArray(scenes) || scenes.length === 0 || scenes.length > MAX_SCENES) throw wrong(`must be a list of 1 to ${MAX_SCENES} scenes`);
  return scenes.map((scene: unknown): Scene => {
    const { source, seconds, zoom } = (typeof scene === 'object' && scene !== null ? scene : {}) as { source?: unknown; seconds?: unknown; zoom?: unknown };
    if (typeof source !== 'string' || source === '') throw wrong('needs a photo as the "source" of each scene');
    if (typeof seconds !== 'number' || !(seconds > 0 && seconds <= MAX_SECONDS)) throw wrong('needs "seconds" above 0 for each scene');
    if (zoom !== undefined && !isBox(zoom)) throw wrong('needs left, top, width and height between 0 and 1 as the "zoom" of a scene that has one');
    return { file: at(source), seconds, zoom: zoom ?? null };
  });
}

function isBox(value: unknown): value is Box {
  if (!Array.isArray(value) || value.length !== 4 || !value.every((part) => typeof part === 'number' && part >= 0 && part <= 1)) return false;
  const [left, top, width, height] = value as [number, number, number, number];
  return width > 0 && height > 0 && left + width <= 1 + 1e-6 && top + height <= 1 + 1e-6;
}

/** The scenes as frames of the first photo's size. @throws FrameSourceError as opening a photo does */
export async function openScenes(scenes: readonly Scene[], signal?: AbortSignal): Promise<FrameSource> {
  const photos = await Promise.all(scenes.map(({ file }) => firstFrame(file, signal)));
  const [first] = photos;
  if (first === undefined) throw new RangeError('a clip needs at least one scene');
  const duration = scenes.reduce((sum, { seconds }) => sum + seconds, 0);
  const whole = Math.max(1, Math.round(duration * FPS));
  return {
    info: { width: first.width, height: first.height, duration_s: duration, frames: whole, fps: whole / duration, kind: 'video' },
    warnings: [],
    async *frames({ size, limit = whole, signal: stop }: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
      const { width, height } = size ?? first;
      const count = Math.min(limit, whole);
      for (let i = 0; i < count; i++) {
        stop?.throwIfAborted();
        const time_s = ((i + 0.5) * duration) / count;
        const { index, share } = placeOf(scenes, time_s);
        const shown = cropped(photos[index] as Frame, boxAt((scenes[index] as Scene).zoom, share));
        yield { width, height, time_s, data: resize(shown, width, height) };
      }
    },
    close: () => Promise.resolve(),
  };
}

async function firstFrame(file: string, signal?: AbortSignal): Promise<Frame> {
  const source = await openFrames(file);
  try {
    for await (const frame of source.frames({ limit: 1, ...(signal === undefined ? {} : { signal }) })) return frame;
    throw new UserError(`${file} has no picture.`);
  } finally {
    await source.close();
  }
}

/** The scene at a moment, and how much of it is over, 0 to 1. */
function placeOf(scenes: readonly Scene[], time_s: number): { index: number; share: number } {
  let start = 0;
  for (const [index, { seconds }] of scenes.entries()) {
    if (time_s < start + seconds || index === scenes.length - 1) return { index, share: Math.min(1, (time_s - start) / seconds) };
    start += seconds;
  }
  throw new RangeError('a clip needs at least one scene');
}

function boxAt(zoom: Box | null, share: number): Box {
  if (zoom === null) return [0, 0, 1, 1];
  const [left, top, width, height] = zoom;
  return [left * share, top * share, 1 + (width - 1) * share, 1 + (height - 1) * share];
}

function cropped(frame: Frame, [left, top, width, height]: Box): Pick<Frame, 'width' | 'height' | 'data'> {
  const x = Math.min(frame.width - 1, Math.round(left * frame.width));
  const y = Math.min(frame.height - 1, Math.round(top * frame.height));
  const columns = Math.max(1, Math.min(frame.width - x, Math.round(width * frame.width)));
  const rows = Math.max(1, Math.min(frame.height - y, Math.round(height * frame.height)));
  const data = new Uint8Array(columns * rows * COLOURS);
  for (let row = 0; row < rows; row++) {
    const start = ((y + row) * frame.width + x) * COLOURS;
    data.set(frame.data.subarray(start, start + columns * COLOURS), row * columns * COLOURS);
  }
  return { width: columns, height: rows, data };
}
