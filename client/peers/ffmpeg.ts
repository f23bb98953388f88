/** x264 and x265 through the system's ffmpeg, from and to raw RGB frames. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { findFfmpeg } from './ffmpeg-program.js';
import type { Clip } from './clip.js';

/** Exact conversion between RGB and the codecs' subsampled YUV, in both directions. */
const CONVERSION = 'scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp';
/** Decoding repeats the file this often, so that the program's start weighs little in frames a second. */
const REPEATS = 10;
const QUIET = ['-hide_banner', '-loglevel', 'error'];
/** The program tells at its end how long it took. */
const TIMED = ['-hide_banner', '-nostats', '-benchmark'];

/** The program ended badly, as some builds do with very small pictures. */
export class FfmpegError extends Error {}

export type ClassicCodec = 'libx264' | 'libx265';

export interface ClassicOptions {
  /** Of the codec. */
  readonly threads: number;
  /** Whether seconds are processor time over `threads` instead of the time that passes. Default false. */
  readonly processorTime?: boolean;
  readonly signal?: AbortSignal;
}

/** Why `codec` cannot be had here; null where it can. */
export async function missing(codec: ClassicCodec): Promise<string | null> {
  const program = await findFfmpeg();
  if (program === null) return 'no ffmpeg on this machine';
  const { stdout } = await promisify(execFile)(program.ffmpeg, ['-hide_banner', '-encoders']);
  return new RegExp(` ${codec} `).test(stdout) ? null : `this machine's ffmpeg was built without ${codec}`;
}

/** Writes the clip to the MP4 file `out` at preset medium and the given constant rate factor. @returns seconds it took */
export async function encodeClassic(clip: Clip, codec: ClassicCodec, crf: number, out: string, options: ClassicOptions): Promise<number> {
  const { threads, signal } = options;
  const { width, height } = clip.size;
  const own = codec === 'libx265' ? ['-x265-params', `log-level=error:info=0:pools=${threads}`] : ['-threads', String(threads)];
  const child = spawn(await program(), [
    ...TIMED, '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`, '-r', String(clip.fps), '-i', 'pipe:0',
    '-vf', CONVERSION, '-c:v', codec, '-preset', 'medium', '-crf', String(crf), '-pix_fmt', 'yuv420p', ...own, out,
  ], { stdio: ['pipe', 'ignore', 'pipe'], ...cancelledBy(signal) });
  const told = endOf(child, signal);
  // It may end before it has read everything, for a reason that its end tells of.
  child.stdin.on('error', () => undefined);
  for (const frame of clip.frames) if (!child.stdin.write(frame)) await Promise.race([once(child.stdin, 'drain'), told]);
  child.stdin.end();
  return secondsTold(await told, options);
}

/** The file's frames (height, width, 3), once. */
export async function* decodeClassic(clip: Clip, file: string): AsyncGenerator<Uint8Array, void, void> {
  const size = clip.size.width * clip.size.height * 3;
  const child = spawn(await program(), [...QUIET, '-i', file, '-vf', CONVERSION, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let frame = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    for (let used = 0; used < chunk.length; ) {
      const part = chunk.subarray(used, used + size - filled);
      frame.set(part, filled);
      filled += part.length;
      used += part.length;
      if (filled < size) continue;
      yield frame;
      frame = new Uint8Array(size);
      filled = 0;
    }
  }
}

/** Frames a second of decoding the file to RGB. */
export async function decodeSpeed(clip: Clip, file: string, options: ClassicOptions): Promise<number> {
  const { threads, signal } = options;
  const child = spawn(await program(), [
    ...TIMED, '-stream_loop', String(REPEATS - 1), '-threads', String(threads), '-i', file, '-vf', CONVERSION, '-pix_fmt', 'rgb24', '-f', 'null', '-',
  ], { stdio: ['ignore', 'ignore', 'pipe'], ...cancelledBy(signal) });
  return (clip.frames.length * REPEATS) / secondsTold(await endOf(child, signal), options);
}

async function program(): Promise<string> {
  const found = await findFfmpeg();
  if (found === null) throw new Error('there is no ffmpeg on PATH');
  return found.ffmpeg;
}

function cancelledBy(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** What the program tells until its end. @throws the signal's reason when it is aborted, and what the program says when it fails */
async function endOf(child: ChildProcess, signal: AbortSignal | undefined): Promise<string> {
  let told = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text));
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new FfmpegError(`ffmpeg failed: ${told.trim().split('\n').at(-1) ?? `code ${code}`}`);
    return told;
  } catch (error) {
    // A program that was stopped fails with an error of its own; the signal's reason says more.
    signal?.throwIfAborted();
    throw error;
  }
}

function secondsTold(told: string, { threads, processorTime = false }: ClassicOptions): number {
  const [, user, system, passed] = /bench: utime=([\d.]+)s stime=([\d.]+)s rtime=([\d.]+)s/.exec(told) ?? [];
  if (user === undefined || system === undefined || passed === undefined) throw new Error('ffmpeg did not tell how long it took');
  return processorTime ? (Number(user) + Number(system)) / threads : Number(passed);
}
