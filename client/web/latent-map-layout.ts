import type { MapAnswer, MapRequest } from './latent-map-protocol.js';

export interface LayoutListener {
  /** (N, 2) places, again and again while they settle. */
  readonly placed: (places: Float32Array<ArrayBuffer>, done: boolean) => void;
  readonly failed: () => void;
}

/** Lays latents (N, D) out in the plane in a worker of its own, which ends with the layout. @returns stops it. */
export function layOut(vectors: Float32Array<ArrayBuffer>, dim: number, live: boolean, listener: LayoutListener): () => void {
  const worker = new Worker(new URL('./latent-map-worker.js', import.meta.url), { type: 'module', name: 'latent-map' });
  const end = (): void => worker.terminate();
  worker.addEventListener('message', ({ data }: MessageEvent<MapAnswer>) => {
    if ('error' in data) listener.failed();
    else listener.placed(data.places, data.done);
    if ('error' in data || data.done) end();
  });
  worker.addEventListener('error', () => {
    listener.failed();
    end();
  });
  const request: MapRequest = { vectors, dim, live };
  worker.postMessage(request, [vectors.buffer]);
  return end;
}
