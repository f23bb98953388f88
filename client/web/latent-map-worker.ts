/** The map's worker: lays latents out in the plane by UMAP, telling the layout while it forms. */
import { UMAP } from 'umap-js';
import { seededRandom } from '../../model/runtime/random.js';
import type { MapAnswer, MapRequest } from './latent-map-protocol.js';

/** UMAP's own default, and fewer where there are hardly more frames. */
const neighbours = 15;
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
  const rows = Array.from({ length: vectors.length / dim }, (_, row) => [...vectors.subarray(row * dim, (row + 1) * dim)]);
  // The same latents give the same map, on every machine and after every reload.
  const umap = new UMAP({ nNeighbors: Math.min(neighbours, rows.length - 1), minDist: 0.15, distanceFn: cosineDistance, random: seededRandom(1) });
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

/** Latents are compared as the encoder aligned them: by their direction. */
function cosineDistance(a: readonly number[], b: readonly number[]): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 1 : 1 - dot / Math.sqrt(aa * bb);
}
