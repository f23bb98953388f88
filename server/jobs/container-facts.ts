import type { Container } from '../../model/container/index.js';
import type { ContainerFacts, Media } from '../store/videos.js';

/** What the store keeps of a container that was read back. */
export function factsOf(
  container: Container,
  version: string,
  stage: ContainerFacts['stage'],
  bytes: number,
  psnr_db: number | null,
): ContainerFacts {
  const { width, height, frames } = container.meta;
  return { version, stage, bytes, width, height, frames, psnr_db };
}

/** What a container tells about the original it was made from. */
export function mediaOf(container: Container): Media {
  const { source, frames, duration_s } = container.meta;
  return { width: source.width, height: source.height, frames, duration_s };
}
