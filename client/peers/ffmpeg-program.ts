/** Finds the system's ffmpeg and what it can do. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Ffmpeg {
  readonly ffmpeg: string;
  readonly ffprobe: string;
  /** The option that hands every frame on with its own time: its name changed in ffmpeg 5.1. */
  readonly passthrough: readonly [string, string];
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
    const [version] = await Promise.all(
      ['ffmpeg', 'ffprobe'].map((program) => run(program, ['-hide_banner', '-version'], { timeout: VERSION_TIMEOUT_MS })),
    );
    // Builds from a repository carry no number; they are newer than 5.1.
    const [, major, minor] = /version n?(\d+)\.(\d+)/.exec(version?.stdout ?? '') ?? [];
    const old = major !== undefined && (Number(major) < 5 || (Number(major) === 5 && Number(minor) < 1));
    return { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe', passthrough: old ? ['-vsync', 'passthrough'] : ['-fps_mode', 'passthrough'] };
  } catch {
    return null;
  }
}
