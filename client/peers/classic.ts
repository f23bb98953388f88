/** x264 and x265 through libav in this process, from and to RGB frames: the same libraries on every machine. */
import { Codec, Frame as AvFrame } from 'node-av/lib';
import { AVCOL_RANGE_MPEG, type FFEncoderCodec } from 'node-av/constants';
import { Demuxer } from '../../model/frames/demuxer.node.js';
import { FilterChain } from '../../model/frames/filter-chain.node.js';
import { TrackDecoder } from '../../model/frames/track-decoder.node.js';
import { VideoEncoder } from '../../model/frames/video-encoder.node.js';
import { wallClock, type Clip } from './clip.js';

/** Exact conversion between RGB and the codecs' subsampled YUV, in both directions. */
const EXACT = 'flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp';
/** BT.709 in limited range: what luma is measured in, too. */
const COLOURS = { matrix: 1, transfer: 1, primaries: 1, full: false } as const;
const PIXEL_FORMAT = 'yuv420p';
const TICKS_PER_SECOND = 57_600;
/** Decoding for speed goes over the file this often, so that opening it weighs little. */
const REPEATS = 10;

/** The encoder refuses the frames, as both do with odd sides and very small pictures. */
export class ClassicError extends Error {}

export type ClassicCodec = 'libx264' | 'libx265';

export interface ClassicOptions {
  /** Of the encoder. */
  readonly threads: number;
  /** A clock in seconds. Default: the time that passes. */
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
}

/** Why `codec` cannot be had here; null where it can. */
export function missing(codec: ClassicCodec): string | null {
  return Codec.findEncoderByName(codec as FFEncoderCodec) === null ? `this build of node-av has no ${codec}` : null;
}

/**
 * Writes the clip to the MP4 file `out` at preset medium and the given constant rate factor.
 *
 * @returns seconds it took, conversion from RGB included, and the bytes of its video packets
 * @throws ClassicError when the encoder fails, the signal's reason when it is aborted
 */
export async function encodeClassic(
  clip: Clip,
  codec: ClassicCodec,
  crf: number,
  out: string,
  options: ClassicOptions,
): Promise<{ readonly seconds: number; readonly packetBytes: number }> {
  const { threads, signal, clock = wallClock } = options;
  const started = clock();
  let encoder: VideoEncoder | null = null;
  try {
    encoder = await VideoEncoder.create({
      path: out,
      format: 'mp4',
      codec,
      pixelFormat: PIXEL_FORMAT,
      size: clip.size,
      ticksPerSecond: TICKS_PER_SECOND,
      framesPerSecond: clip.fps,
      threads,
      codecOptions: {
        preset: 'medium',
        crf: String(crf),
        ...(codec === 'libx265' ? { 'x265-params': `log-level=none:info=0:pools=${threads}` } : {}),
      },
      colours: COLOURS,
      filters: `scale=out_color_matrix=bt709:out_range=tv:${EXACT},format=${PIXEL_FORMAT}`,
    });
    for (const [t, frame] of clip.frames.entries()) {
      signal?.throwIfAborted();
      await encoder.add(frame, { start_s: t / clip.fps, duration_s: 1 / clip.fps });
    }
    await encoder.finish();
  } catch (error) {
    signal?.throwIfAborted();
    throw new ClassicError(`${codec}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    await encoder?.cancel();
  }
  return { seconds: clock() - started, packetBytes: encoder.packetBytes };
}

/**
 * The file's frames (height, width, 3), once. `file` is one that `encodeClassic` made: it is decoded in this process.
 */
export function* decodeClassic({ size: { width, height } }: Clip, file: string): Generator<Uint8Array, void, void> {
  const demuxer = Demuxer.open({ path: file, name: file });
  const decoder = new TrackDecoder(demuxer, 0);
  const rgb = new AvFrame();
  rgb.alloc();
  let chain: FilterChain | null = null;
  try {
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
      chain ??= new FilterChain(
        { width, height, format: frame.format, matrix: COLOURS.matrix, range: AVCOL_RANGE_MPEG },
        `scale=${EXACT},format=rgb24`,
      );
      chain.run(frame, rgb);
      yield new Uint8Array(rgb.toBuffer());
      rgb.unref();
    }
  } finally {
    chain?.close();
    rgb.free();
    decoder.close();
    demuxer.close();
  }
}

/** Frames a second of decoding the file to RGB. @throws the signal's reason when it is aborted */
export async function decodeSpeed(
  clip: Clip,
  file: string,
  { signal, clock = wallClock }: ClassicOptions,
): Promise<number> {
  const started = clock();
  let frames = 0;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const frame of decodeClassic(clip, file)) frames += Math.sign(frame.length);
    // Decoding holds the thread: a signal gets its turn here.
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  }
  return frames / (clock() - started);
}
