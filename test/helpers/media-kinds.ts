/** A file of each kind that people have, made on the spot: containers, codecs, clocks, colors, sizes and damage. */
import sharp, { type Sharp } from 'sharp';
import { makeVideo, movingPicture, type VideoRecipe } from './videos.js';

export interface MediaKind {
  readonly name: string;
  /** Frames that were put in, or of damaged files about those that are left; null: as many as can be decoded. */
  readonly frames: number | null;
  make(): Promise<Uint8Array>;
}

const FRAMES = 12;
const BT709 = { matrix: 1, transfer: 1, primaries: 1 } as const;
type Settings = NonNullable<VideoRecipe['settings']>;

/** Twelve moving frames at 25 a second, 96 x 64 pixels, as libav's muxer and encoder of these names write them. */
function clip(format: string, codec: string, pixelFormat: string, settings: Settings = {}, recipe: VideoRecipe = {}): Promise<Buffer> {
  const { width = 96, height = 64 } = recipe;
  return makeVideo({
    times: Array.from({ length: FRAMES }, (_, index) => index / 25), lastDuration: 0.04, picture: movingPicture, ...recipe,
    width, height, settings: { format, codec, pixelFormat, ticksPerSecond: 25, codecOptions: {}, formatOptions: {}, ...settings },
  });
}

function kind(name: string, frames: number | null, make: () => Promise<Uint8Array>): MediaKind {
  return { name, frames, make };
}

const coded = (name: string, ...parameters: Parameters<typeof clip>): MediaKind => kind(name, FRAMES, () => clip(...parameters));

const bFrames = { codecOptions: { bf: '2' } };
const x265 = { codecOptions: { 'x265-params': 'log-level=none' } };
const quarterVga = { width: 176, height: 144 };

const containers: readonly MediaKind[] = [
  coded('MP4, H.264 with B-frames', 'mp4', 'libx264', 'yuv420p', bFrames),
  coded('MP4, HEVC', 'mp4', 'libx265', 'yuv420p', x265),
  coded('MP4, AV1', 'mp4', 'libsvtav1', 'yuv420p', { codecOptions: { preset: '10' } }),
  coded('MP4, MPEG-4 part 2', 'mp4', 'mpeg4', 'yuv420p', bFrames),
  coded('MP4, Motion JPEG', 'mp4', 'mjpeg', 'yuvj420p'),
  coded('MP4, VP9', 'mp4', 'libvpx-vp9', 'yuv420p'),
  coded('MP4 in fragments', 'mp4', 'libx264', 'yuv420p', { formatOptions: { movflags: '+frag_keyframe+empty_moov' } }),
  coded('MP4, 10 bits 4:2:2', 'mp4', 'libx264', 'yuv422p10le'),
  coded('MOV, ProRes', 'mov', 'prores_ks', 'yuv422p10le'),
  coded('MOV, Animation', 'mov', 'qtrle', 'rgb24'),
  coded('MOV, PNG', 'mov', 'png', 'rgb24'),
  coded('MOV, DNxHD', 'mov', 'dnxhd', 'yuv422p', { codecOptions: { profile: 'dnxhr_sq' } }, { width: 256, height: 128 }),
  coded('3GP, H.263', '3gp', 'h263', 'yuv420p', {}, quarterVga),
  coded('3GP, MPEG-4 part 2', '3gp', 'mpeg4', 'yuv420p', {}, quarterVga),
  coded('Matroska, H.264', 'matroska', 'libx264', 'yuv420p', bFrames),
  coded('Matroska, FFV1', 'matroska', 'ffv1', 'yuv444p'),
  coded('Matroska, HuffYUV', 'matroska', 'huffyuv', 'yuv422p'),
  coded('Matroska, written live', 'matroska', 'libx264', 'yuv420p', { formatOptions: { live: '1' } }),
  coded('WebM, VP8', 'webm', 'libvpx', 'yuv420p'),
  coded('WebM, VP9 with hidden frames', 'webm', 'libvpx-vp9', 'yuv420p', { codecOptions: { 'auto-alt-ref': '1', 'lag-in-frames': '10' } }),
  coded('WebM, VP8 with transparency', 'webm', 'libvpx', 'yuva420p', { codecOptions: { 'auto-alt-ref': '0' } }),
  coded('AVI, MPEG-4 with B-frames', 'avi', 'mpeg4', 'yuv420p', bFrames),
  coded('AVI, MS MPEG-4', 'avi', 'msmpeg4v2', 'yuv420p'),
  coded('AVI, Motion JPEG', 'avi', 'mjpeg', 'yuvj422p'),
  coded('AVI, H.264 with B-frames', 'avi', 'libx264', 'yuv420p', bFrames),
  coded('AVI, raw', 'avi', 'rawvideo', 'bgr24'),
  coded('AVI, Cinepak', 'avi', 'cinepak', 'rgb24'),
  coded('FLV, Sorenson', 'flv', 'flv', 'yuv420p'),
  coded('FLV, H.264', 'flv', 'libx264', 'yuv420p', bFrames),
  coded('SWF', 'swf', 'flv', 'yuv420p'),
  coded('WMV 2', 'asf', 'wmv2', 'yuv420p'),
  coded('WMV 1', 'asf', 'wmv1', 'yuv420p'),
  coded('RealVideo', 'rm', 'rv10', 'yuv420p', {}, quarterVga),
  coded('transport stream, H.264', 'mpegts', 'libx264', 'yuv420p', bFrames),
  coded('transport stream, MPEG-2', 'mpegts', 'mpeg2video', 'yuv420p', bFrames),
  coded('transport stream, HEVC', 'mpegts', 'libx265', 'yuv420p', x265),
  coded('MPEG-1', 'mpeg', 'mpeg1video', 'yuv420p'),
  coded('VOB, MPEG-2', 'vob', 'mpeg2video', 'yuv420p', bFrames),
  coded('MXF, MPEG-2', 'mxf', 'mpeg2video', 'yuv420p'),
  coded('DV', 'dv', 'dvvideo', 'yuv420p', { pixelAspect: [16, 15] }, { width: 720, height: 576 }),
  coded('NUT', 'nut', 'mpeg4', 'yuv420p'),
  coded('IVF, VP8', 'ivf', 'libvpx', 'yuv420p'),
  coded('IVF, VP9', 'ivf', 'libvpx-vp9', 'yuv420p'),
  coded('Ogg, Theora', 'ogg', 'libtheora', 'yuv420p'),
  coded('raw H.264', 'h264', 'libx264', 'yuv420p', bFrames),
  coded('raw HEVC', 'hevc', 'libx265', 'yuv420p', x265),
  coded('raw MPEG-4 part 2', 'm4v', 'mpeg4', 'yuv420p'),
  coded('raw Motion JPEG', 'mjpeg', 'mjpeg', 'yuvj420p'),
  coded('Y4M', 'yuv4mpegpipe', 'wrapped_avframe', 'yuv420p'),
  coded('GIF', 'gif', 'gif', 'rgb8'),
  coded('APNG', 'apng', 'apng', 'rgba'),
  coded('animated WebP', 'webp', 'libwebp_anim', 'yuva420p'),
];

