/** A media file taken apart by libavformat. Runs in the decoder process only: a hostile file can hang or crash it. */
import { closeSync, openSync } from 'node:fs';
import { Codec, Dictionary, FormatContext, InputFormat, type Packet, type Stream } from 'node-av/lib';
import {
  AV_DISPOSITION_ATTACHED_PIC, AV_DISPOSITION_DEFAULT, AV_DISPOSITION_DEPENDENT, AV_DISPOSITION_TIMED_THUMBNAILS, AVDISCARD_ALL, AVMEDIA_TYPE_VIDEO, AVSEEK_FLAG_BACKWARD,
} from 'node-av/constants';
import { FrameSourceError } from './error.js';
import { AVERROR_EAGAIN, AVERROR_EOF, reasonOf } from './libav.node.js';
import { MAX_READ_FAILURES, MAX_TRACKS } from './limits.js';
import type { MediaFile } from './open.node.js';
import { readStart } from './start.node.js';
import type { VideoTrack } from './track.js';

/** Bytes and microseconds that are looked at for a track that says nothing about itself in the first 5 seconds. */
const LONG_LOOK = { probesize: 64 * 2 ** 20, analyzeduration: 60e6 } as const;
/** Bytes that decide whether a file that cannot be opened is media at all. */
const PROBE_BYTES = 2 ** 18;

/**
 * Demuxers that hold no pictures of their own: playlists name other files, and of texts libav would draw the letters. None of them is
 * a file of somebody's video. Drawings in SVG have no decoder here.
 */
const NOT_PICTURES = new Set(['hls', 'dash', 'concat', 'imf', 'sdp', 'rtsp', 'webvtt', 'tty', 'bin', 'xbin', 'adf', 'idf', 'data', 'svg_pipe']);

export class Demuxer {
  readonly #context: FormatContext;
  #failures = 0;

  private constructor(
    readonly name: string,
    context: FormatContext,
  ) {
    this.#context = context;
  }

  /**
   * Opens a file of whatever format libav recognizes. libav is handed a file descriptor and no protocol but that, so that no file can
   * make it open another one or an address.
   *
   * @throws FrameSourceError `not_media`, `media_damaged`.
   */
  static open({ path, name }: Pick<MediaFile, 'path' | 'name'>): Demuxer {
    let context = openContext(path, name, {});
    let ready = false;
    try {
      if (NOT_PICTURES.has(context.iformat?.name ?? '')) throw unknownFormat(name);
      context.findStreamInfoSync(null);
      if (context.streams.some((stream) => isVideo(stream) && stream.codecpar.width === 0)) {
        context.closeInputSync();
        context = openContext(path, name, LONG_LOOK);
        context.findStreamInfoSync(null);
      }
      ready = true;
      return new Demuxer(name, context);
    } finally {
      if (!ready) context.closeInputSync();
    }
  }

  /** libav's short name of the format. */
  get format(): string {
    return this.#context.iformat?.name ?? '';
  }

  /** Seconds the whole file is said to last, or null. */
  get duration_s(): number | null {
    const microseconds = Number(this.#context.duration);
    return microseconds > 0 ? microseconds / 1e6 : null;
  }

  /** All tracks. */
  get streams(): readonly Stream[] {
    return this.#context.streams;
  }

  /** The tracks of pictures. */
  videoTracks(): VideoTrack[] {
    return this.#context.streams.filter(isVideo).map((stream) => ({
      index: stream.index,
      width: stream.codecpar.width,
      height: stream.codecpar.height,
      isDefault: stream.hasDisposition(AV_DISPOSITION_DEFAULT),
      isAside: [AV_DISPOSITION_ATTACHED_PIC, AV_DISPOSITION_TIMED_THUMBNAILS, AV_DISPOSITION_DEPENDENT].some((flag) => stream.hasDisposition(flag)),
      decodable: Codec.findDecoder(stream.codecpar.codecId) !== null,
    }));
  }

  /** From here on only this track's packets are read, as far as the format lets others be passed over. */
  select(index: number): Stream {
    const { streams } = this.#context;
    for (const stream of streams) if (stream.index !== index) stream.discard = AVDISCARD_ALL;
    const chosen = streams.find((stream) => stream.index === index);
    if (chosen === undefined) throw new RangeError(`the file has no track ${index}`);
    return chosen;
  }

  /**
   * Reads the next packet of the file, of any track. `failed`: some bytes were no packet, the next may be one.
   * After MAX_READ_FAILURES in a row the file counts as ended.
   */
  read(packet: Packet): 'packet' | 'failed' | 'end' {
    const result = this.#context.readFrameSync(packet);
    if (result >= 0) {
      this.#failures = 0;
      return 'packet';
    }
    if (result === AVERROR_EOF) return 'end';
    this.#failures += 1;
    if (this.#failures > MAX_READ_FAILURES) return 'end';
    return result === AVERROR_EAGAIN ? this.read(packet) : 'failed';
  }

  /** Goes on at the last key frame at or before this tick of the track's clock. False: the format cannot. */
  seek(index: number, tick: bigint): boolean {
    this.#failures = 0;
    return this.#context.seekFrameSync(index, tick, AVSEEK_FLAG_BACKWARD) >= 0;
  }

  close(): void {
    this.#context.closeInputSync();
  }
}

function openContext(path: string, name: string, more: Readonly<Record<string, number>>): FormatContext {
  const context = new FormatContext();
  context.allocContext();
  const descriptor = openSync(path, 'r');
  try {
    // libav makes a descriptor of its own of the one it is given.
    const options = Dictionary.fromObject({ protocol_whitelist: 'fd', fd: String(descriptor), max_streams: MAX_TRACKS, ...more });
    const result = context.openInputSync('fd:', null, options);
    if (result >= 0) return context;
    const known = InputFormat.probe(readStart(descriptor, PROBE_BYTES));
    if (known === null || NOT_PICTURES.has(known.name ?? '')) throw unknownFormat(name);
    throw new FrameSourceError('media_damaged', `${name} cannot be read (${reasonOf(result)}); the file is damaged. Export or download it again.`);
  } finally {
    closeSync(descriptor);
  }
}

export function unknownFormat(name: string): FrameSourceError {
  return new FrameSourceError('not_media', `${name} is neither a photo nor a video in any format that is known here. Export it as MP4, or a photo as JPEG.`);
}

function isVideo(stream: Stream): boolean {
  return stream.codecpar.codecType === AVMEDIA_TYPE_VIDEO;
}
