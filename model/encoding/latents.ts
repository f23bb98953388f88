/** Frames to latents to a container without networks: what can be asked about and searched, seconds after a video is there. */
import { writeContainer, type ContainerMeta } from '../container/index.js';
import type { Frame } from '../frames/types.js';
import type { PackManifest } from '../pack/index.js';
import { concatFloats } from '../runtime/tensor.js';
import type { VisionTower } from '../vision/index.js';

export interface LatentsOptions extends Pick<ContainerMeta, 'duration_s' | 'source'> {
  /** The model pack the tower is of. */
  readonly pack: Pick<PackManifest, 'id' | 'feature_space'>;
  /** Called after each frame with the number of those done. */
  readonly onFrame?: (done: number) => void;
}

/**
 * Puts frames through the vision tower, one at a time.
 * @returns the container's bytes, and the latents as they were before they were quantized, (T, D)
 */
export async function latentsContainer(
  frames: AsyncIterable<Frame> | Iterable<Frame>,
  tower: VisionTower,
  { duration_s, source, pack: { id, feature_space }, onFrame }: LatentsOptions,
): Promise<{ readonly bytes: Uint8Array; readonly targets: Float32Array }> {
  const started = performance.now();
  const rows: Float32Array[] = [];
  const times: number[] = [];
  for await (const frame of frames) {
    rows.push(tower.latents(await tower.features([frame])));
    onFrame?.(times.push(frame.time_s));
  }
  const targets = concatFloats(rows);
  const bytes = writeContainer({
    meta: {
      width: source.width,
      height: source.height,
      frames: times.length,
      segments: [times.length],
      duration_s,
      source,
      times_s: Float64Array.from(times),
      pack: { id, feature_space },
      encoder: { preset: 'latents', seconds: (performance.now() - started) / 1000 },
    },
    latents: targets,
    latentDim: tower.latentDim,
    networks: [null],
  });
  return { bytes, targets };
}
