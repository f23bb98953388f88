/** Latents (N, D), row-major, to be laid out. */
export interface MapRequest {
  readonly vectors: Float32Array;
  readonly dim: number;
  /** Whether the layout is told while it forms, or only at its end. */
  readonly live: boolean;
}

/** Places (N, 2), as they are so far or at last. */
export type MapAnswer = { readonly done: boolean; readonly places: Float32Array<ArrayBuffer> } | { readonly error: string };