/** Bytes of two raw streams one after the other: the size changes midway. */
async function twoSizes(): Promise<Uint8Array> {
  const of = (width: number, height: number): Promise<Buffer> => clip('mpegts', 'libx264', 'yuv420p', { codecOptions: { bf: '0' } }, { width, height });
  return Buffer.concat([await of(96, 64), await of(128, 96)]);
}

/** An MP4 whose table of composition times is renamed, so that nobody finds it. */
async function withoutTimes(): Promise<Uint8Array> {
  const bytes = await clip('mp4', 'libx264', 'yuv420p', bFrames);
  bytes.write('free', bytes.indexOf('ctts'), 'latin1');
  return bytes;
}

const hdr = (transfer: number): Settings => ({ ...x265, colours: { matrix: 9, transfer, primaries: 9, full: false }, filters: 'scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le' });

const oddities: readonly MediaKind[] = [
  kind('a rate that changes', 8, () => clip('mp4', 'libx264', 'yuv420p', { ticksPerSecond: 1000 }, { times: [0, 0.04, 0.08, 0.12, 0.4, 0.7, 1.2, 1.3] })),
  kind('a clock that begins at 3 s', 3, () => clip('matroska', 'libx264', 'yuv420p', { ticksPerSecond: 1000 }, { times: [3, 3.04, 3.08] })),
  kind('a clock that begins before 0', 3, () => clip('matroska', 'libx264', 'yuv420p', { ticksPerSecond: 1000, formatOptions: { avoid_negative_ts: 'disabled' } }, { times: [-0.08, -0.04, 0] })),
  kind('composition times lost', null, withoutTimes),
  coded('quarter turn', 'mp4', 'libx264', 'yuv420p', {}, { rotation: 90 }),
  coded('oblong pixels', 'mp4', 'libx264', 'yuv420p', {}, { display: { width: 128, height: 64 } }),
  coded('HDR, hybrid log-gamma', 'mp4', 'libx265', 'yuv420p10le', hdr(18)),
  coded('HDR, PQ', 'mp4', 'libx265', 'yuv420p10le', hdr(16)),
  coded('BT.601 in full range', 'mp4', 'libx264', 'yuv420p', { colours: { ...BT709, matrix: 5, full: true } }),
  coded('gray of 10 bits', 'matroska', 'ffv1', 'gray10le'),
  kind('a size that changes', 2 * FRAMES, twoSizes),
  kind('one frame', 1, () => clip('mp4', 'libx264', 'yuv420p', {}, { times: [0] })),
  coded('2 x 2 pixels', 'matroska', 'ffv1', 'yuv420p', {}, { width: 2, height: 2 }),
  coded('200 x 2400 pixels', 'mp4', 'libx264', 'yuv420p', {}, { width: 200, height: 2400 }),
];

