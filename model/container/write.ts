import { checkLimit } from './bytes.js';
import { malformed } from './errors.js';
import { FIRST_VERSION, joinSections, VERSION, type SectionType } from './header.js';
import { latentsSection } from './latents.js';
import { MAX_BITS, MAX_LATENT_DIM, MAX_LATENT_ELEMENTS, MIN_BITS } from './limits.js';
import { metaSection, timesSection } from './meta.js';
import { mixingPart } from './mixing.js';
import type { Coder, Container, Mixing } from './types.js';

export interface WriteOptions {
  /** Bits of the latents' residuals, 1 to 16. Default: 6, or what the file has from which they were read. */
  readonly latentBits?: number;
  /** Of the latents; the networks are coded already. Default: range, or what the file has from which they were read. */
  readonly coder?: Coder;
}

/**
 * The bytes of a `.linr` file (docs/container.md), of the first version that can hold it. Networks stand in it as they are. Latents that came from a file and were
 * not changed keep their levels, so that writing a file that was read gives its bytes again. Throws ContainerError for what the reader
 * would refuse.
 */
export function writeContainer(container: Container, options: WriteOptions = {}): Uint8Array {
  const { meta, latents, latentDim, networks } = container;
  const mixing = container.mixing ?? meta.segments.map(() => null);
  checkLimit(latentDim, MAX_LATENT_DIM, 'The latent dimension');
  checkLimit(latents.length, MAX_LATENT_ELEMENTS, 'The number of values in the latents');
  if (latents.length !== meta.frames * latentDim) {
    throw malformed(`There are ${latents.length} latent numbers for ${meta.frames} frames of ${latentDim}.`);
  }
  if (networks.length !== meta.segments.length) {
    throw malformed(`There are ${networks.length} networks for ${meta.segments.length} segments; a segment without one has null.`);
  }
  checkMixing(mixing, networks, meta.segments);
  const free = mixing.some((segment) => segment !== null);
  const bits = options.latentBits;
  if (bits !== undefined && (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS)) {
    throw malformed(`Latents cannot have ${bits} bits a value; ${MIN_BITS} to ${MAX_BITS} are possible.`);
  }
  const sections: [SectionType, Uint8Array][] = [
    ['META', metaSection(meta, networks.map((network) => network !== null))],
    ['TIME', timesSection(meta.times_s)],
    ['LATN', joined(latentsSection(latents, latentDim, { bits, coder: options.coder }), free ? mixingPart(mixing, networks) : null)],
  ];
  for (const network of networks) if (network !== null) sections.push(['NETW', network]);
  return joinSections(sections, free ? VERSION : FIRST_VERSION);
}

function checkMixing(mixing: readonly (Mixing | null)[], networks: Container['networks'], segments: readonly number[]): void {
  if (mixing.length !== segments.length) throw malformed(`There are free numbers of ${mixing.length} segments, and ${segments.length} segments.`);
  for (const [k, segment] of mixing.entries()) {
    if (segment === null) continue;
    if (networks[k] === null) throw malformed(`Segment ${k} has free numbers, but no network that mixes with them.`);
    if (segment.levels.length !== segment.count * (segments[k] as number)) {
      throw malformed(`There are ${segment.levels.length} free numbers for ${segments[k]} frames of ${segment.count}.`);
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array | null): Uint8Array {
  if (second === null) return first;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
