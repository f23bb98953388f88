/** Finds the system's ffmpeg. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Ffmpeg {
  readonly ffmpeg: string;
  readonly ffprobe: string;
}

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 20_000;

let found: Promise<Ffmpeg | null> | undefined;
let foundOn: string | undefined;

/** The system's ffmpeg with its ffprobe, or null where either is not on PATH or does not start. Asked once for a PATH. */
export function findFfmpeg(): Promise<Ffmpeg | null> {
  if (found === undefined || foundOn !== process.env['PATH']) {
    foundOn = process.env['PATH'];
    found = probe();
  }
  return found;
}

async function probe(): Promise<Ffmpeg | null> {
  try {
    await Promise.all(['ffmpeg', 'ffprobe'].map((program) => run(program, ['-hide_banner', '-version'], { timeout: VERSION_TIMEOUT_MS })));
    return { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe' };
  } catch {
    return null;
  }
}
