/** Containers that the benches make: by the encoder in this process, so that its processor time can be counted. */
import path from 'node:path';
import { processorClock } from '../../client/peers/clip.js';
import { pickFrames } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { encodeVideo } from '../../model/inr/encode.node.js';
import type { PlanOptions } from '../../model/inr/plan.js';
import { openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';

export interface EncodedOptions extends PlanOptions {
  readonly threads: number;
  /** Every so-many-th frame. Default: all. */
  readonly step?: number;
  /** Of the first so many frames. Default: of all. */
  readonly frames?: number;
}

export interface Encoded {
  readonly bytes: Uint8Array;
  /** Processor seconds, of all threads of this process together. */
  readonly cpu_s: number;
}

/** Encodes a video; its `seconds` are counted in processor time over threads. */
export async function encoded(file: string, { threads, step, frames, ...plan }: EncodedOptions): Promise<Encoded> {
  const [opened, pack] = await Promise.all([openFrames(file), openPack()]);
  const source = pickFrames(opened, {
    ...(step === undefined ? {} : { step }),
    ...(frames === undefined ? {} : { end: frames }),
  });
  const clock = processorClock(threads);
  const started = clock();
  try {
    let container: Uint8Array | null = null;
    await encodeVideo(source, {
      ...plan,
      pack,
      runtime: nodeRuntime({ threads }),
      clock,
      sourceName: path.basename(file),
      sourceBytes: null,
      onContainer: (bytes, stage) => {
        if (stage === 'final') container = bytes;
      },
    });
    if (container === null) throw new Error('the encoder ended without a container');
    return { bytes: container, cpu_s: (clock() - started) * threads };
  } finally {
    await source.close();
  }
}
