import type { ImageShape } from './images/layout.js';
import type { JsonObject } from './json.js';

/** Facts about the encoded video that come before everything else in the file. */
export interface ContainerMeta {
  /** Encoded size in pixels. */
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** Frames of each segment, in order; they sum to `frames`. */
  readonly segments: readonly number[];
  readonly duration_s: number;
  /**
   * The file it was made from: its name, its own size in pixels, its length in bytes (null: unknown), and sentences about what of it
   * could not be read (none: nothing is known to be missing).
   */
  readonly source: {
    readonly name: string;
    readonly width: number;
    readonly height: number;
    readonly bytes: number | null;
    readonly warnings?: readonly string[];
  };
  /** (T) presentation times in seconds, not falling; kept to the microsecond. */
  readonly times_s: Float64Array;
  /** The model pack the latents are aligned to. */
  readonly pack: { readonly id: string; readonly feature_space: string };
  /** How it was encoded: the preset's name and the seconds spent. */
  readonly encoder: { readonly preset: string; readonly seconds: number };
}

/** One tensor, row-major. */
export interface ContainerTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** The Latent-INR of one segment: base network, hypernetworks, grids. */
export interface ContainerNetwork {
  /** The network's own configuration; whoever builds the network checks it. */
  readonly config: JsonObject;
  readonly tensors: ReadonlyMap<string, ContainerTensor>;
  /** Its basis images as they are coded (images/); absent where it has none. */
  readonly images?: CodedImages;
}

/** A stack of images of levels, coded: `decodeImages` gives the levels. */
export interface CodedImages {
  readonly shape: ImageShape;
  readonly stream: Uint8Array;
}

/**
 * The free numbers of a segment's latents: how each frame mixes the basis images. Whole numbers; what one of them stands for follows from the images.
 */
export interface Mixing {
  /** Numbers a frame, K. */
  readonly count: number;
  /** (frames, K), row-major. */
  readonly levels: Int16Array;
}

/** What a `.linr` file holds. */
export interface Container {
  readonly meta: ContainerMeta;
  /** (T, D), row-major. */
  readonly latents: Float32Array;
  readonly latentDim: number;
  /** One entry a segment: the free numbers of its latents, null where it has none. Absent: no segment has any. */
  readonly mixing?: readonly (Mixing | null)[];
  /**
   * One entry a segment: the bytes of its network as `encodeNetwork` gives them, or null while it is not encoded yet: the segment can
   * be asked about but not shown. What a reader hands out are views into the file's bytes.
   */
  readonly networks: readonly (Uint8Array | null)[];
}

export type Coder = 'range' | 'huffman' | 'rans';
