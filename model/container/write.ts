import { checkLimit } from './bytes.js';
import { malformed } from './errors.js';
import { joinSections, type SectionType } from './header.js';
import { latentsSection } from './latents.js';
import { MAX_BITS, MAX_ELEMENTS, MAX_LATENT_DIM, MIN_BITS } from './limits.js';
import { metaSection, timesSection } from './meta.js';
import { networkSection } from './network.js';
import type { Coder, Container } from './types.js';

export interface WriteOptions {
  /** Bits a value of the tensor of this name, 2 to 16. Default: 8, or what the file has from which the tensor was read. */
  readonly bits?: (name: string) => number;
  /** Bits of the latents' residuals, 2 to 16. Default: 6, or what the file has from which they were read. */
  readonly latentBits?: number;
  /** Default: range, or what the file has from which the values were read. */
  readonly coder?: Coder;
}

/**
 * The bytes of a `.linr` file, version 1 (docs/container.md). Values that came from `readContainer` and were not changed keep their
 * levels, so that writing a file that was read gives its bytes again. Throws ContainerError for what the reader would refuse.
 */
export function writeContainer(container: Container, options: WriteOptions = {}): Uint8Array {
  const { meta, latents, latentDim, network } = container;
  checkLimit(latentDim, MAX_LATENT_DIM, 'The latent dimension');
  if (latents.length !== meta.frames * latentDim) {
    throw malformed(`There are ${latents.length} latent numbers for ${meta.frames} frames of ${latentDim}.`);
  }
  const bits = options.latentBits;
  if (bits !== undefined && (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS)) {
    throw malformed(`Latents cannot have ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  }
  let elements = latents.length;
  for (const tensor of network?.tensors.values() ?? []) elements += tensor.data.length;
  checkLimit(elements, MAX_ELEMENTS, 'The number of values in the container');
  const sections: [SectionType, Uint8Array][] = [
    ['META', metaSection(meta)],
    ['TIME', timesSection(meta.times_s)],
    ['LATN', latentsSection(latents, latentDim, { bits, coder: options.coder })],
  ];
  if (network !== null) sections.push(['NETW', networkSection(network, { bits: options.bits, coder: options.coder })]);
  return joinSections(sections);
}
