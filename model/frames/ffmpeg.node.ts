/** Videos through the system's ffmpeg, in a process of its own. */
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { damaged, FrameSourceError } from './error.js';
import { probeWithFfprobe, type Probe } from './ffprobe.node.js';
import type { Ffmpeg } from './ffmpeg-program.node.js';
import { checkFramesOptions } from './limits.js';
import type { MediaFile } from './open.node.js';
import { uniformTimes } from './sampling.js';
import { scaleFilter } from './scale-filter.js';
import type { CommonContainer, FfmpegContainer } from './sniff.js';
import { withinPatience } from './stall.js';
import type { Frame, FrameSource, FramesOptions, VideoInfo } from './types.js';

/** ffmpeg's names of the demuxers. The demuxer is forced: left to guess, ffmpeg would follow playlists to other files. */
const DEMUXERS: Readonly<Record<CommonContainer | FfmpegContainer, string>> = {
  mp4: 'mov',
  matroska: 'matroska',
  avi: 'avi',
  flv: 'flv',
  mpegts: 'mpegts',
  mpeg: 'mpeg',
  asf: 'asf',
  ogg: 'ogg',
  gif: 'gif',
};

/** Frames between two samples from which jumping from key frame to key frame beats decoding all of them. */
const FRAMES_WORTH_A_SEEK = 150;

/** @throws FrameSourceError as `probeWithFfprobe`. */
export async function openWithFfmpeg(
  file: MediaFile,
  container: CommonContainer | FfmpegContainer,
  programs: Ffmpeg,
): Promise<FrameSource> {
  const input = ['-protocol_whitelist', 'file,pipe', '-f', DEMUXERS[container], '-i', `file:${file.path}`];
  const probe = await probeWithFfprobe(file, container, input, programs);
  return new FfmpegSource(file.name, input, programs, probe);
}

class FfmpegSource implements FrameSource {
  readonly info: VideoInfo;
  private closed = false;
  private readonly running = new Set<RawVideo>();

  constructor(
    private readonly name: string,
    private readonly input: readonly string[],
    private readonly programs: Ffmpeg,
    private readonly probe: Probe,
  ) {
    this.info = probe.info;
  }

  async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
    checkFramesOptions(options);
    const { width, height } = options.size ?? this.info;
    let last = -Infinity;
    for (const { before, filters } of this.passes(options.limit)) {
      if (this.closed) throw new FrameSourceError('source_closed', `${this.name} was closed.`);
      const scale = scaleFilter({ width, height }, this.probe.coded);
      const args = [...before, ...this.input, '-map', '0:V:0', '-vf', [...filters, scale, 'format=rgb24', 'showinfo'].join(',')];
      const video = new RawVideo(this.programs, args, width * height * 3);
      this.running.add(video);
      const frames = video.frames();
      try {
        for (;;) {
          if (this.closed) throw new Error('closed');
          const next = await withinPatience(frames.next(), options.signal);
          if (next.done === true) break;
          if (next.value.time <= last) continue;
          last = next.value.time;
          yield { width, height, time_s: Math.max(last - this.probe.start, 0), data: next.value.data };
        }
      } catch (cause) {
        if (options.signal?.aborted === true) throw options.signal.reason;
        if (this.closed) throw new FrameSourceError('source_closed', `${this.name} was closed.`, { cause });
        throw damaged(this.name, cause);
      } finally {
        this.running.delete(video);
        video.kill();
        await frames.return();
      }
    }
    if (last === -Infinity) throw damaged(this.name, new Error('no frame could be decoded'));
  }

  close(): Promise<void> {
    this.closed = true;
    for (const video of this.running) video.kill();
    return Promise.resolve();
  }

  /** The runs of ffmpeg that give the wanted frames: input options and the filters that choose frames. */
  private passes(limit: number | undefined): { before: string[]; filters: string[] }[] {
    const { duration_s, frames, fps } = this.info;
    if (limit === undefined || (frames !== null && frames <= limit)) return [{ before: [], filters: [] }];
    // The frame shown at a time is the first that starts less than a frame's length before it.
    const lead = fps === null ? 0 : 0.99 / fps;
    const expected = frames ?? duration_s * (fps ?? 30);
    if (expected / limit > FRAMES_WORTH_A_SEEK) {
      return uniformTimes(duration_s, limit).map((time) => {
        // ffmpeg counts a seek from the start of the file, of whichever track begins first.
        const seek = Math.max(time + this.probe.start - lead - this.probe.fileStart, 0);
        return { before: ['-ss', seek.toFixed(6)], filters: ['select=eq(n\\,0)'] };
      });
    }
    const stretch = (time: string): string => `floor((${time}-${this.probe.start - lead})/${duration_s / limit}-0.5)`;
    const select = `isnan(prev_selected_t)*gte(${stretch('t')},0)+gt(${stretch('t')},${stretch('prev_selected_t')})`;
    return [{ before: [], filters: [`select='${select}'`] }];
  }
}

