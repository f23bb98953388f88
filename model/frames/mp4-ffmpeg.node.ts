/** MP4 files by the system's ffmpeg, fed with raw pictures. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { KEY_FRAME_SECONDS, type Mp4Encoder, type Mp4Job } from './mp4-encoder.js';

/** x264's quality: next to no visible loss, so that what is seen is the container's. */
const CRF = 16;
const VERSION_TIMEOUT_MS = 20_000;
/** Of what ffmpeg says before it fails. */
const MESSAGE_LENGTH = 2000;

/** Whether there is an ffmpeg on PATH that encodes H.264. */
export async function ffmpegEncodes(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('ffmpeg', ['-hide_banner', '-encoders'], { timeout: VERSION_TIMEOUT_MS });
    return stdout.includes(' libx264 ');
  } catch {
    return false;
  }
}

/** `rate`: pictures a second as ffmpeg takes it, since raw pictures carry no times of their own. */
export function ffmpegEncoder({ path, size }: Mp4Job, rate: string): Mp4Encoder {
  const input = ['-f', 'rawvideo', '-pixel_format', 'rgb24', '-video_size', `${size.width}x${size.height}`, '-framerate', rate, '-i', 'pipe:0'];
  const tags = 'setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv';
  const colour = ['-vf', `scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,${tags}`];
  const codec = ['-c:v', 'libx264', '-crf', String(CRF), '-force_key_frames', `expr:gte(t,n_forced*${KEY_FRAME_SECONDS})`];
  const child = spawn(
    'ffmpeg',
    ['-hide_banner', '-nostats', '-loglevel', 'error', '-y', ...input, ...colour, ...codec, '-movflags', '+faststart', '-f', 'mp4', `file:${path}`],
    // In a group of its own: an interrupt typed at the terminal is for the program, which stops ffmpeg itself.
    { stdio: ['pipe', 'ignore', 'pipe'], detached: process.platform !== 'win32', windowsHide: true },
  );
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (message = (message + text).slice(-MESSAGE_LENGTH)));
  child.stdin.on('error', () => undefined); // Why it no longer reads is told by its end.
  const ended = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(`ffmpeg could not write the video: ${message.trim().split('\n').at(-1) ?? ''}`);
  });
  ended.catch(() => undefined); // Looked at in add and finish.
  return {
    name: 'ffmpeg',
    async add(data) {
      if (child.stdin.write(data)) return;
      const tooEarly = ended.then(() => Promise.reject(new Error('ffmpeg ended before the video did')));
      // A pipe that breaks says so before ffmpeg's own end does, and says less.
      await Promise.race([once(child.stdin, 'drain').catch(() => tooEarly), tooEarly]);
    },
    async finish() {
      child.stdin.end();
      await ended;
    },
    async cancel() {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}
