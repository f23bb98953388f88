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
}

/** What a `.linr` file holds. */
export interface Container {
  readonly meta: ContainerMeta;
  /** (T, D), row-major. */
  readonly latents: Float32Array;
  readonly latentDim: number;
  /**
   * One entry a segment: the bytes of its network as `encodeNetwork` gives them, or null while it is not encoded yet: the segment can
   * be asked about but not shown. What a reader hands out are views into the file's bytes.
   */
  readonly networks: readonly (Uint8Array | null)[];
}

export type Coder = 'range' | 'huffman' | 'rans';
