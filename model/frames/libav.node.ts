/** FFmpeg's libraries (libav) in this process, through node-av. Loaded in the decoder process and where MP4 files are written. */
import { FFmpegError, Log } from 'node-av/lib';
import { AV_LOG_QUIET } from 'node-av/constants';

export { AVERROR_EAGAIN, AVERROR_EOF } from 'node-av/constants';

// What is wrong with a file is said in errors and warnings, not on the console.
Log.setLevel(AV_LOG_QUIET);

/** What a function of libav returned, unless it is an error. @throws Error with libav's words and the name of what failed. */
export function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${reasonOf(result)}`);
  return result;
}

/** libav's words for an error it returned. */
export function reasonOf(result: number): string {
  return new FFmpegError(result).message;
}

/** A whole number of ticks in seconds, or null where libav says that there is none. */
export function seconds(ticks: bigint, base: { readonly num: number; readonly den: number }): number | null {
  return ticks === NO_TIMESTAMP ? null : (Number(ticks) * base.num) / base.den;
}

/** AV_NOPTS_VALUE. */
const NO_TIMESTAMP = -(2n ** 63n);
