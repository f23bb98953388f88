/**
 * MP4, MOV, MKV and WebM through mediabunny, decoded by its server package. Runs in the decoder process only: a damaged
 * file can make the demuxer loop for ever or the native decoders fail.
 */
import { registerMediabunnyServer } from '@mediabunny/server';
import { EncodedPacketSink, FilePathSource, Input, type InputVideoTrack, Logging, LogLevel, MATROSKA, MP4, QTFF, type VideoSample, VideoSampleSink, WEBM } from 'mediabunny';
import { damaged, FrameSourceError } from './error.js';
import { endOfVideo, FrameCounter, meanRate, type ShownFrames } from './frame-counter.js';
import { checkDuration, checkFramesOptions, checkSize, MAX_COUNTED_BYTES, MAX_VIDEO_PIXELS } from './limits.js';
import type { MediaFile } from './open.node.js';
import { uniformTimes } from './sampling.js';
import { type Orientation, RgbScaler } from './scaler.node.js';
import type { CommonContainer } from './sniff.js';
import type { Frame, FrameSource, FramesOptions, VideoInfo } from './types.js';

/** Packets that tell the frame rate of a file too long to count. */
const PACKETS_FOR_RATE = 256;

/** @throws FrameSourceError `no_video_track`, `codec_unsupported`, `too_large`, `media_damaged`. */
export async function openMediabunnySource({ path, name, bytes }: MediaFile, container: CommonContainer): Promise<FrameSource> {
  registerMediabunnyServer({ hardwareContext: null });
  // What is wrong with a file is said in the errors below, not on the console.
  Logging.level = LogLevel.Errors;
  const input = new Input({
    // Read errors reach whoever waits for the data; one that nobody waits for any more must not end the process.
    source: new FilePathSource(path, { handleUnhandledError: () => undefined }),
    formats: container === 'mp4' ? [MP4, QTFF] : [MATROSKA, WEBM],
  });
  try {
    const track = await videoTrack(input, name);
    const { info, orientation, start } = await describe(track, name, bytes);
    return new MediabunnySource(name, input, track, info, orientation, start);
  } catch (cause) {
    input.dispose();
    throw cause instanceof FrameSourceError ? cause : damaged(name, cause);
  }
}

class MediabunnySource implements FrameSource {
  private closed = false;

  constructor(
    private readonly name: string,
    private readonly input: Input,
    private readonly track: InputVideoTrack,
    readonly info: VideoInfo,
    private readonly orientation: Orientation,
    /** Seconds on the track's clock when the first frame is shown. */
    private readonly start: number,
  ) {}

  async *frames(options: FramesOptions = {}): AsyncGenerator<Frame, void, void> {
    checkFramesOptions(options);
    const { width, height } = options.size ?? this.info;
    const scaler = new RgbScaler({ width, height }, this.orientation);
    const samples = this.samples(options.limit);
    let last = -Infinity;
    try {
      for (;;) {
        if (this.closed) throw new FrameSourceError('source_closed', `${this.name} was closed.`);
        const next = await samples.next();
        if (next.done === true) break;
        const sample = next.value;
        // Null before the first frame; the same frame again where `limit` asks for more than there are.
        if (sample === null) continue;
        const timestamp = sample.timestamp;
        let data: Uint8Array;
        try {
          if (timestamp <= last) continue;
          data = await scaler.toRgb(sample);
        } finally {
          sample.close();
        }
        last = timestamp;
        yield { width, height, time_s: Math.max(timestamp - this.start, 0), data };
      }
      if (last === -Infinity) throw new Error('no frame could be decoded');
    } catch (cause) {
      if (cause instanceof FrameSourceError) throw cause;
      if (this.closed) throw new FrameSourceError('source_closed', `${this.name} was closed.`, { cause });
      throw damaged(this.name, cause);
    } finally {
      await samples.return();
      scaler.close();
    }
  }

  close(): Promise<void> {
    if (!this.closed) this.input.dispose();
    this.closed = true;
    return Promise.resolve();
  }

  private samples(limit: number | undefined): AsyncGenerator<VideoSample | null, void, unknown> {
    const sink = new VideoSampleSink(this.track, { hardwareAcceleration: 'prefer-software' });
    if (limit === undefined || (this.info.frames !== null && this.info.frames <= limit)) return sink.samples(this.start);
    return sink.samplesAtTimestamps(uniformTimes(this.info.duration_s, limit).map((time) => this.start + time));
  }
}

async function videoTrack(input: Input, name: string): Promise<InputVideoTrack> {
  const track = await input.getPrimaryVideoTrack();
  if (track === null) {
    throw new FrameSourceError('no_video_track', `${name} holds no video track, so there are no frames to look at.`);
  }
  if (!(await track.canDecode())) {
    const codec = (await track.getCodec()) ?? String((await track.getInternalCodecId()) ?? 'an unknown codec');
    throw new FrameSourceError(
      'codec_unsupported',
      `The video in ${name} is coded as ${codec}, which the built-in decoder does not read. Install ffmpeg on this machine's PATH, or convert the file to H.264.`,
    );
  }
  return track;
}

async function describe(track: InputVideoTrack, name: string, bytes: number): Promise<{ info: VideoInfo; orientation: Orientation; start: number }> {
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
  checkSize(name, width, height, MAX_VIDEO_PIXELS);
  checkSize(name, await track.getCodedWidth(), await track.getCodedHeight(), MAX_VIDEO_PIXELS);
  // What lies before zero on the track's clock has been cut away by the file and is not shown.
  const start = Math.max(await track.getFirstTimestamp(), 0);
  const trackEnd = await track.computeDuration();
  const shown = bytes <= MAX_COUNTED_BYTES ? await countFrames(track) : null;
  const duration_s = (shown === null ? trackEnd : endOfVideo(shown, trackEnd)) - start;
  checkDuration(name, duration_s);
  const frames = shown?.frames ?? null;
  if (frames === 0) throw new FrameSourceError('media_damaged', `${name} has a video track without frames; the file is damaged.`);
  const fps = frames === null ? (await track.computePacketStats(PACKETS_FOR_RATE)).averagePacketRate : meanRate(frames, duration_s);
  return {
    info: { width, height, duration_s, frames, fps, kind: 'video' },
    orientation: { rotation: await track.getRotation(), flip: await track.getFlip() },
    start,
  };
}

/** The frames that are shown, from the packets' headers alone. */
async function countFrames(track: InputVideoTrack): Promise<ShownFrames> {
  const shown = new FrameCounter();
  for await (const { timestamp, duration } of new EncodedPacketSink(track).packets(undefined, undefined, { metadataOnly: true })) {
    if (timestamp >= 0 || timestamp + duration > 0) shown.add(timestamp, duration);
  }
  return shown;
}
