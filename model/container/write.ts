import { checkLimit } from './bytes.js';
import { malformed } from './errors.js';
import { joinSections, type SectionType } from './header.js';
import { latentsSection } from './latents.js';
import { MAX_BITS, MAX_LATENT_DIM, MAX_LATENT_ELEMENTS, MIN_BITS } from './limits.js';
import { metaSection, timesSection } from './meta.js';
import type { Coder, Container } from './types.js';

export interface WriteOptions {
  /** Bits of the latents' residuals, 1 to 16. Default: 6, or what the file has from which they were read. */
  readonly latentBits?: number;
  /** Of the latents; the networks are coded already. Default: range, or what the file has from which they were read. */
  readonly coder?: Coder;
}

/**
 * The bytes of a `.linr` file, version 1 (docs/container.md). Networks stand in it as they are. Latents that came from a file and were
 * not changed keep their levels, so that writing a file that was read gives its bytes again. Throws ContainerError for what the reader
 * would refuse.
 */
export function writeContainer(container: Container, options: WriteOptions = {}): Uint8Array {
  const { meta, latents, latentDim, networks } = container;
  checkLimit(latentDim, MAX_LATENT_DIM, 'The latent dimension');
  checkLimit(latents.length, MAX_LATENT_ELEMENTS, 'The number of values in the latents');
  if (latents.length !== meta.frames * latentDim) {
    throw malformed(`There are ${latents.length} latent numbers for ${meta.frames} frames of ${latentDim}.`);
  }
  if (networks.length !== meta.segments.length) {
    throw malformed(`There are ${networks.length} networks for ${meta.segments.length} segments; a segment without one has null.`);
  }
  const bits = options.latentBits;
  if (bits !== undefined && (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS)) {
    throw malformed(`Latents cannot have ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  }
  const sections: [SectionType, Uint8Array][] = [
    ['META', metaSection(meta, networks.map((network) => network !== null))],
    ['TIME', timesSection(meta.times_s)],
    ['LATN', latentsSection(latents, latentDim, { bits, coder: options.coder })],
  ];
  for (const network of networks) if (network !== null) sections.push(['NETW', network]);
  return joinSections(sections);
}
