/** What onnxruntime-node and onnxruntime-web share: both speak onnxruntime-common's Tensor and InferenceSession. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import type { DType, HostTensor, TensorData } from './tensor.js';
import type { Fetches, Session } from './types.js';

type Feeds = Readonly<Record<string, HostTensor>>;

/**
 * Wraps an ORT session. `Tensor` is the constructor of the package the session came from. `onNative`, for onnxruntime-node, is told when
 * native code begins and ends to hold the thread.
 */
export class OrtSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];

  constructor(
    private readonly session: InferenceSession,
    private readonly tensorClass: TensorConstructor,
    private readonly onNative?: (inside: boolean) => void,
  ) {
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  async run(feeds: Feeds, fetches?: Fetches): Promise<Record<string, HostTensor>> {
    const ortFeeds: Record<string, OrtTensor> = {};
    for (const name of this.inputNames) {
      const tensor = feeds[name];
      if (tensor === undefined) throw new Error(`input "${name}" of the graph was not given`);
      ortFeeds[name] = this.toOrt(tensor);
    }
    const ortFetches: Record<string, OrtTensor | null> = {};
    if (fetches === undefined || Array.isArray(fetches)) {
      for (const name of (fetches as readonly string[] | undefined) ?? this.outputNames) ortFetches[name] = null;
    } else {
      for (const [name, tensor] of Object.entries(fetches as Readonly<Record<string, HostTensor | null>>)) {
        ortFetches[name] = tensor === null ? null : this.toOrt(tensor);
      }
    }
    const results = await this.runNative(ortFeeds, ortFetches);
    const outputs: Record<string, HostTensor> = {};
    for (const name of Object.keys(ortFetches)) {
      const result = results[name] as OrtTensor;
      outputs[name] = { dtype: result.type as DType, dims: result.dims, data: result.data as TensorData };
    }
    return outputs;
  }

  /** onnxruntime-node runs its session in a callback of setImmediate: one that was asked for just before it runs just before it. */
  private async runNative(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>): Promise<Awaited<ReturnType<InferenceSession['run']>>> {
    const { onNative } = this;
    if (onNative === undefined) return this.session.run(feeds, fetches);
    setImmediate(onNative, true);
    try {
      return await this.session.run(feeds, fetches);
    } finally {
      onNative(false);
    }
  }

  async release(): Promise<void> {
    await this.session.release();
  }

  private toOrt(tensor: HostTensor): OrtTensor {
    // The constructor's overloads tie each type name to one array class; HostTensor holds that tie already.
    return new this.tensorClass(tensor.dtype as 'float32', tensor.data as Float32Array, tensor.dims as number[]);
  }
}
