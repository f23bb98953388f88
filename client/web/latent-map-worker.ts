/** The map's worker: lays latents out in the plane by UMAP, telling the layout while it forms. */
import type { MapAnswer, MapRequest } from './latent-map-protocol.js';
import { latentRows, latentUmap } from './latent-umap.js';

/** Epochs between two tellings. */
const tellEvery = 20;

self.addEventListener('message', ({ data }: MessageEvent<MapRequest>) => {
  try {
    layOut(data);
  } catch (error) {
    send({ error: error instanceof Error ? error.message : String(error) });
  }
});

function layOut({ vectors, dim, live }: MapRequest): void {
  const rows = latentRows(vectors, dim);
  const umap = latentUmap(rows.length);
  const epochs = umap.initializeFit(rows);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    umap.step();
    if (live && epoch % tellEvery === 0 && epoch < epochs) send({ done: false, places: Float32Array.from(umap.getEmbedding().flat()) });
  }
  send({ done: true, places: Float32Array.from(umap.getEmbedding().flat()) });
}

function send(answer: MapAnswer): void {
  self.postMessage(answer);
}
