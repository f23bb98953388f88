/** A chain of libavfilter's filters: a frame in, a frame out. */
import { Filter, FilterGraph, FilterInOut, type FilterContext, type Frame as AvFrame } from 'node-av/lib';
import { checked } from './libav.node.js';

/** The frames a chain is made for. Pixel format, matrix and range are libav's numbers. */
export interface ChainInput {
  readonly width: number;
  readonly height: number;
  readonly format: number;
  readonly matrix: number;
  readonly range: number;
}

export class FilterChain {
  readonly #graph = new FilterGraph();
  readonly #source: FilterContext;
  readonly #sink: FilterContext;

  /** @param filters as ffmpeg writes them, `scale=8:8,hflip` @throws Error from libav */
  constructor({ width, height, format, matrix, range }: ChainInput, filters: string) {
    this.#graph.alloc();
    this.#graph.nbThreads = 1;
    const frames = `video_size=${width}x${height}:pix_fmt=${format}:time_base=1/1000000:pixel_aspect=1/1:colorspace=${matrix}:range=${range}`;
    this.#source = this.#filter('buffer', frames);
    this.#sink = this.#filter('buffersink', null);
    // Named from the chain's side: its input is what the source gives, its output what the sink takes.
    const outputs = FilterInOut.createList([{ name: 'in', filterCtx: this.#source, padIdx: 0 }]);
    const inputs = FilterInOut.createList([{ name: 'out', filterCtx: this.#sink, padIdx: 0 }]);
    checked(this.#graph.parsePtr(`[in]${filters}[out]`, inputs, outputs), filters);
    checked(this.#graph.configSync(), filters);
  }

  /** Takes what `input` holds, which is empty afterwards, and fills `output`. @throws Error from libav */
  run(input: AvFrame, output: AvFrame): void {
    checked(this.#source.buffersrcAddFrameSync(input), 'a frame could not be converted');
    checked(this.#sink.buffersinkGetFrameSync(output), 'a frame could not be converted');
  }

  close(): void {
    this.#graph.free();
  }

  #filter(name: string, settings: string | null): FilterContext {
    const filter = Filter.getByName(name);
    const context = filter === null ? null : this.#graph.createFilter(filter, name, settings);
    if (context === null) throw new Error(`libav's filter "${name}" refuses ${settings ?? 'its settings'}`);
    return context;
  }
}
