/** The frames of one track, decoded by libavcodec. Runs in the decoder process only. */
import { Codec, CodecContext, Frame as AvFrame, Packet, type Stream } from 'node-av/lib';
import { AV_PKT_FLAG_CORRUPT, AV_PKT_FLAG_DISCARD } from 'node-av/constants';
import type { Damage } from './damage.js';
import type { Demuxer } from './demuxer.node.js';
import { FrameSourceError } from './error.js';
import { AVERROR_EAGAIN, AVERROR_EOF, reasonOf, seconds } from './libav.node.js';
import { MAX_FLUSH_FAILURES, MAX_PACKETS, MAX_VIDEO_PIXELS } from './limits.js';

/** Decoder threads: an encode needs the other cores, and each thread of a decoder holds frames of its own. */
const THREADS = 2;

/** What a packet's header says, without decoding it. */
export interface PacketTimes {
  /** Seconds on the file's clock, or null. */
  readonly time_s: number | null;
  /** Seconds; 0 where unknown. */
  readonly duration_s: number;
  /** Whether the file's edit list cuts its frames away. */
  readonly hidden: boolean;
}

export class TrackDecoder {
  readonly damage: Damage = { packets: 0, frames: 0, reads: 0 };
  readonly #demuxer: Demuxer;
  readonly #stream: Stream;
  readonly #codec: CodecContext;
  readonly #packet = new Packet();
  readonly #frame = new AvFrame();
  #packets = 0;
  #draining = false;
  #flushFailures = 0;

  /** @param onPacket is told of every packet of the track. @throws FrameSourceError `codec_unsupported`. */
  constructor(
    demuxer: Demuxer,
    index: number,
    private readonly onPacket: (times: PacketTimes) => void = () => undefined,
  ) {
    this.#demuxer = demuxer;
    this.#stream = demuxer.select(index);
    this.#codec = openCodec(this.#stream, demuxer.name);
    this.#packet.alloc();
    this.#frame.alloc();
  }

  get stream(): Stream {
    return this.#stream;
  }

  /** The next frame in the order of showing, or null after the last. It is this decoder's and valid until the next call. */
  next(): AvFrame | null {
    for (;;) {
      this.#frame.unref();
      const result = this.#codec.receiveFrameSync(this.#frame);
      if (result >= 0) {
        if (this.#frame.decodeErrorFlags !== 0) this.damage.frames += 1;
        return this.#frame;
      }
      if (result === AVERROR_EOF) return null;
      if (result !== AVERROR_EAGAIN) {
        this.damage.packets += 1;
        if (this.#draining && ++this.#flushFailures > MAX_FLUSH_FAILURES) return null;
      }
      if (!this.#draining) this.#feed();
      else if (result === AVERROR_EAGAIN) return null;
    }
  }

  /** Seconds on the file's clock at which the frame is shown, or null where the file does not say. */
  timeOf(frame: AvFrame): number | null {
    return seconds(frame.bestEffortTimestamp, this.#stream.timeBase);
  }

  /** Reads the rest of the packets without decoding them. */
  *skim(): Generator<void, void, void> {
    while (this.#read()) yield;
  }

  /** Goes on at the last key frame at or before `time_s` on the file's clock. False: the format cannot. */
  seek(time_s: number): boolean {
    const { num, den } = this.#stream.timeBase;
    if (!this.#demuxer.seek(this.#stream.index, BigInt(Math.floor((time_s * den) / num)))) return false;
    this.#codec.flushBuffers();
    this.#draining = false;
    return true;
  }

  close(): void {
    this.#packet.free();
    this.#frame.free();
    this.#codec.freeContext();
  }

  /** Hands the decoder a packet, or at the end of the file the sign to give out what it still holds. */
  #feed(): void {
    const found = this.#read();
    const result = this.#codec.sendPacketSync(found ? this.#packet : null);
    this.#draining = !found;
    if (found && result < 0) this.damage.packets += 1;
  }

  /** Reads the track's next packet. False: there is none. */
  #read(): boolean {
    for (;;) {
      this.#packet.unref();
      const result = this.#packets < MAX_PACKETS ? this.#demuxer.read(this.#packet) : 'end';
      if (result === 'end') return false;
      this.#packets += 1;
      if (result === 'failed') this.damage.reads += 1;
      else if (this.#packet.streamIndex === this.#stream.index) break;
    }
    const { pts, dts, duration, flags } = this.#packet;
    if ((flags & AV_PKT_FLAG_CORRUPT) !== 0) this.damage.reads += 1;
    const base = this.#stream.timeBase;
    this.onPacket({ time_s: seconds(pts, base) ?? seconds(dts, base), duration_s: seconds(duration, base) ?? 0, hidden: (flags & AV_PKT_FLAG_DISCARD) !== 0 });
    return true;
  }
}

/** A decoder for the track. @throws FrameSourceError `codec_unsupported`. */
export function openCodec(stream: Stream, name: string): CodecContext {
  const { codecpar } = stream;
  const decoder = Codec.findDecoder(codecpar.codecId);
  const unsupported = (reason: string): FrameSourceError =>
    new FrameSourceError('codec_unsupported', `The video in ${name} is coded as ${codecName(stream)}, which ${reason}. Convert the file to H.264.`);
  if (decoder === null) throw unsupported('no decoder here reads');
  const codec = new CodecContext();
  codec.allocContext3(decoder);
  codec.parametersToContext(codecpar);
  codec.pktTimebase = stream.timeBase;
  codec.threadCount = THREADS;
  // A picture that grows in mid-stream is held to the same limit as the one in the header.
  codec.setOption('max_pixels', MAX_VIDEO_PIXELS);
  // No options are handed to open2: node-av 6.1 frees them twice.
  const result = codec.open2Sync(decoder, null);
  if (result >= 0) return codec;
  codec.freeContext();
  throw unsupported(`its decoder does not accept (${reasonOf(result)})`);
}

/** The codec as people name it, else the four letters that the container gives. */
function codecName({ codecpar }: Stream): string {
  const known = codecpar.codecId === 0 ? null : Codec.findDecoder(codecpar.codecId)?.name;
  return known ?? `"${(codecpar.codecTagString ?? '').replace(/[^\x20-\x7e]/g, '?') || 'unknown'}"`;
}
