/**
 * Frames between frames (paper, Table 1): only every alpha-th frame is kept, and the ones left out are compared with
 * what is put in their place.
 */
import type { Picture } from '../../model/inr/motion.js';
import { psnr } from '../../model/inr/quality.js';
import type { Clip } from './clip.js';

/** The paper's. */
export const ALPHAS = [2, 4, 8] as const;

/** What the paper's Table 1 has for Big Buck Bunny at 1280 x 720, in the order of ALPHAS, in dB. */
export const PAPER_TABLE: readonly (readonly [method: string, ...psnr_db: readonly number[]])[] = [
  ['Latent-INR', 33.17, 28.08, 25.88],
  ['NVP', 20.1, 19.11, 18.08],
  ['NIRVANA', 19.14, 18.9, 18.67],
  ['NeRV', 15.92, 15.43, 13.68],
];
/** What PAPER_TABLE is, for captions. */
export const PAPER_CAPTION = 'The paper (its Table 1), Big Buck Bunny, 1280 x 720';

/** A frame that was left out: `beta` of the way from kept frame `before` to the one after it, 1 after the last one. */
export interface Gap {
  readonly truth: Uint8Array;
  readonly before: number;
  readonly beta: number;
}

/** What is put in the place of a frame. */
export type Fill = (gap: Gap) => Promise<Pick<Picture, 'data'>> | Pick<Picture, 'data'>;

/**
 * The frames t with t mod alpha = 0, and all the others. Those after the last one that is kept have its moment.
 * @throws RangeError for a clip that has no frame between two
 */
export function leaveOut({ frames, size, caption }: Clip, alpha: number): { kept: Picture[]; gaps: Gap[] } {
  const kept = frames.filter((_, t) => t % alpha === 0).map((data): Picture => ({ ...size, data }));
  if (kept.length < 2) throw new RangeError(`${caption}: too short to leave frames out at alpha ${alpha}`);
  const gaps = frames.flatMap((truth, t): Gap[] => {
    if (t % alpha === 0) return [];
    const before = Math.min(Math.floor(t / alpha), kept.length - 2);
    return [{ truth, before, beta: Math.min(1, t / alpha - before) }];
  });
  return { kept, gaps };
}

/** Fills a gap from its two neighbours among `pictures`. */
export function between(
  pictures: readonly Picture[],
  combine: (before: Picture, after: Picture, beta: number) => Picture,
): Fill {
  return ({ before, beta }) => combine(pictures[before] as Picture, pictures[before + 1] as Picture, beta);
}

/** The neighbour nearer in time. */
export function nearest(before: Picture, after: Picture, beta: number): Picture {
  return beta <= 0.5 ? before : after;
}

/** Mean PSNR in dB over the frames left out. */
export async function gapPsnr(gaps: readonly Gap[], fill: Fill): Promise<number> {
  const filled: Uint8Array[] = [];
  for (const gap of gaps) filled.push((await fill(gap)).data);
  return meanPsnr(
    filled,
    gaps.map(({ truth }) => truth),
  );
}

/** Mean over frames, in dB. */
export function meanPsnr(frames: readonly Uint8Array[], truths: readonly Uint8Array[]): number {
  return truths.reduce((sum, truth, t) => sum + psnr(frames[t] as Uint8Array, truth), 0) / truths.length;
}
