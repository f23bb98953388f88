/**
 * Caption scores, each equal to pycocoevalcap's. METEOR is not among them: it is its paraphrase tables (62 MB for English, and a Java
 * program under LGPL around them), and without them the figure would be another metric by the same name.
 */
import { bleu } from './bleu.js';
import { ciderD } from './cider.js';
import type { TokenisedItem } from './ngrams.js';
import { tokenise } from './ptb-tokenise.js';
import { rougeL } from './rouge.js';

/** A caption and what people wrote. */
export interface CaptionItem {
  readonly caption: string;
  /** At least one. */
  readonly references: readonly string[];
}

/** Scores of a set of captions, each what pycocoevalcap gives for the same set; CIDEr-D on its scale, where 0.40 is printed as 40 in papers. */
export interface CaptionScores {
  readonly count: number;
  readonly bleu1: number;
  readonly bleu2: number;
  readonly bleu3: number;
  readonly bleu4: number;
  readonly rouge_l: number;
  readonly cider_d: number;
  /** Of each item, in order. */
  readonly rouge_l_items: readonly number[];
  readonly cider_d_items: readonly number[];
}

/** Tokenises and scores a non-empty set. CIDEr-D takes its document frequencies from the references given here. */
export function scoreCaptions(items: readonly CaptionItem[]): CaptionScores {
  if (items.length === 0) throw new RangeError('there are no captions to score');
  const tokenised: TokenisedItem[] = items.map(({ caption, references }) => ({
    candidate: tokenise(caption),
    references: references.map(tokenise),
  }));
  const [bleu1 = 0, bleu2 = 0, bleu3 = 0, bleu4 = 0] = bleu(tokenised);
  const rouge = tokenised.map(rougeL);
  const cider = ciderD(tokenised);
  return {
    count: items.length,
    bleu1,
    bleu2,
    bleu3,
    bleu4,
    rouge_l: mean(rouge),
    cider_d: mean(cider),
    rouge_l_items: rouge,
    cider_d_items: cider,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
