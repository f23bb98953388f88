/** Small videos made on the spot, so that every container, codec and oddity can be tested without binary fixtures. */
import { registerMediabunnyServer } from '@mediabunny/server';
import {
  AudioSample,
  AudioSampleSource,
  BufferTarget,
  MkvOutputFormat,
  MovOutputFormat,
  Mp4OutputFormat,
  Output,
  Quality,
  VideoSample,
  VideoSampleSource,
  WebMOutputFormat,
  type OutputFormat,
  type VideoCodec,
} from 'mediabunny';

export type Colour = readonly [number, number, number];
export const RED: Colour = [220, 30, 30];
export const GREEN: Colour = [30, 200, 30];
export const BLUE: Colour = [30, 30, 220];
export const WHITE: Colour = [235, 235, 235];

export interface VideoRecipe {
  readonly container?: 'mp4' | 'mov' | 'mkv' | 'webm' | 'fragmented-mp4';
  readonly codec?: VideoCodec;
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

/** The bytes of a video file. */
export async function makeVideo(recipe: VideoRecipe = {}): Promise<Uint8Array> {
  registerMediabunnyServer({ hardwareContext: null });
  const { width = 64, height = 48, container = 'mp4', rotation = 0, flip = false, lastDuration = 0.1, picture = (_, w, h) => corners(w, h) } = recipe;
  const times = recipe.times ?? Array.from({ length: 10 }, (_, index) => index / 10);
  const source = new VideoSampleSource({
    codec: recipe.codec ?? (container === 'webm' ? 'vp8' : 'avc'),
    quality: new Quality('high'),
    keyFrameInterval: recipe.keyFrameInterval ?? 1,
  });
  const target = new BufferTarget();
  const output = new Output({ format: outputFormat(container), target });
  output.addVideoTrack(source, { rotation, flip });
  await output.start();
  for (const [index, timestamp] of times.entries()) {
    const sample = new VideoSample(withAlpha(picture(index, width, height)), {
      format: 'RGBX',
      codedWidth: width,
      codedHeight: height,
      timestamp,
      duration: (times[index + 1] ?? timestamp + lastDuration) - timestamp,
      ...(recipe.display === undefined ? {} : { displayWidth: recipe.display.width, displayHeight: recipe.display.height }),
    });
    await source.add(sample);
    sample.close();
  }
  await output.finalize();
  if (target.buffer === null) throw new Error('the video was not written');
  return new Uint8Array(target.buffer);
}

/** The bytes of an MP4 file with a tenth of a second of silence and no pictures. */
export async function makeSound(): Promise<Uint8Array> {
  registerMediabunnyServer({ hardwareContext: null });
  const source = new AudioSampleSource({ codec: 'aac', bitrate: 64_000 });
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat(), target });
  output.addAudioTrack(source);
  await output.start();
  const sample = new AudioSample({ data: new Float32Array(4800), format: 'f32', numberOfChannels: 1, sampleRate: 48_000, timestamp: 0 });
  await source.add(sample);
  sample.close();
  await output.finalize();
  if (target.buffer === null) throw new Error('the sound was not written');
  return new Uint8Array(target.buffer);
}

function outputFormat(container: NonNullable<VideoRecipe['container']>): OutputFormat {
  switch (container) {
    case 'mp4':
      return new Mp4OutputFormat();
    case 'fragmented-mp4':
      return new Mp4OutputFormat({ fastStart: 'fragmented' });
    case 'mov':
      return new MovOutputFormat();
    case 'mkv':
      return new MkvOutputFormat();
    case 'webm':
      return new WebMOutputFormat();
  }
}

function withAlpha(rgb: Uint8Array): Uint8Array {
  const rgbx = new Uint8Array((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) rgbx.set(rgb.subarray(from, from + 3), to);
  return rgbx;
}
