/** One interface over ONNX Runtime in Node (onnxruntime-node) and in the browser (onnxruntime-web). */
import type { HostTensor } from './tensor.js';

/** Outputs to return: all of the names, or names with tensors to write into (null: allocate). */
export type Fetches = readonly string[] | Readonly<Record<string, HostTensor | null>>;

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once.
   *
   * A tensor among `fetches` is written in place. In Node it may share its memory with a feed, which is how
   * training state and the KV cache stay where they are instead of crossing into JavaScript each step.
   * A run cannot be cancelled; cancel between runs.
   */
  run(feeds: Readonly<Record<string, HostTensor>>, fetches?: Fetches): Promise<Record<string, HostTensor>>;
  /** Frees the session's memory. Runs after this are refused. */
  release(): Promise<void>;
}

export interface SessionOptions {
  /** Threads of this session. Default: the runtime's. */
  readonly threads?: number;
  /** Weights that the model names but does not hold, see Graph.toOnnxParts. Default: none. */
  readonly weights?: readonly { readonly path: string; readonly data: Uint8Array }[];
}

export interface Runtime {
  /** For people: which engine, which execution provider. */
  readonly name: string;
  /** @throws Error with ONNX Runtime's reason when the model is not valid. */
  createSession(model: Uint8Array, options?: SessionOptions): Promise<Session>;
}
