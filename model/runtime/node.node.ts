/**
 * ONNX Runtime in Node. A run blocks the thread it is called on, so call this only where nothing else waits:
 * in a worker, in a child process, or in a command-line tool.
 */
import os from 'node:os';
import type * as Ort from 'onnxruntime-node';
import type { Device } from './device-choice.js';
import { OrtSession } from './ort.js';
import type { Runtime, Session, SessionOptions } from './types.js';

/** More threads than these two gain little at these sizes; on a single core a second one loses much. */
export const DEFAULT_THREADS = Math.min(2, os.availableParallelism());

export interface NodeRuntimeOptions {
  /**
   * Threads a session uses unless it asks for another number. Default: DEFAULT_THREADS.
   * Always explicit: ORT's own choice is a thread a core, and two threads on one free core are far slower than one.
   */
  readonly threads?: number;
  /**
   * Whether idle threads of a session wait busily for the next operator as long as it takes. Default false: they give
   * up after a tenth of a millisecond, which is as fast on an idle machine and leaves the core to others on a busy one
   * (measured: endless spinning beside other work made runs several times slower).
   */
  readonly spin?: boolean;
  /** Default: the processor. Of a graph that WebGPU refuses, the processor takes the whole. */
  readonly device?: Device;
  /** Whether the processor takes a graph that the device refuses. Default: yes. */
  readonly fallback?: boolean;
  /** Told, with ONNX Runtime's reason, of each graph that the device refuses. */
  readonly onFallback?: (reason: string) => void;
  /** Told when native code begins and ends to hold the thread: a thread that is ended meanwhile takes its process down. */
  readonly onNative?: (inside: boolean) => void;
}

/** onnxruntime-node, on the processor or through WebGPU. */
export function nodeRuntime(options: NodeRuntimeOptions = {}): Runtime {
  const { device = 'cpu', fallback = true } = options;
  const defaultThreads = options.threads ?? DEFAULT_THREADS;
  const spinning = options.spin === true ? { allow_spinning: '1' } : { allow_spinning: '1', spin_duration_us: '100' };
  const create = async (on: Device, model: Uint8Array, sessionOptions: SessionOptions): Promise<Session> => {
    // Loaded with the first session: whoever draws nothing and asks nothing needs no native code.
    const ort: typeof Ort = await import('onnxruntime-node');
    options.onNative?.(true);
    const session = await ort.InferenceSession.create(model, {
      // Single operators that WebGPU lacks are the processor's.
      executionProviders: on === 'webgpu' ? ['webgpu', 'cpu'] : ['cpu'],
      intraOpNumThreads: sessionOptions.threads ?? defaultThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      extra: { session: { intra_op: spinning } },
      ...externalData(sessionOptions),
    }).finally(() => options.onNative?.(false));
    return new OrtSession(session, ort.Tensor, options.onNative);
  };
  return {
    name: `onnxruntime-node (${device})`,
    async createSession(model: Uint8Array, sessionOptions: SessionOptions = {}): Promise<Session> {
      try {
        return await create(device, model, sessionOptions);
      } catch (error) {
        if (device === 'cpu' || !fallback) throw error;
        options.onFallback?.(error instanceof Error ? error.message : String(error));
        return create('cpu', model, sessionOptions);
      }
    },
  };
}

/** onnxruntime-node reads weights beside the model as onnxruntime-web does, but its types do not say so (1.30). */
function externalData({ weights = [] }: SessionOptions): object {
  return weights.length === 0 ? {} : { externalData: weights };
}
