/** x264 and x265 through ffmpeg, from and to raw RGB frames. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Clip } from '../clip.js';

/** The program: FFMPEG names it, otherwise it is looked for on PATH. */
const FFMPEG = process.env['FFMPEG'] ?? 'ffmpeg';
/** Exact conversion between RGB and the codecs' subsampled YUV, in both directions. */
const CONVERSION = 'scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp';
/** Decoding repeats the file this often, so that the program's start weighs little in frames a second. */
const REPEATS = 10;

export type ClassicCodec = 'libx264' | 'libx265';

/** Why `codec` cannot be benched here; null where it can. */
export async function missing(codec: ClassicCodec): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(FFMPEG, ['-hide_banner', '-encoders']);
    return new RegExp(` ${codec} `).test(stdout) ? null : `ffmpeg without ${codec}`;
  } catch {
    return 'no ffmpeg';
  }
}

/** Writes the clip to the MP4 file `out` at preset medium and the given constant rate factor. */
export async function encodeClassic(clip: Clip, codec: ClassicCodec, crf: number, threads: number, out: string): Promise<void> {
  const { width, height } = clip.size;
  const own = codec === 'libx265' ? ['-x265-params', `log-level=error:info=0:pools=${threads}`] : ['-threads', String(threads)];
  const child = spawn(FFMPEG, [
    '-hide_banner', '-loglevel', 'error', '-y', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`, '-r', String(clip.fps), '-i', 'pipe:0',
    '-vf', CONVERSION, '-c:v', codec, '-preset', 'medium', '-crf', String(crf), '-pix_fmt', 'yuv420p', ...own, out,
  ], { stdio: ['pipe', 'ignore', 'inherit'] });
  const exit = once(child, 'close');
  for (const frame of clip.frames) if (!child.stdin.write(frame)) await Promise.race([once(child.stdin, 'drain'), exit]);
  child.stdin.end();
  const [code] = (await exit) as [number | null];
  if (code !== 0) throw new Error(`${FFMPEG} could not encode with ${codec} (code ${code})`);
}

/** The file's frames (height, width, 3), once. */
export async function* decodeClassic(clip: Clip, file: string): AsyncGenerator<Uint8Array, void, void> {
  const size = clip.size.width * clip.size.height * 3;
  const child = spawn(FFMPEG, ['-hide_banner', '-loglevel', 'error', '-i', file, '-vf', CONVERSION, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'], { stdio: ['ignore', 'pipe', 'inherit'] });
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
export async function decodeSpeed(clip: Clip, file: string, threads: number): Promise<number> {
  const started = performance.now();
  await promisify(execFile)(FFMPEG, [
    '-hide_banner', '-loglevel', 'error', '-stream_loop', String(REPEATS - 1), '-threads', String(threads), '-i', file, '-vf', CONVERSION, '-pix_fmt', 'rgb24', '-f', 'null', '-',
  ]);
  return (clip.frames.length * REPEATS) / ((performance.now() - started) / 1000);
}