/** What `part` of the bytes: the share that is kept of the end of a file, or of its start. */
const cut = async (bytes: Promise<Uint8Array>, from: number, to: number): Promise<Uint8Array> => {
  const whole = await bytes;
  return whole.subarray(Math.round(whole.length * from), Math.round(whole.length * to));
};

/** Changes a byte of every thousand behind the headers. */
async function flipped(bytes: Promise<Uint8Array>): Promise<Uint8Array> {
  const copy = (await bytes).slice();
  for (let at = 3000; at < copy.length; at += 1000) copy[at] = (copy[at] as number) ^ 0x55;
  return copy;
}

const front = { formatOptions: { movflags: '+faststart' } };
const damaged: readonly MediaKind[] = [
  kind('MP4 with changed bytes', null, () => flipped(clip('mp4', 'libx264', 'yuv420p', front))),
  kind('AVI with changed bytes', null, () => flipped(clip('avi', 'mpeg4', 'yuv420p'))),
  kind('transport stream with changed bytes', null, () => flipped(clip('mpegts', 'mpeg2video', 'yuv420p'))),
  kind('MP4 cut off, index first', null, () => cut(clip('mp4', 'libx264', 'yuv420p', front), 0, 0.7)),
  kind('fragments cut off', null, () => cut(clip('mp4', 'libx264', 'yuv420p', { formatOptions: { movflags: '+frag_every_frame+empty_moov' } }), 0, 0.7)),
  kind('live Matroska cut off', null, () => cut(clip('matroska', 'libx264', 'yuv420p', { formatOptions: { live: '1' } }), 0, 0.7)),
  kind('AVI cut off', null, () => cut(clip('avi', 'mjpeg', 'yuvj420p'), 0, 0.7)),
  kind('transport stream joined midway', null, () => cut(clip('mpegts', 'mpeg2video', 'yuv420p', { codecOptions: { g: '3' } }), 0.31, 1)),
  kind('GIF that ends early', null, () => cut(clip('gif', 'gif', 'rgb8'), 0, 0.7)),
];

const picture = (width: number, height: number): Sharp => sharp(movingPicture(3, width, height), { raw: { width, height, channels: 3 } });
const still = (name: string, format: string, codec: string, pixelFormat: string): MediaKind =>
  kind(name, 1, () => clip(format, codec, pixelFormat, {}, { times: [0] }));

const photos: readonly MediaKind[] = [
  ...(['jpeg', 'png', 'webp', 'tiff', 'avif'] as const).map((format) => kind(`photo, ${format.toUpperCase()}`, 1, () => picture(96, 64).toFormat(format).toBuffer())),
  still('photo, BMP', 'image2pipe', 'bmp', 'bgr24'),
  still('photo, JPEG XL', 'image2pipe', 'libjxl', 'rgb24'),
  still('photo, JPEG 2000', 'image2pipe', 'jpeg2000', 'rgb24'),
  still('photo, GIF of one picture', 'gif', 'gif', 'rgb8'),
  kind('photo, 300 x 2000', 1, () => picture(300, 2000).jpeg().toBuffer()),
  kind('photo, 8192 x 8192', 1, () => sharp({ create: { width: 8192, height: 8192, channels: 3, background: '#3377aa' } }).jpeg().toBuffer()),
  kind('photo cut off', 1, () => cut(picture(640, 480).jpeg().toBuffer(), 0, 0.6)),
];

export const mediaKinds: readonly MediaKind[] = [...containers, ...oddities, ...damaged, ...photos];
