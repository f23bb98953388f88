/** What a video is, by the system's ffprobe. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { FrameSourceError } from './error.js';
import type { Ffmpeg } from './ffmpeg-program.node.js';
import { endOfVideo, FrameCounter, meanRate, type ShownFrames } from './frame-counter.js';
import { checkDuration, checkSize, MAX_COUNTED_BYTES, MAX_VIDEO_PIXELS, STALL_S } from './limits.js';
import type { CommonContainer, FfmpegContainer } from './sniff.js';
import type { FrameSize, VideoInfo } from './types.js';

export interface Probe {
  readonly info: VideoInfo;
  /** Pixels of the upright frames as they are coded, before the pixel aspect ratio is applied. */
  readonly coded: FrameSize;
  /** Seconds on the file's clock at which the first frame is shown. */
  readonly start: number;
  /** Seconds on the file's clock at which its first track begins. */
  readonly fileStart: number;
}

interface ProbedStream {
  readonly codec_name?: string;
  readonly codec_tag_string?: string;
  readonly width?: number;
  readonly height?: number;
  readonly sample_aspect_ratio?: string;
  readonly avg_frame_rate?: string;
  readonly nb_frames?: string;
  readonly start_time?: string;
  readonly duration?: string;
  readonly tags?: { readonly rotate?: string };
  readonly side_data_list?: readonly { readonly rotation?: number }[];
}

interface Probed {
  readonly streams?: readonly ProbedStream[];
  readonly format?: { readonly start_time?: string; readonly duration?: string };
}

/** @throws FrameSourceError `no_video_track`, `codec_unsupported`, `too_large`, `media_damaged`. */
export async function probeWithFfprobe(
  file: { readonly name: string; readonly bytes: number },
  container: CommonContainer | FfmpegContainer,
  input: readonly string[],
  programs: Ffmpeg,
): Promise<Probe> {
  const { name } = file;
  const probed = await probe(name, input, programs);
  const stream = probed.streams?.[0];
  if (stream === undefined) throw new FrameSourceError('no_video_track', `${name} holds no video track, so there are no frames to look at.`);
  if (stream.codec_name === undefined || stream.codec_name === 'unknown') {
    const tag = stream.codec_tag_string ?? 'an unknown codec';
    throw new FrameSourceError('codec_unsupported', `The video in ${name} is coded as ${tag}, which ffmpeg does not know. Convert the file to H.264.`);
  }
  const { coded, size } = uprightSizes(stream);
  checkSize(name, coded.width, coded.height, MAX_VIDEO_PIXELS);
  checkSize(name, size.width, size.height, MAX_VIDEO_PIXELS);

  const told = number(stream.duration) ?? number(probed.format?.duration);
  const shown = file.bytes <= MAX_COUNTED_BYTES || told === null ? await readPackets(name, input, programs) : null;
  const start = number(stream.start_time) ?? shown?.start ?? 0;
  // Matroska counts a duration from zero on its clock, the others from their first frame.
  const clockStart = container === 'matroska' ? 0 : start;
  const duration_s = (shown === null ? clockStart + (told ?? NaN) : endOfVideo(shown, clockStart + (number(stream.duration) ?? 0))) - start;
  checkDuration(name, duration_s);
  const frames = shown === null ? wholeNumber(stream.nb_frames) : shown.frames;
  if (frames === 0) throw new FrameSourceError('media_damaged', `${name} has a video track without frames; the file is damaged.`);
  const fps = frames === null ? fraction(stream.avg_frame_rate) : meanRate(frames, duration_s);
  return { info: { ...size, duration_s, frames, fps, kind: 'video' }, coded, start, fileStart: number(probed.format?.start_time) ?? 0 };
}

async function probe(name: string, input: readonly string[], programs: Ffmpeg): Promise<Probed> {
  const entries = 'stream=codec_name,codec_tag_string,width,height,sample_aspect_ratio,avg_frame_rate,nb_frames,start_time,duration:stream_tags=rotate:stream_side_data=rotation:format=start_time,duration';
  let text = '';
  for await (const line of lines(name, programs, ['-select_streams', 'V', '-show_entries', entries, '-of', 'json', ...input])) text += line;
  return JSON.parse(text) as Probed;
}

/** The packets that are shown, from their headers alone. */
async function readPackets(name: string, input: readonly string[], programs: Ffmpeg): Promise<ShownFrames> {
  const shown = new FrameCounter();
  const args = ['-select_streams', 'V:0', '-show_entries', 'packet=pts_time,dts_time,duration_time,flags', '-of', 'csv=p=0', ...input];
  for await (const line of lines(name, programs, args)) {
    const [presentation, decoding, duration, flags] = line.split(',');
    if (flags === undefined || flags.includes('D')) continue; // D: cut away by the file's edit list
    shown.add(number(presentation) ?? number(decoding), number(duration) ?? 0);
  }
  return shown;
}

/** Lines of ffprobe's answer. @throws FrameSourceError `media_damaged` with its last message when it fails. */
async function* lines(name: string, programs: Ffmpeg, args: readonly string[]): AsyncGenerator<string, void, void> {
  const child = spawn(programs.ffprobe, ['-hide_banner', '-v', 'error', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), STALL_S * 1000);
  const exit = once(child, 'close');
  exit.catch(() => undefined); // Looked at below, once the answer has ended.
  let message = '';
  child.stderr.on('data', (chunk: Buffer) => {
    const last = chunk.toString().trim().split('\n').at(-1);
    if (last !== undefined && last !== '') message = last;
  });
  try {
    yield* createInterface({ input: child.stdout });
    const [code] = (await exit) as [number | null];
    if (code !== 0) {
      const reason = message.replace(/^.*?\] /, '') || `ffprobe ended with code ${code}`;
      throw new FrameSourceError('media_damaged', `${name} cannot be read (${reason}); the file is damaged. Export or download it again.`);
    }
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

/** Sizes after a quarter turn; `size` also with the pixel aspect ratio applied: one side grows, as in players. */
function uprightSizes(stream: ProbedStream): { coded: FrameSize; size: FrameSize } {
  const coded = { width: stream.width ?? 0, height: stream.height ?? 0 };
  const aspect = fraction(stream.sample_aspect_ratio?.replace(':', '/')) ?? 1;
  const size = aspect > 1 ? { ...coded, width: Math.round(coded.width * aspect) } : { ...coded, height: Math.round(coded.height / aspect) };
  const rotation = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation ?? number(stream.tags?.rotate) ?? 0;
  const turned = Math.round(Math.abs(rotation) / 90) % 2 === 1;
  const upright = ({ width, height }: FrameSize): FrameSize => (turned ? { width: height, height: width } : { width, height });
  return { coded: upright(coded), size: upright(size) };
}

/** A positive fraction like "30000/1001", or null where it says "unknown" (0/0, 0:1). */
function fraction(text: string | undefined): number | null {
  const [numerator, denominator] = (text ?? '').split('/').map(Number);
  const value = (numerator ?? NaN) / (denominator ?? NaN);
  return Number.isFinite(value) && value > 0 ? value : null;
}

function number(text: string | undefined): number | null {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function wholeNumber(text: string | undefined): number | null {
  const value = number(text);
  return value !== null && Number.isInteger(value) && value > 0 ? value : null;
}
