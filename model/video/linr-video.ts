/** A `.linr` file as a program holds it: what is known of the video, its latents, and its frames. */
import { ContainerError, type ContainerMeta, type LinrFile } from '../container/index.js';
import type { Frame } from '../frames/types.js';
import { LinrDecoder, type Between, type LinrSource } from '../inr/decoder.js';
import type { Runtime } from '../runtime/types.js';

export interface LinrVideoOptions {
  /** What errors and search results call the video. Default: the name of the file it was made of. */
  readonly name?: string;
  /** What draws frames. Default in a browser: ONNX Runtime's WebAssembly. Needed elsewhere once a frame is asked for. */
  readonly runtime?: Runtime | Promise<Runtime>;
}

export interface FrameOptions {
  /** Aborting makes the call throw the signal's reason; a frame that is being drawn is drawn to its end. */
  readonly signal?: AbortSignal;
  /** What is drawn between two frames. Default: their motion, followed to the moment. */
  readonly between?: Between;
}

/** Gives every opened video a version of its own, so that nothing cached for another file of the same name is used. */
let opened = 0;

/**
 * An opened `.linr` file. Everything but the frames is known when it is open; a frame costs the reading of its segment's network, once.
 *
 * It is a video part of a chat message (`{ role: 'user', content: [video, { type: 'text', text }] }`) and what a search looks through.
 */
export class LinrVideo {
  readonly type = 'video';
  /** The name given when it was opened. */
  readonly id: string;
  readonly version: string;
  /** Number of frames. */
  readonly frames: number;
  /** Pixels of the encoded frames. */
  readonly width: number;
  readonly height: number;
  /** Seconds from the start of the first frame to the end of the last; 0 for a photo. */
  readonly duration_s: number;
  /** (T) when each frame is shown, in seconds after the first. */
  readonly times_s: Float64Array;
  /** (T, dim) one latent a frame, row-major. Treat it as read-only. */
  readonly latents: Float32Array;
  readonly dim: number;
  readonly #file: LinrFile;
  readonly #decoder: LinrDecoder;

  private constructor(file: LinrFile, decoder: LinrDecoder, name: string | undefined) {
    const { meta } = file;
    this.id = name ?? meta.source.name;
    this.version = String(++opened);
    this.frames = meta.frames;
    this.width = meta.width;
    this.height = meta.height;
    this.duration_s = meta.duration_s;
    this.times_s = meta.times_s;
    this.latents = file.latents;
    this.dim = file.latentDim;
    this.#file = file;
    this.#decoder = decoder;
  }

  /**
   * Reads the head of a container: latents, times and sizes.
   * @throws ContainerError for bytes that are no container, are damaged, or cannot be had; its message begins with the name, where one is given
   */
  static async open(source: LinrSource | Promise<LinrSource>, { name, runtime }: LinrVideoOptions = {}): Promise<LinrVideo> {
    return refusing(name, async () => {
      const decoder = new LinrDecoder(await source, runtime);
      return new LinrVideo(await decoder.file(), decoder, name);
    });
  }

  /** All that the file says of itself: its source with warnings, the model pack it was made for, its encoder. */
  get meta(): ContainerMeta {
    return this.#file.meta;
  }

  /** The parts of the video, each with a network of its own or, while it is still being encoded, none. */
  get segments(): LinrFile['segments'] {
    return this.#file.segments;
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#file.fileBytes;
  }

  /**
   * One frame as `{ data, width, height, time_s }`, with `data` RGB, row by row: (height, width, 3), 0 to 255.
   *
   * @param index 0 to `frames` - 1; a fraction lies between two frames.
   * @param width in pixels, at most four times the encoded one. Default: the encoded one. The height keeps the aspect ratio.
   * @throws LinrDecodeError `frame_not_found`, `width_out_of_range`, `pictures_not_ready` where the file has latents only, `decoder_released`
   * @throws ContainerError when the network's bytes are damaged, or the file is another by now
   */
  async frame(index: number, width?: number, { signal, between }: FrameOptions = {}): Promise<Frame> {
    signal?.throwIfAborted();
    const frame = await refusing(this.id, () => this.#decoder.frame(index, width, between));
    signal?.throwIfAborted();
    return frame;
  }

  /**
   * Frames one after another: memory does not grow with their number.
   * @param indices default: every frame
   * @throws as `frame`
   */
  async *decodeFrames(indices?: Iterable<number>, width?: number, options: FrameOptions = {}): AsyncGenerator<Frame, void, void> {
    for (const index of indices ?? Array.from({ length: this.frames }, (_, i) => i)) yield await this.frame(index, width, options);
  }

  /** Gives the memory of the frames' networks back. Latents stay usable; asking for a frame is refused from now on. */
  close(): Promise<void> {
    return this.#decoder.release();
  }
}

/** Puts the video's name in front of what the reader refuses. */
async function refusing<T>(name: string | undefined, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof ContainerError && name !== undefined ? namedRefusal(name, error) : error;
  }
}

/** The same refusal, with the file's name in front. */
export function namedRefusal(file: string, error: ContainerError): ContainerError {
  const named = new ContainerError(error.code, `${file}: ${error.message}`, error.neededBytes);
  named.cause = error;
  return named;
}
