/** Finds out what a file's video is: by decoding it where that takes a second, from its packets' headers where it takes longer. */
import { setImmediate } from 'node:timers/promises';
import type { Frame as AvFrame } from 'node-av/lib';
import { AV_FRAME_DATA_DISPLAYMATRIX, AV_PKT_DATA_DISPLAYMATRIX } from 'node-av/constants';
import type { Orientation } from './colour.js';
import { damageWarning } from './damage.js';
import { Demuxer } from './demuxer.node.js';
import { damaged, FrameSourceError } from './error.js';
import { endOfVideo, FrameCounter, meanRate } from './frame-counter.js';
import { seconds } from './libav.node.js';
import { checkDuration, checkSize, MAX_COUNTED_BYTES, MAX_COUNTED_PIXELS, MAX_VIDEO_PIXELS } from './limits.js';
import type { MediaFile } from './open.node.js';
import { orientationOf, shownSize } from './picture.js';
import { repairTimes } from './timeline.js';
import { chooseTrack, choiceWarning, type VideoTrack } from './track.js';
import { TrackDecoder } from './track-decoder.node.js';
import { cutOff } from './truncation.node.js';
import type { FrameSize, VideoInfo } from './types.js';

/** Seconds a frame is shown where neither times nor rate say anything: 25 a second. */
const USUAL_STEP_S = 0.04;
/** Formats whose header says how long the file is; of the others libav guesses. */
const TOLD_BY_HEADER = /^(matroska|flv|asf)/;
/** Seconds, and share of the whole, that the sound of a file may outlast its pictures without a word. */
const UNSAID_S = 0.5;
const UNSAID_SHARE = 0.05;
/** Packets that are passed over between two looks for messages of the program. */
const PACKETS_AT_ONCE = 4096;

export interface TrackFacts {
  readonly info: VideoInfo;
  /** The track's place in the file. */
  readonly track: number;
  readonly orientation: Orientation;
  /** When each frame is shown, from 0 on; null where the frames were not all decoded. */
  readonly starts_s: Float64Array | null;
  /** Seconds on the file's clock at which the first frame is shown. */
  readonly start_s: number;
  /** Seconds a frame is shown by the track's rate. */
  readonly step_s: number;
  readonly warnings: readonly string[];
}

/** A file under reading. */
interface Opened {
  readonly file: MediaFile;
  readonly demuxer: Demuxer;
  readonly decoder: TrackDecoder;
  readonly tracks: readonly VideoTrack[];
  /** The one of `tracks` that is read. */
  readonly track: VideoTrack;
  /** The packets of the track that were read by now. */
  readonly packets: FrameCounter;
}

/** @throws FrameSourceError as `openLibavSource`. */
export async function readTrack(file: MediaFile): Promise<TrackFacts> {
  const demuxer = await open(file);
  let decoder: TrackDecoder | null = null;
  try {
    const tracks = demuxer.videoTracks();
    const track = chooseTrack(tracks);
    if (track === null) {
      throw (await withoutIndex(file)) ?? new FrameSourceError('no_video_track', `${file.name} holds no video track, so there are no frames to look at.`);
    }
    if (track.width > 0) checkSize(file.name, track.width, track.height, MAX_VIDEO_PIXELS);
    const packets = new FrameCounter();
    decoder = new TrackDecoder(demuxer, track.index, ({ time_s, duration_s, hidden }) => {
      if (!hidden) packets.add(time_s, duration_s);
    });
    return await describe({ file, demuxer, decoder, tracks, track, packets });
  } catch (cause) {
    throw cause instanceof FrameSourceError ? cause : damaged(file.name, cause);
  } finally {
    decoder?.close();
    demuxer.close();
  }
}

/** As `Demuxer.open`; where the file is cut off before its index, that is said. */
async function open(file: MediaFile): Promise<Demuxer> {
  try {
    return Demuxer.open(file);
  } catch (error) {
    if (error instanceof FrameSourceError && error.code === 'media_damaged') throw (await withoutIndex(file)) ?? error;
    throw error;
  }
}

/** The error of a file that is cut off before what says how to read it; null where it is not cut off. */
async function withoutIndex(file: MediaFile): Promise<FrameSourceError | null> {
  const cut = await cutOff(file);
  if (cut === null) return null;
  return new FrameSourceError('video_truncated', `${file.name} cannot be read: what is there lacks its index. ${cut} Copy or download it again.`);
}

