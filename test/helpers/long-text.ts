import { randomNumbers } from './random.js';

const WORDS = (
  'the a man woman dog cat car tree house street river ball boy girl bird horse runs sits jumps walks stands plays looks sees holds throws ' +
  'on in under over beside behind near with and while because then red green blue small large old young quick slow bright dark wet cold'
).split(' ');

/** Prose without sense of about so many tokens: a common word is one. */
export function longText(tokens: number, seed: number): string {
  const random = randomNumbers(seed + 1);
  return `${Array.from({ length: tokens - 1 }, () => WORDS[random.below(WORDS.length)] as string).join(' ')}.`;
}
