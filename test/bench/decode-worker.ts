/** The browser's half of the decode bench, in a module worker as the page's own decoder is: containers and peers decoded by wasm. */
import { hnerv } from '../../client/peers/hnerv.js';
import { readContainer } from '../../model/container/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { webRuntime } from '../../model/runtime/web.js';
import { linrSpeeds, peerSpeed, type DecodeSpeeds } from './decode-speeds.js';

/** What the bench asks for; the worker fetches `container` from its own host. */
export interface DecodeRequest {
  readonly threads: number;
  readonly container: string;
  readonly widths: readonly number[];
  /** Channels of HNeRV's first feature map. */
  readonly peerWidth: number;
}

self.addEventListener('message', (event: MessageEvent<DecodeRequest>) => {
  void measure(event.data).then((answer) => self.postMessage(answer), (error: unknown) => self.postMessage({ error: String(error) }));
});

async function measure({ threads, container, widths, peerWidth }: DecodeRequest): Promise<DecodeSpeeds> {
  const runtime = await webRuntime({ threads });
  const bytes = new Uint8Array(await (await fetch(container)).arrayBuffer());
  const file = readContainer(bytes);
  const linr = await linrSpeeds(() => new LinrDecoder(bytes, runtime), file.meta.frames, widths);
  const { width, height, frames } = file.meta;
  return { ...linr, runtime: runtime.name, peer_fps: await peerSpeed(hnerv({ width, height, frames }, peerWidth), runtime) };
}
