/** Decoded frames to upright RGB of a given size, by FFmpeg's filters inside node-av (which mediabunny's server package brings). */
import { toAvFrame } from '@mediabunny/server';
import type { VideoSample } from 'mediabunny';
import { Filter, FilterGraph, FilterInOut, FFmpegError, Frame as AvFrame, type FilterContext } from 'node-av/lib';
import { scaleFilter } from './scale-filter.js';
import type { FrameSize } from './types.js';

/** Clockwise turn in degrees, then a mirroring left to right: what a player does before it shows a frame. */
export interface Orientation {
  readonly rotation: 0 | 90 | 180 | 270;
  readonly flip: boolean;
}

/** AVCOL_SPC_UNSPECIFIED: the converter then takes BT.601, as ffmpeg does. */
const UNSPECIFIED_COLOUR_SPACE = 2;

/** One filter graph for frames of one format. Frames of another size or format in mid-stream get a new graph. */
export class RgbScaler {
  private graph: FilterGraph | null = null;
  private source: FilterContext | null = null;
  private sink: FilterContext | null = null;
  private format = '';
  private readonly input = new AvFrame();
  private readonly output = new AvFrame();

  /** @param size Pixels of the upright result, whatever the frames' own size and pixel aspect ratio. */
  constructor(
    private readonly size: FrameSize,
    private readonly orientation: Orientation,
  ) {
    this.input.alloc();
    this.output.alloc();
  }

  /** The sample as (height, width, 3) bytes. The sample stays open. @throws Error from FFmpeg. */
  async toRgb(sample: VideoSample): Promise<Uint8Array> {
    await toAvFrame(sample, this.input);
    await this.prepare();
    FFmpegError.throwIfError(await (this.source as FilterContext).buffersrcAddFrame(this.input), 'scale');
    FFmpegError.throwIfError(await (this.sink as FilterContext).buffersinkGetFrame(this.output), 'scale');
    try {
      // A copy into memory of our own, which can be handed on to another thread.
      return new Uint8Array(this.output.toBuffer());
    } finally {
      this.output.unref();
      this.input.unref();
    }
  }

  close(): void {
    this.graph?.free();
    this.graph = null;
    this.input.free();
    this.output.free();
  }

  private async prepare(): Promise<void> {
    const { width, height, format, colorSpace, colorRange } = this.input;
    const key = [width, height, format, colorSpace, colorRange].join(' ');
    if (this.graph !== null && this.format === key) return;
    try {
      await this.build(colorSpace);
    } catch (cause) {
      // A file may name a colour space that no converter knows.
      if (colorSpace === UNSPECIFIED_COLOUR_SPACE) throw cause;
      await this.build(UNSPECIFIED_COLOUR_SPACE);
    }
    this.format = key;
  }

  private async build(colourSpace: number): Promise<void> {
    this.graph?.free();
    this.graph = new FilterGraph();
    this.graph.alloc();
    this.graph.nbThreads = 1;
    const { width, height, format, colorRange } = this.input;
    this.input.colorSpace = colourSpace as typeof this.input.colorSpace;
    this.source = this.filter(
      'buffer',
      `video_size=${width}x${height}:pix_fmt=${format}:time_base=1/1000000:pixel_aspect=1/1:colorspace=${colourSpace}:range=${colorRange}`,
    );
    this.sink = this.filter('buffersink', null);
    // Named from the chain's side: its input is what the source gives, its output what the sink takes.
    const outputs = FilterInOut.createList([{ name: 'in', filterCtx: this.source, padIdx: 0 }]);
    const inputs = FilterInOut.createList([{ name: 'out', filterCtx: this.sink, padIdx: 0 }]);
    FFmpegError.throwIfError(this.graph.parsePtr(`[in]${rgbFilters(this.size, this.orientation, { width, height })}[out]`, inputs, outputs), 'scale');
    FFmpegError.throwIfError(await this.graph.config(), 'scale');
  }

  private filter(name: string, settings: string | null): FilterContext {
    const filter = Filter.getByName(name);
    const context = filter === null ? null : (this.graph as FilterGraph).createFilter(filter, name, settings);
    if (context === null) throw new Error(`FFmpeg's filter "${name}" refuses ${settings ?? 'its settings'}`);
    return context;
  }
}

/** FFmpeg filters from decoded frames of `coded` pixels to RGB of `size` once turned as `orientation` says. */
function rgbFilters(size: FrameSize, { rotation, flip }: Orientation, coded: FrameSize): string {
  const turned = rotation === 90 || rotation === 270;
  // Scaled first, then turned: there are fewer pixels to turn.
  const width = turned ? size.height : size.width;
  const height = turned ? size.width : size.height;
  const filters = [scaleFilter({ width, height }, coded), 'format=rgb24'];
  if (rotation === 90) filters.push('transpose=clock');
  if (rotation === 180) filters.push('hflip', 'vflip');
  if (rotation === 270) filters.push('transpose=cclock');
  if (flip) filters.push('hflip');
  return filters.join(',');
}
