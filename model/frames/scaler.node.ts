/** Decoded frames to upright RGB of a given size. Runs in the decoder process only. */
import { avGetPixFmtName, Frame as AvFrame } from 'node-av/lib';
import { AVCOL_RANGE_JPEG, type AVPixelFormat } from 'node-av/constants';
import { pictureFilters, UNSPECIFIED, type Colours, type Orientation } from './colour.js';
import { FilterChain } from './filter-chain.node.js';
import type { FrameSize } from './types.js';

/** Pixel formats with transparency, by the beginnings of their names; a palette may have it. */
const TRANSPARENT = /^(yuva|rgba|argb|bgra|abgr|gbrap|ya8|ya16|yaf|pal8|ayuv|vuya|uyva)/;

/** One filter chain for frames of one format. Frames of another size or format in mid-stream get a new one. */
export class RgbScaler {
  #chain: FilterChain | null = null;
  #format = '';
  #transparent = false;
  /** The colour matrix that the chain was built for: the frame's own, unless no converter knows that. */
  #matrix = UNSPECIFIED;
  readonly #output = new AvFrame();

  /** @param size Pixels of the upright result, whatever the frames' own size and pixel aspect ratio. */
  constructor(
    private readonly size: FrameSize,
    private readonly orientation: Orientation,
  ) {
    this.#output.alloc();
  }

  /** The frame as (height, width, 3) bytes, transparent parts on white. Empties `frame`. @throws Error from libav. */
  toRgb(frame: AvFrame): Uint8Array {
    const chain = this.#chainFor(frame);
    frame.colorSpace = this.#matrix as typeof frame.colorSpace;
    chain.run(frame, this.#output);
    try {
      // A copy into memory of our own, which can be handed on to another process.
      const bytes = this.#output.toBuffer();
      return this.#transparent ? onWhite(bytes) : new Uint8Array(bytes);
    } finally {
      this.#output.unref();
    }
  }

  close(): void {
    this.#chain?.close();
    this.#chain = null;
    this.#output.free();
  }

  #chainFor(frame: AvFrame): FilterChain {
    const { width, height, format, colorSpace, colorRange, colorTrc, colorPrimaries } = frame;
    const key = [width, height, format, colorSpace, colorRange, colorTrc, colorPrimaries].join(' ');
    if (this.#chain !== null && this.#format === key) return this.#chain;
    this.#chain?.close();
    this.#chain = null;
    this.#transparent = TRANSPARENT.test(avGetPixFmtName(format as AVPixelFormat) ?? '');
    const colours: Colours = { matrix: colorSpace, transfer: colorTrc, primaries: colorPrimaries, full: colorRange === AVCOL_RANGE_JPEG };
    let chain: FilterChain;
    try {
      chain = this.#build(frame, colours);
    } catch {
      // A file may name colours that no converter knows, or that do not go together. It is shown as if it named none.
      chain = this.#build(frame, { matrix: UNSPECIFIED, transfer: UNSPECIFIED, primaries: UNSPECIFIED, full: colours.full });
    }
    this.#format = key;
    this.#chain = chain;
    return chain;
  }

  #build(frame: AvFrame, colours: Colours): FilterChain {
    this.#matrix = colours.matrix;
    const { width, height, format, colorRange: range } = frame;
    const filters = pictureFilters(this.size, this.orientation, { width, height }, colours, this.#transparent ? 'rgba' : 'rgb24');
    return new FilterChain({ width, height, format, matrix: colours.matrix, range }, filters);
  }
}

/** (pixels, 4) bytes of color and opacity to (pixels, 3) over white. */
function onWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const opacity = rgba[from + 3] as number;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = Math.round(((rgba[from + channel] as number) * opacity) / 255 + 255 - opacity);
    }
  }
  return rgb;
}
