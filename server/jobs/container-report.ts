import type { Container } from '../../model/container/index.js';
import { inspectLinr } from '../../model/inr/checked-network.js';
import { openPack } from '../../model/pack/open.node.js';
import type { ContainerFacts, Media } from '../store/videos.js';
import type { ProbeReport } from './messages.js';

/** What the store keeps of a container that was read back. */
export function factsOf(
  container: Container,
  version: string,
  stage: ContainerFacts['stage'],
  bytes: number,
  psnr_db: number | null,
): ContainerFacts {
  const { width, height, frames, source: { warnings = [] } } = container.meta;
  return { version, stage, bytes, width, height, frames, psnr_db, warnings };
}

/** What a container tells about the original it was made from. */
function mediaOf(container: Container): Media {
  const { source, frames, duration_s } = container.meta;
  return { width: source.width, height: source.height, frames, duration_s, warnings: source.warnings ?? [] };
}

/**
 * Reads a whole container and holds it to the model pack that is served.
 * @throws ContainerError for bytes that are no valid container, or whose pictures cannot be drawn
 */
export async function reportOnContainer(bytes: Uint8Array, version: string, packDir: string): Promise<ProbeReport> {
  const { container } = inspectLinr(bytes);
  const { manifest } = await openPack(packDir);
  const { meta } = container;
  if (meta.pack.feature_space !== manifest.feature_space) {
    const message =
      `The container was made for the model pack "${meta.pack.id}" (feature space "${meta.pack.feature_space}"); this server runs ` +
      `"${manifest.id}" ("${manifest.feature_space}"). Start a server with that pack, or encode the video again.`;
    return { type: 'failed', code: 'pack_mismatch', message, detail: message };
  }
  return {
    type: 'container',
    facts: factsOf(container, version, container.networks.some((network) => network !== null) ? 'final' : 'latents', bytes.length, null),
    kind: meta.frames === 1 ? 'photo' : 'video',
    media: mediaOf(container),
    sourceName: meta.source.name,
    sourceBytes: meta.source.bytes,
  };
}