async function describe({ file, demuxer, decoder, tracks, track, packets }: Opened): Promise<TrackFacts> {
  const { stream } = decoder;
  const cut = await cutOff(file);
  const first = decoder.next();
  if (first === null) {
    if (cut !== null) throw new FrameSourceError('video_truncated', `${file.name} ends before its first frame. ${cut} Copy or download it again.`);
    throw damaged(file.name, new Error('it has a video track without a frame that can be decoded'));
  }
  const { orientation, size } = pictureOf(file.name, first, decoder);
  const step_s = stepOf(decoder);
  const start_s = decoder.timeOf(first) ?? 0;
  const decoded = file.bytes <= MAX_COUNTED_BYTES ? await decodeAll(decoder, first) : null;
  if (file.bytes <= MAX_COUNTED_BYTES && decoded === null) await skim(decoder);

  const warnings = [choiceWarning(tracks, track), cut, decoded === null ? null : damageWarning(decoder.damage)].filter((warning) => warning !== null);
  const common = { track: track.index, orientation, start_s, step_s, warnings };
  const infoOf = (frames: number | null, duration_s: number): VideoInfo => {
    checkDuration(file.name, duration_s);
    // These formats count from zero on their clock, wherever the pictures begin.
    warnings.push(...missingEnd(demuxer, start_s + duration_s));
    if (frames === 1 && (file.isPhoto || isPicture(demuxer, decoder))) return { ...size, duration_s: 0, frames, fps: null, kind: 'photo' };
    const fps = frames === null ? 1 / step_s : meanRate(frames, duration_s);
    return { ...size, duration_s, frames, fps, kind: 'video' };
  };
  const trackEnd_s = start_s + (seconds(stream.duration, stream.timeBase) ?? 0);
  if (decoded !== null) {
    const starts_s = repairTimes(decoded.times_s, step_s);
    const last_s = starts_s.at(-1) as number;
    const end_s = endOfVideo({ frames: starts_s.length, start: 0, lastStart: last_s, end: last_s + decoded.lastDuration_s }, trackEnd_s - start_s);
    return { ...common, starts_s, info: infoOf(starts_s.length, end_s) };
  }
  if (packets.frames > 0 && file.bytes <= MAX_COUNTED_BYTES) {
    return { ...common, starts_s: null, info: infoOf(packets.frames, endOfVideo(packets, trackEnd_s) - start_s) };
  }
  const told = seconds(stream.duration, stream.timeBase);
  const frames = Number(stream.nbFrames);
  return { ...common, starts_s: null, info: infoOf(frames > 0 ? frames : null, told ?? (demuxer.duration_s ?? NaN) - Math.max(start_s, 0)) };
}

/** A warning where the pictures end long before the file should, as those of a recording that was never finished. */
function missingEnd({ format, duration_s: told }: Demuxer, found: number): string[] {
  if (told === null || !TOLD_BY_HEADER.test(format) || told - found <= Math.max(UNSAID_S, UNSAID_SHARE * told)) return [];
  return [`The file says that it lasts ${told.toFixed(2)} s; its pictures end after ${found.toFixed(2)} s.`];
}

function pictureOf(name: string, frame: AvFrame, { stream }: TrackDecoder): { orientation: Orientation; size: FrameSize } {
  const matrix = frame.getSideData(AV_FRAME_DATA_DISPLAYMATRIX) ?? stream.codecpar.getCodedSideData(AV_PKT_DATA_DISPLAYMATRIX);
  const orientation = orientationOf(matrix);
  // What the container says of the pixels' shape counts before what the pictures say.
  const [aspect = 1] = [stream.sampleAspectRatio, frame.sampleAspectRatio].map(({ num, den }) => num / den).filter((value) => value > 0 && value < Infinity);
  checkSize(name, frame.width, frame.height, MAX_VIDEO_PIXELS);
  const size = shownSize(frame, aspect, orientation);
  checkSize(name, size.width, size.height, MAX_VIDEO_PIXELS);
  return { orientation, size };
}

function stepOf({ stream }: TrackDecoder): number {
  for (const { num, den } of [stream.avgFrameRate, stream.rFrameRate]) if (num > 0 && den > 0) return den / num;
  return USUAL_STEP_S;
}

/** The times of all frames on the file's clock, or null where decoding them would take more than MAX_COUNTED_PIXELS. */
async function decodeAll(decoder: TrackDecoder, first: AvFrame): Promise<{ times_s: (number | null)[]; lastDuration_s: number } | null> {
  const times_s: (number | null)[] = [];
  let pixels = 0;
  let lastDuration_s = 0;
  for (let frame: AvFrame | null = first; frame !== null; frame = decoder.next()) {
    pixels += frame.width * frame.height;
    if (pixels > MAX_COUNTED_PIXELS) return null;
    times_s.push(decoder.timeOf(frame));
    lastDuration_s = seconds(frame.duration, decoder.stream.timeBase) ?? 0;
    await setImmediate();
  }
  return { times_s, lastDuration_s };
}

async function skim(decoder: TrackDecoder): Promise<void> {
  let read = 0;
  for (const _ of decoder.skim()) if (++read % PACKETS_AT_ONCE === 0) await setImmediate();
}

/** Whether the file is a picture that libav shows as a video of one frame. */
function isPicture(demuxer: Demuxer, { stream }: TrackDecoder): boolean {
  return /_pipe$|^(image2|gif|apng|webp_anim)/.test(demuxer.format) || stream.avgFrameRate.num === 0;
}
