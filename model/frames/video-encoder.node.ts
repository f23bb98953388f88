/** Pictures to an encoded video in a file, by libav in this process. */
import { avGetPixFmtFromName, Codec, CodecContext, Dictionary, FormatContext, Frame as AvFrame, Packet, Rational, type Stream } from 'node-av/lib';
import {
  AV_CODEC_FLAG_GLOBAL_HEADER, AV_PICTURE_TYPE_I, AV_PIX_FMT_RGB24, AV_PKT_DATA_DISPLAYMATRIX, AVCOL_RANGE_JPEG, AVFMT_GLOBALHEADER, type FFEncoderCodec,
} from 'node-av/constants';
import { FilterChain } from './filter-chain.node.js';
import { AVERROR_EAGAIN, AVERROR_EOF, checked } from './libav.node.js';
import type { FrameSize } from './types.js';

/** Encoder threads unless the caller says otherwise: as many as a decoder has. */
const THREADS = 2;

/** The colours of the encoded pictures: code points of ITU-T H.273, and whether black is 0 or 16. */
export interface CodedColours {
  readonly matrix: number;
  readonly transfer: number;
  readonly primaries: number;
  readonly full: boolean;
}

export interface VideoEncoderSettings {
  /** File to write. */
  readonly path: string;
  /** libav's names of the muxer, the encoder and the encoder's pixel format. */
  readonly format: string;
  readonly codec: string;
  readonly pixelFormat: string;
  readonly size: FrameSize;
  /** Times are rounded to this many ticks a second. */
  readonly ticksPerSecond: number;
  /** For rate control, and for what is said in the file. */
  readonly framesPerSecond: number;
  /** Options of the encoder and of the muxer, by libav's names. */
  readonly codecOptions?: Readonly<Record<string, string>>;
  readonly formatOptions?: Readonly<Record<string, string>>;
  readonly colours: CodedColours;
  /** Filters from RGB to the pixel format; by default the ordinary conversion for `colours`. */
  readonly filters?: string;
  /** Width of a pixel over its height, as a fraction. Default 1/1. */
  readonly pixelAspect?: readonly [number, number];
  /** A display matrix, 36 bytes. */
  readonly displayMatrix?: Buffer;
  readonly threads?: number;
}

export interface EncodedTimes {
  readonly start_s: number;
  readonly duration_s: number;
  /** Whether a player can begin here. */
  readonly key?: boolean;
}

export class VideoEncoder {
  readonly #settings: VideoEncoderSettings;
  readonly #format: FormatContext;
  readonly #codec: CodecContext;
  readonly #stream: Stream;
  readonly #chain: FilterChain;
  readonly #coded = new AvFrame();
  readonly #packet = new Packet();
  /** Ticks each picture is shown, by the tick it begins at: encoders hand packets out in another order. */
  readonly #durations = new Map<bigint, bigint>();
  #closed = false;
  #packetBytes = 0;

  private constructor(settings: VideoEncoderSettings, format: FormatContext, codec: CodecContext, stream: Stream, chain: FilterChain) {
    this.#settings = settings;
    this.#format = format;
    this.#codec = codec;
    this.#stream = stream;
    this.#chain = chain;
    this.#coded.alloc();
    this.#packet.alloc();
  }

  /** @throws Error from libav, with what could not be done. */
  static async create(settings: VideoEncoderSettings): Promise<VideoEncoder> {
    const { path, size, colours, pixelFormat } = settings;
    const format = new FormatContext();
    checked(format.allocOutputContext2(null, settings.format, path), 'the video file cannot be made');
    const codec = openEncoder(settings, ((format.oformat?.flags ?? 0) & AVFMT_GLOBALHEADER) !== 0);
    const stream = format.newStream(null);
    stream.timeBase = codec.timeBase;
    stream.avgFrameRate = codec.framerate;
    stream.sampleAspectRatio = codec.sampleAspectRatio;
    checked(stream.codecpar.fromContext(codec), 'the video file cannot be made');
    if (settings.displayMatrix !== undefined) stream.codecpar.addCodedSideData(AV_PKT_DATA_DISPLAYMATRIX, settings.displayMatrix);
    checked(await format.openOutput(), `${path} cannot be written`);
    checked(await format.writeHeader(Dictionary.fromObject({ ...settings.formatOptions })), `${path} cannot be written`);
    const convert = settings.filters ?? `scale=out_color_matrix=${colours.matrix}:out_range=${colours.full ? 'pc' : 'tv'},format=${pixelFormat}`;
    const chain = new FilterChain({ ...size, format: AV_PIX_FMT_RGB24, matrix: 0, range: AVCOL_RANGE_JPEG }, convert);
    return new VideoEncoder(settings, format, codec, stream, chain);
  }

