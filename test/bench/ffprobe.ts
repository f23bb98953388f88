/** The system's ffprobe, where there is one: a judge of what our reader counts. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 20_000;

/** Whether ffprobe is on PATH and starts. */
export async function hasFfprobe(): Promise<boolean> {
  return run('ffprobe', ['-hide_banner', '-version'], { timeout: VERSION_TIMEOUT_MS }).then(
    () => true,
    () => false,
  );
}

/** Frames that ffprobe decodes of the file's largest track of pictures; "-" where it reads none. */
export async function probedFrames(file: string): Promise<string> {
  const { stdout } = await run('ffprobe', [
    '-v',
    'quiet',
    '-count_frames',
    '-select_streams',
    'V',
    '-show_entries',
    'stream=nb_read_frames',
    '-of',
    'csv=p=0',
    file,
  ]).catch(() => ({ stdout: '' }));
  const counts = stdout
    .split(/[^\d]+/)
    .filter((count) => count !== '')
    .map(Number);
  return counts.length === 0 ? '-' : String(Math.max(...counts));
}
