/** FFmpeg filters that turn decoded frames into the RGB of an ordinary screen (BT.709, 8 bits). */
import type { FrameSize } from './types.js';

/** Clockwise turn in degrees, then a mirroring left to right: what a player does before it shows a frame. */
export interface Orientation {
  readonly rotation: 0 | 90 | 180 | 270;
  readonly flip: boolean;
}

/** What a frame says of its colours, by the code points of ITU-T H.273, which libav uses as they are. */
export interface Colours {
  /** Code points of the matrix, the transfer function and the primaries. */
  readonly matrix: number;
  readonly transfer: number;
  readonly primaries: number;
  readonly full: boolean;
}

export const UNSPECIFIED = 2;
const RGB_MATRIX = 0;
const PQ = 16;
const HLG = 18;
/** BT.2020, and the two forms of P3. */
const WIDE_PRIMARIES = new Set([9, 11, 12]);
const BT2020_MATRIX = 9;
const BT2020_PRIMARIES = 9;
const BT709 = 1;

/** Luminance in cd/m2 of paper white in HDR video, which becomes the white of the screen (ITU-R BT.2408). */
const HDR_WHITE = 203;
/** Luminance that HDR video is graded for where it does not say, in units of HDR_WHITE. */
const HDR_PEAK = 1000 / HDR_WHITE;
/** Linear light up to which nothing is changed; what is brighter, highlights, shares what is left up to white. */
const KNEE = 0.9;

/** Whether frames have to pass through linear light: HDR, or colours that a BT.709 screen cannot show as they are. */
export function needsLinearLight({ transfer, primaries }: Colours): boolean {
  return transfer === PQ || transfer === HLG || WIDE_PRIMARIES.has(primaries);
}

/**
 * From linear light of the frame's own primaries to BT.709. HDR's paper white becomes white, so that what HDR video shows at ordinary
 * brightness looks as it does in ordinary video.
 */
export function linearLightFilters({ matrix, transfer, primaries, full }: Colours): string[] {
  const hdr = transfer === PQ || transfer === HLG;
  const known = (value: number, otherwise: number): number => (value === UNSPECIFIED ? otherwise : value);
  const planes = matrix === RGB_MATRIX ? 'gbrp16le' : 'yuv444p16le';
  const from = [
    `matrixin=${known(matrix, BT2020_MATRIX)}`,
    `transferin=${known(transfer, BT709)}`,
    `primariesin=${known(primaries, BT2020_PRIMARIES)}`,
    `rangein=${full || matrix === RGB_MATRIX ? 'full' : 'limited'}`,
  ].join(':');
  return [
    `format=${planes}`,
    `zscale=${from}:matrix=gbr:transfer=linear:npl=${HDR_WHITE}:range=full`,
    'format=gbrpf32le',
    'zscale=primaries=bt709',
    ...(hdr ? [`tonemap=tonemap=mobius:param=${KNEE}:desat=0:peak=${HDR_PEAK.toFixed(3)}`] : []),
    // HDR's light is encoded anew for sRGB screens; what was encoded for BT.709 or its like stays so.
    `zscale=transfer=${hdr ? 'iec61966-2-1' : 'bt709'}:range=full`,
    'format=gbrp',
  ];
}

/**
 * FFmpeg's scale filter: the mean over the covered pixels when shrinking, bicubic when enlarging, and ffmpeg's own
 * conversion, to the bit, when the size stays.
 */
function scaleFilter(size: FrameSize, coded: FrameSize): string {
  const kernel = size.width * size.height < coded.width * coded.height ? 'area' : 'bicubic';
  const same = size.width === coded.width && size.height === coded.height;
  return `scale=${size.width}:${size.height}:flags=${same ? 'bicubic' : `${kernel}+accurate_rnd+full_chroma_int`}`;
}

/** @returns filters from frames of `coded` pixels to `format` of `size` once turned as `orientation` says */
export function pictureFilters(size: FrameSize, orientation: Orientation, coded: FrameSize, colours: Colours, format: 'rgb24' | 'rgba'): string {
  const { rotation, flip } = orientation;
  const turned = rotation === 90 || rotation === 270;
  // Scaled first, then turned: there are fewer pixels to turn.
  const width = turned ? size.height : size.width;
  const height = turned ? size.width : size.height;
  const filters = [scaleFilter({ width, height }, coded)];
  if (needsLinearLight(colours)) filters.push(...linearLightFilters(colours));
  filters.push(`format=${format}`);
  if (rotation === 90) filters.push('transpose=clock');
  if (rotation === 180) filters.push('hflip', 'vflip');
  if (rotation === 270) filters.push('transpose=cclock');
  if (flip) filters.push('hflip');
  return filters.join(',');
}
