/** Scoring of short answers as visual question answering does it (Antol et al. 2015): normalise, then compare. */

const NUMBER_WORDS: ReadonlyMap<string, string> = new Map(
  ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'].map((word, value) => [word, String(value)]),
);

const ARTICLES: ReadonlySet<string> = new Set(['a', 'an', 'the']);

/** Contractions that people type without their apostrophe and that are no word of their own without it. */
const CONTRACTIONS: ReadonlyMap<string, string> = new Map(
  (
    "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's i'm i've isn't it'd it'll ma'am " +
    "mightn't might've mustn't must've needn't o'clock oughtn't shan't she's should've shouldn't that's there'd there're there's they'd they'll " +
    "they're they've wasn't we've weren't what'll what're what's what've when's where'd where's where've who'd who'll who's who've why'll why're " +
    "why's won't would've wouldn't y'all you'd you'll you're you've"
  )
    .split(' ')
    .map((word) => [word.replaceAll("'", ''), word]),
);

/** Lower case, digits for number words, no articles, no punctuation but decimal points and apostrophes, single spaces. */
export function normaliseAnswer(answer: string): string {
  const plain = answer
    .toLowerCase()
    .replaceAll('\u2019', "'")
    .replace(/(?<=\d),(?=\d)/g, '')
    .replace(/\.(?!\d)/g, '')
    .replace(/[;/[\]"{}()=+\\_<>@`,?!:*\u201c\u201d\u2026-]/g, ' ');
  const words: string[] = [];
  for (const word of plain.split(/\s+/)) {
    const spelled = NUMBER_WORDS.get(word) ?? CONTRACTIONS.get(word) ?? word.replace(/^'+|'+$/g, '');
    if (spelled !== '' && !ARTICLES.has(spelled)) words.push(spelled);
  }
  return words.join(' ');
}

/** 1 when the answer equals any of the accepted ones after normalisation, else 0. */
export function exactMatch(answer: string, accepted: readonly string[]): number {
  const given = normaliseAnswer(answer);
  return accepted.some((other) => normaliseAnswer(other) === given) ? 1 : 0;
}

/**
 * VQA accuracy: the mean, over every way to leave one person out, of min(1, matches among the others / 3). With fewer than four people the
 * divisor is the number of the others, and with one the answer simply has to match.
 */
export function vqaAccuracy(answer: string, people: readonly string[]): number {
  if (people.length === 1) return exactMatch(answer, people);
  const given = normaliseAnswer(answer);
  const matches = people.map((other) => (normaliseAnswer(other) === given ? 1 : 0));
  const total = matches.reduce<number>((sum, match) => sum + match, 0);
  const enough = Math.min(3, people.length - 1);
  return matches.reduce<number>((sum, own) => sum + Math.min(1, (total - own) / enough), 0) / people.length;
}

/** One question and what was answered. */
export interface AnswerItem {
  readonly answer: string;
  /** At least one. */
  readonly answers: readonly string[];
  /** Kind of question, for figures of its own. */
  readonly type: string | null;
}

export interface AnswerScores {
  readonly count: number;
  readonly exact_match: number;
  readonly vqa_accuracy: number;
  /** The same for each type that questions name. */
  readonly types: Readonly<Record<string, { readonly count: number; readonly exact_match: number; readonly vqa_accuracy: number }>>;
}

export function scoreAnswers(items: readonly AnswerItem[]): AnswerScores {
  if (items.length === 0) throw new RangeError('there are no answers to score');
  const types = [...new Set(items.flatMap(({ type }) => (type === null ? [] : [type])))].sort();
  return {
    ...means(items),
    types: Object.fromEntries(types.map((type) => [type, means(items.filter((item) => item.type === type))])),
  };
}

function means(items: readonly AnswerItem[]): { count: number; exact_match: number; vqa_accuracy: number } {
  const mean = (score: (item: AnswerItem) => number): number => items.reduce((sum, item) => sum + score(item), 0) / items.length;
  return {
    count: items.length,
    exact_match: mean(({ answer, answers }) => exactMatch(answer, answers)),
    vqa_accuracy: mean(({ answer, answers }) => vqaAccuracy(answer, answers)),
  };
}
