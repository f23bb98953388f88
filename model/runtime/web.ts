/** ONNX Runtime in the browser, by its WebAssembly build. */
import type * as Ort from 'onnxruntime-web';
import { OrtSession } from './ort.js';
import type { Runtime, Session, SessionOptions } from './types.js';

export interface WebRuntimeOptions {
  /** Folder URL that serves onnxruntime-web's .wasm and .mjs files, with a slash at its end. Default: the module's own folder. */
  readonly wasmUrl?: string;
  /** Threads for WebAssembly. More than 1 needs a cross-origin isolated page. Default: half the cores, at most 4, when isolated. */
  readonly threads?: number;
}

/** The WebAssembly build of onnxruntime-web, loaded when first called. */
export async function webRuntime(options: WebRuntimeOptions = {}): Promise<Runtime> {
  const ort: typeof Ort = await import('onnxruntime-web/wasm');
  const isolated = globalThis.crossOriginIsolated === true;
  ort.env.wasm.wasmPaths = options.wasmUrl ?? new URL('./', import.meta.url).href;
  ort.env.wasm.numThreads = isolated ? (options.threads ?? Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2))) : 1;
  ort.env.logLevel = 'error';
  return {
    name: `onnxruntime-web (wasm, ${ort.env.wasm.numThreads} threads)`,
    async createSession(model: Uint8Array, { weights = [] }: SessionOptions = {}): Promise<Session> {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: ['wasm'],
        graphOptimizationLevel: 'all',
        ...(weights.length === 0 ? {} : { externalData: [...weights] }),
      });
      return new OrtSession(session, ort.Tensor);
    },
  };
}