/** One run of ffmpeg: pictures come on its standard output, their times, by the showinfo filter, on its standard error. */
class RawVideo {
  private readonly child;
  private readonly times: number[] = [];
  private lastMessage = '';
  private readonly messages: Promise<void>;
  private wake: (() => void) | undefined;
  private messagesEnded = false;

  constructor(
    programs: Ffmpeg,
    args: readonly string[],
    private readonly frameBytes: number,
  ) {
    this.child = spawn(
      programs.ffmpeg,
      ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info', '-copyts', '-threads', '2', '-filter_threads', '1', ...args, ...programs.passthrough, '-f', 'rawvideo', 'pipe:1'],
      // In a group of its own: an interrupt typed at the terminal is for the program, which stops ffmpeg itself.
      { stdio: ['ignore', 'pipe', 'pipe'], detached: process.platform !== 'win32', windowsHide: true },
    );
    this.messages = this.readMessages();
  }

  /** Pictures with their times in seconds on the file's clock. @throws Error with ffmpeg's last message. */
  async *frames(): AsyncGenerator<{ time: number; data: Uint8Array }, void, void> {
    const exit = once(this.child, 'close');
    exit.catch(() => undefined); // Looked at below, once the pictures have ended.
    let data = new Uint8Array(this.frameBytes);
    let filled = 0;
    for await (const chunk of this.child.stdout as AsyncIterable<Buffer>) {
      for (let used = 0; used < chunk.length; ) {
        const part = chunk.subarray(used, used + this.frameBytes - filled);
        data.set(part, filled);
        filled += part.length;
        used += part.length;
        if (filled < this.frameBytes) continue;
        const time = await this.nextTime();
        yield { time, data };
        data = new Uint8Array(this.frameBytes);
        filled = 0;
      }
    }
    const [code] = (await exit) as [number | null];
    await this.messages;
    if (code !== 0) throw new Error(this.lastMessage || `ffmpeg ended with code ${code}`);
    if (filled > 0) throw new Error('ffmpeg ended within a frame');
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private async nextTime(): Promise<number> {
    while (this.times.length === 0 && !this.messagesEnded) await new Promise<void>((resolve) => (this.wake = resolve));
    const time = this.times.shift();
    if (time === undefined) throw new Error('ffmpeg gave a frame without its time');
    return time;
  }

  private async readMessages(): Promise<void> {
    let secondsPerTick = NaN;
    for await (const line of createInterface({ input: this.child.stderr })) {
      const base = /showinfo.*config in time_base: (\d+)\/(\d+)/.exec(line);
      const frame = /showinfo.* n: *\d+ pts: *(-?\d+|NOPTS)/.exec(line);
      if (base !== null) secondsPerTick = Number(base[1]) / Number(base[2]);
      else if (frame !== null) {
        // A picture without a time of its own counts as shown together with the one before it.
        this.times.push(frame[1] === 'NOPTS' ? 0 : Number(frame[1]) * secondsPerTick);
        this.wake?.();
      } else if (!/showinfo|^\s/.test(line) && line !== '') this.lastMessage = line;
    }
    this.messagesEnded = true;
    this.wake?.();
  }
}