  /** Bytes of the encoded pictures so far, without what the file format adds. */
  get packetBytes(): number {
    return this.#packetBytes;
  }

  /** Takes the next picture, (height, width, 3) bytes of RGB, and waits until it is encoded. @throws Error from libav */
  async add(data: Uint8Array, { start_s, duration_s, key = false }: EncodedTimes): Promise<void> {
    const { size, ticksPerSecond } = this.#settings;
    const input = AvFrame.fromVideoBuffer(Buffer.from(data.buffer, data.byteOffset, data.byteLength), {
      ...size, format: AV_PIX_FMT_RGB24, timeBase: { num: 1, den: ticksPerSecond },
    });
    try {
      this.#chain.run(input, this.#coded);
    } finally {
      input.free();
    }
    const tick = (seconds: number): bigint => BigInt(Math.round(seconds * ticksPerSecond));
    const start = tick(start_s);
    const coded = this.#coded;
    coded.pts = start;
    coded.duration = tick(start_s + duration_s) - start;
    coded.timeBase = new Rational(1, ticksPerSecond);
    if (key) coded.pictType = AV_PICTURE_TYPE_I;
    this.#durations.set(start, coded.duration);
    checked(await this.#codec.sendFrame(coded), 'a picture could not be encoded');
    coded.unref();
    await this.#write();
  }

  /** Completes the file. @throws Error from libav */
  async finish(): Promise<void> {
    checked(await this.#codec.sendFrame(null), 'the video could not be encoded');
    await this.#write();
    checked(await this.#format.writeTrailer(), `${this.#settings.path} could not be completed`);
    await this.cancel();
  }

  /** Stops and lets go of everything; what was written stays. */
  async cancel(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#format.closeOutput();
    this.#format.freeContext();
    this.#codec.freeContext();
    this.#chain.close();
    this.#coded.free();
    this.#packet.free();
  }

  /** Writes the packets that the encoder has ready. */
  async #write(): Promise<void> {
    for (;;) {
      const result = await this.#codec.receivePacket(this.#packet);
      if (result === AVERROR_EAGAIN || result === AVERROR_EOF) return;
      checked(result, 'a picture could not be encoded');
      const { pts, size } = this.#packet;
      this.#packetBytes += size;
      this.#packet.duration = this.#durations.get(pts) ?? this.#packet.duration;
      this.#durations.delete(pts);
      this.#packet.streamIndex = this.#stream.index;
      this.#packet.rescaleTs(this.#codec.timeBase, this.#stream.timeBase);
      checked(await this.#format.interleavedWriteFrame(this.#packet), `${this.#settings.path} could not be written`);
    }
  }
}

function openEncoder(settings: VideoEncoderSettings, globalHeader: boolean): CodecContext {
  const { size, colours, pixelAspect = [1, 1] } = settings;
  const encoder = Codec.findEncoderByName(settings.codec as FFEncoderCodec);
  if (encoder === null) throw new Error(`the encoder ${settings.codec} is not in this build of node-av`);
  const codec = new CodecContext();
  codec.allocContext3(encoder);
  codec.width = size.width;
  codec.height = size.height;
  codec.pixelFormat = avGetPixFmtFromName(settings.pixelFormat);
  codec.timeBase = new Rational(1, settings.ticksPerSecond);
  codec.framerate = new Rational(Math.round(settings.framesPerSecond * 1e6), 1e6);
  codec.sampleAspectRatio = new Rational(...pixelAspect);
  codec.threadCount = settings.threads ?? THREADS;
  for (const [name, value] of Object.entries({
    colorspace: colours.matrix, color_trc: colours.transfer, color_primaries: colours.primaries, color_range: colours.full ? 'pc' : 'tv', ...settings.codecOptions,
  })) {
    codec.setOption(name, String(value));
  }
  if (globalHeader) codec.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
  checked(codec.open2Sync(encoder, null), `the encoder ${settings.codec} refuses its settings`);
  return codec;
}
