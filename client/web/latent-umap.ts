/** The plane that latents are laid out in by UMAP (McInnes et al., 2018): for the page's map and for the paper's Figure 9. */
import { UMAP } from 'umap-js';
import { seededRandom } from '../../model/runtime/random.js';

/** UMAP's own default, and fewer where there are hardly more frames. */
const neighbours = 15;

/** A layout of rows (N, D) that begins: `initializeFit` and steps are the caller's. The same rows give the same layout, on every machine and after every reload. */
export function latentUmap(rows: number): UMAP {
  return new UMAP({ nNeighbors: Math.min(neighbours, rows - 1), minDist: 0.15, distanceFn: cosineDistance, random: seededRandom(1) });
}

/** Latents (N, D), row-major, as UMAP takes them. */
export function latentRows(vectors: Float32Array, dim: number): number[][] {
  return Array.from({ length: vectors.length / dim }, (_, row) => [...vectors.subarray(row * dim, (row + 1) * dim)]);
}

/** Latents are compared as the encoder aligned them: by their direction. */
export function cosineDistance(a: readonly number[], b: readonly number[]): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 1 : 1 - dot / Math.sqrt(aa * bb);
}
