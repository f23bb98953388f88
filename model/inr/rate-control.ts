/** What a stored bit costs during training: fixed, or steered so that the file reaches a size or a quality. */

export type RateGoal =
  /** Mean squared error that one bit a pixel is worth. */
  | { readonly kind: 'price'; readonly price: number }
  /** Bits per pixel of the whole file. */
  | { readonly kind: 'bpp'; readonly bpp: number }
  /** PSNR in dB of the decoded frames; the smallest file that reaches it. */
  | { readonly kind: 'psnr'; readonly psnr_db: number };

/** Where a price that is steered towards a quality begins: between the presets' own. */
const FIRST_PRICE = 4e-3;
/**
 * Where one that is steered towards a size begins: near where it will end, since a file takes most of the training to become as small as a
 * price makes it, and what too dear a price has taken away does not come back. Big Buck Bunny at 320 x 160 had 0.82 bits a pixel at a price of
 * 0.0012, 0.23 at 0.02 and 0.145 at 0.035.
 */
const PRICE_OF_ONE_BIT = 8.6e-4;
const PRICE_SLOPE = -2;
/** Bounds of a steered price: free, and so dear that nothing is left. */
const PRICES = { min: 1e-6, max: 10 } as const;
/** How far a price steered towards a size goes from its beginning, as a factor. */
const MAX_DRIFT = 2;
/** Change of the price for a size off by a factor e, and for a quality off by 1 dB; and the most one observation changes it. */
const BPP_GAIN = 0.5;
const PSNR_GAIN = 0.35;
const MAX_CHANGE = 1.6;

/**
 * Shares of a training at which a price that is steered towards a quality or a size begins to be, and between two observations.
 * Until the learning rate is low, what a file would take says more about the restless numbers than about the price: it falls to a third in
 * the last 40 %, and a price that followed it earlier rose fivefold and left a file of half the wanted size.
 */
const STEERED_FROM = { psnr: 0.1, bpp: 0.9, price: Infinity } as const;
const STEERED_EVERY = 0.08;

/** What a file would be now. */
export interface RateObservation {
  readonly bpp: number;
  readonly psnr_db: number;
}

export class RateControl {
  /** Mean squared error that one bit a pixel is worth now. */
  price: number;

  private readonly bounds: { readonly min: number; readonly max: number };
  /** Progress at the last observation. */
  private observed = -Infinity;

  /** `knee`: that of the price (training-step.ts). */
  constructor(private readonly goal: RateGoal, knee: number) {
    const first = firstPrice(goal, knee);
    this.bounds = goal.kind === 'bpp' ? { min: first / MAX_DRIFT, max: first * MAX_DRIFT } : PRICES;
    this.price = first;
  }

  /** Steers where it is time to. `progress`: part of the training that is done; `look` is asked only then, since it takes a while. */
  steer(progress: number, look: () => RateObservation): void {
    if (progress < STEERED_FROM[this.goal.kind] || progress - this.observed < STEERED_EVERY) return;
    this.observed = progress;
    this.observe(look());
  }

  /** Takes in how large the file would be now and how good its pictures are. */
  observe({ bpp, psnr_db }: RateObservation): void {
    const { goal } = this;
    if (goal.kind === 'price') return;
    const exponent = goal.kind === 'bpp' ? BPP_GAIN * Math.log(bpp / goal.bpp) : PSNR_GAIN * (psnr_db - goal.psnr_db);
    if (!Number.isFinite(exponent)) return;
    const change = Math.min(MAX_CHANGE, Math.max(1 / MAX_CHANGE, Math.exp(exponent)));
    this.price = Math.min(this.bounds.max, Math.max(this.bounds.min, this.price * change));
  }
}

/** A number of one step costs more below a smaller knee, so that the same price leaves a smaller file. */
function firstPrice(goal: RateGoal, knee: number): number {
  if (goal.kind === 'price') return goal.price;
  return goal.kind === 'psnr' ? FIRST_PRICE : Math.min(PRICES.max, Math.max(PRICES.min, PRICE_OF_ONE_BIT * knee ** 2 * goal.bpp ** PRICE_SLOPE));
}
