/** What the page asks the decoder's worker; containers are named by a key that the page chooses. */
export type DecoderRequest =
  | { readonly op: 'open'; readonly id: number; readonly key: string; readonly url: string }
  | { readonly op: 'frame'; readonly id: number; readonly key: string; readonly index: number; readonly width: number }
  | { readonly op: 'latents'; readonly id: number; readonly key: string }
  | { readonly op: 'vectors'; readonly id: number; readonly key: string; readonly indices: Uint32Array }
  | { readonly op: 'close'; readonly id: number; readonly key: string };

/** What a container says of itself. */
export interface ContainerInfo {
  /** Encoded size in pixels. */
  readonly width: number;
  readonly height: number;
  /** Pixels: the largest width it may be decoded at. */
  readonly widest: number;
  readonly frames: number;
  /** (T) seconds. */
  readonly times_s: Float64Array;
  readonly duration_s: number;
  readonly latentDim: number;
  /** First frame of each shot, in order; the first is 0. */
  readonly shots: readonly number[];
  /** False while no segment is coded: the video can be asked about, not yet shown. */
  readonly pictures: boolean;
}

export interface DecodedFrame {
  readonly bitmap: ImageBitmap;
  /** Milliseconds the network and the conversion took. */
  readonly took_ms: number;
}

export interface DecoderResults {
  readonly open: ContainerInfo;
  readonly frame: DecodedFrame;
  readonly latents: ImageBitmap;
  /** (N, D) latents of the frames asked for, row-major. */
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly close: null;
}

export type DecoderAnswer =
  | { readonly id: number; readonly result: DecoderResults[keyof DecoderResults] }
  | { readonly id: number; readonly error: string };
