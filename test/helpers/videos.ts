/** Small videos made on the spot, so that every container, codec and oddity can be tested without binary fixtures. */
import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { VideoEncoder, type VideoEncoderSettings } from '../../model/frames/video-encoder.node.js';

export type Colour = readonly [number, number, number];
export const RED: Colour = [220, 30, 30];
export const GREEN: Colour = [30, 200, 30];
export const BLUE: Colour = [30, 30, 220];
export const WHITE: Colour = [235, 235, 235];

export interface VideoRecipe {
  readonly container?: 'mp4' | 'mov' | 'mkv' | 'webm' | 'fragmented-mp4';
  readonly codec?: 'avc' | 'hevc' | 'av1' | 'vp8' | 'vp9';
  readonly width?: number;
  readonly height?: number;
  /** Seconds at which each frame starts. Default: 10 frames at 10 a second. */
  readonly times?: readonly number[];
  /** Seconds the last frame is shown. */
  readonly lastDuration?: number;
  /** Clockwise degrees a player has to turn the frames by. */
  readonly rotation?: 0 | 90 | 180 | 270;
  readonly flip?: boolean;
  /** Size in square pixels where it differs from the coded one. */
  readonly display?: { readonly width: number; readonly height: number };
  /** Seconds between key frames. */
  readonly keyFrameInterval?: number;
  /** Default: the corners red, green, blue and white, whatever the frame. RGB (height, width, 3). */
  readonly picture?: (frame: number, width: number, height: number) => Uint8Array;
  /** What is otherwise, in libav's words: any other container, codec or pixel format, and their options. */
  readonly settings?: Partial<VideoEncoderSettings>;
}

/** Red top left, green top right, blue bottom left, white bottom right: shows every turn and mirroring. */
export function corners(width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = y < height / 2 ? (x < width / 2 ? RED : GREEN) : x < width / 2 ? BLUE : WHITE;
      data.set(colour, (y * width + x) * 3);
    }
  }
  return data;
}

/** One grey for the whole frame. */
export function grey(value: number, width: number, height: number): Uint8Array {
  return new Uint8Array(width * height * 3).fill(value);
}

/** A disc that crosses a slowly moving texture: a picture in which every frame differs. RGB (height, width, 3). */
export function movingPicture(frame: number, width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  const centre = { x: width * (0.2 + 0.04 * (frame % 16)), y: height * (0.5 + 0.25 * Math.sin(frame / 3)) };
  const radius = height / 5;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const [u, v] = [(6.3 * x) / height, (6.3 * y) / height];
      const shade = 50 * Math.sin(2 * u + v + frame / 8) + 30 * Math.cos((u * v) / 2 + frame / 12);
      const inside = Math.hypot(x - centre.x, y - centre.y) < radius;
      data[at] = inside ? 230 : 110 + shade;
      data[at + 1] = inside ? 180 - (60 * (y - centre.y)) / radius : 120 + 0.9 * shade;
      data[at + 2] = inside ? 40 : 130 + 0.7 * shade + 20 * Math.sin(u / 2 - frame / 10);
    }
  }
  return data;
}

/** A bright disc that crosses a green field under a blue sky. */
export function discScene(frame: number, width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  const [cx, cy] = [(width * (frame + 2)) / 14, height * 0.45];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = (x - cx) ** 2 + (y - cy) ** 2 < (height / 6) ** 2;
      data.set(inside ? [250, 210, 40] : y < height / 2 ? [90, 150, 230] : [50, 140, 60], (y * width + x) * 3);
    }
  }
  return data;
}

const CODECS = {
  avc: { codec: 'libx264', codecOptions: { crf: '8' } },
  hevc: { codec: 'libx265', codecOptions: { crf: '8', 'x265-params': 'log-level=none' } },
  av1: { codec: 'libsvtav1', codecOptions: { crf: '10', preset: '10' } },
  vp8: { codec: 'libvpx', codecOptions: { crf: '4', b: '4000000' } },
  vp9: { codec: 'libvpx-vp9', codecOptions: { crf: '4', b: '0', 'cpu-used': '8' } },
} as const;
const FORMATS = {
  mp4: { format: 'mp4' },
  mov: { format: 'mov' },
  mkv: { format: 'matroska' },
  webm: { format: 'webm' },
  'fragmented-mp4': { format: 'mp4', formatOptions: { movflags: '+frag_keyframe+empty_moov' } },
} as const;
const BT709 = { matrix: 1, transfer: 1, primaries: 1, full: false } as const;
/** What VP8 is always coded in. */
const BT601 = { ...BT709, matrix: 5 } as const;
// The AV1 encoder writes to standard error what it is about to do.
process.env['SVT_LOG'] ??= '1';

/** The bytes of a video file. */
export async function makeVideo(recipe: VideoRecipe = {}): Promise<Buffer> {
  const { width = 64, height = 48, container = 'mp4', lastDuration = 0.1, keyFrameInterval = 1, picture = (_, w, h) => corners(w, h) } = recipe;
  const times = recipe.times ?? Array.from({ length: 10 }, (_, index) => index / 10);
  const codec = recipe.codec ?? (container === 'webm' ? 'vp8' : 'avc');
  const file = path.join(os.tmpdir(), `latentchat-${randomUUID()}`);
  const { rotation = 0, flip = false, display = { width, height } } = recipe;
  const encoder = await VideoEncoder.create({
    path: file,
    ...FORMATS[container],
    ...CODECS[codec],
    pixelFormat: 'yuv420p',
    size: { width, height },
    ticksPerSecond: 57_600,
    framesPerSecond: times.length / ((times.at(-1) ?? 0) - (times[0] ?? 0) + lastDuration),
    colours: codec === 'vp8' ? BT601 : BT709,
    pixelAspect: [display.width * height, display.height * width],
    ...(rotation === 0 && !flip ? {} : { displayMatrix: displayMatrix(rotation, flip) }),
    ...recipe.settings,
  });
  try {
    let nextKey = -Infinity;
    for (const [index, start_s] of times.entries()) {
      const key = start_s >= nextKey;
      if (key) nextKey = start_s + keyFrameInterval;
      await encoder.add(picture(index, width, height), { start_s, duration_s: (times[index + 1] ?? start_s + lastDuration) - start_s, key });
    }
    await encoder.finish();
    return await readFile(file);
  } finally {
    await encoder.cancel();
    await rm(file, { force: true });
  }
}

/** What makes a player turn a picture clockwise, then mirror it left to right: a b u c d v x y w (ISO/IEC 14496-12, 8.2.2). */
function displayMatrix(degrees: number, flip: boolean): Buffer {
  const [cos, sin] = [Math.round(Math.cos((degrees * Math.PI) / 180)), Math.round(Math.sin((degrees * Math.PI) / 180))];
  const [one, mirror] = [1 << 16, flip ? -1 : 1];
  return Buffer.from(Int32Array.of(mirror * cos * one, sin * one, 0, mirror * -sin * one, cos * one, 0, 0, 0, 1 << 30).buffer);
}

/** The bytes of a WAV file with a tenth of a second of silence: 16 bits, one channel, 48,000 samples a second. */
export function makeSound(): Buffer {
  const bytes = Buffer.alloc(44 + 9600);
  bytes.write('RIFF', 0, 'latin1');
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8, 'latin1');
  [16, 0x1_0001, 48_000, 96_000, 0x10_0002].forEach((value, index) => bytes.writeUInt32LE(value, 16 + 4 * index));
  bytes.write('data', 36, 'latin1');
  bytes.writeUInt32LE(9600, 40);
  return bytes;
}
