/**
 * Scoring of short answers as visual question answering does it (Antol et al. 2015): normalise by the rules of the published VQA evaluation,
 * then compare.
 */
import { bootstrapMean, type Interval } from './bootstrap.js';

/** `none` counts as a number, as in the published evaluation. */
const NUMBER_WORDS: ReadonlyMap<string, string> = new Map([
  ['none', '0'],
  ...['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'].map((word, value): [string, string] => [word, String(value)]),
]);

const ARTICLES: ReadonlySet<string> = new Set(['a', 'an', 'the']);

/** Contractions that people type without their apostrophe and that are no word of their own without it. */
const CONTRACTIONS: ReadonlyMap<string, string> = contractionTable(
  "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's i'm i've isn't it'd it'll ma'am " +
    "mightn't might've mustn't must've needn't o'clock oughtn't shan't she's should've shouldn't somebody'd somebody'll somebody's someone'd " +
    "someone'll someone's something'd something'll that's there'd there're there's they'd they'll they're they've 'twas wasn't we've weren't " +
    "what'll what're what's what've when's where'd where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all " +
    "y'all'll you'd you'll you're you've",
);

/** Each contraction by its spellings without one or all apostrophes; those in n't and 'd also with 've after them. */
function contractionTable(list: string): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  const longer = (word: string): string[] => (/(?:n't|'d)$/.test(word) ? [word, `${word}'ve`] : [word]);
  for (const word of list.split(' ').flatMap(longer)) {
    const apostrophes = [...word.matchAll(/'/g)].map(({ index }) => index);
    const spellings = apostrophes.length > 1 ? apostrophes.map((at) => word.slice(0, at) + word.slice(at + 1)) : [];
    for (const spelling of [word.replaceAll("'", ''), ...spellings]) if (!table.has(spelling)) table.set(spelling, word);
  }
  return table;
}

/** Marks that go away where one of them stands beside a space or at an end, or the text has a number such as 1,000; else they part two words. */
const MARKS = [';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!'];
/** Typed by people and models, unknown to the published rules: they count as their plain forms. */
const PLAIN: readonly (readonly [RegExp, string])[] = [
  [/[\u2018\u2019]/g, "'"],
  [/[\u201c\u201d]/g, '"'],
  [/\u2026/g, ' '],
  [/[\u2010-\u2015]/g, '-'],
];

/** Lower case, digits for number words, no articles, no punctuation but decimal points, colons and apostrophes, single spaces. */
export function normaliseAnswer(answer: string): string {
  const plain = PLAIN.reduce((text, [typographic, form]) => text.replace(typographic, form), answer).replace(/\s+/g, ' ').trim();
  const grouped = /\d,\d/.test(plain);
  const bare = MARKS.reduce((text, mark) => {
    const apart = plain.includes(`${mark} `) || plain.includes(` ${mark}`);
    return text.replaceAll(mark, apart || grouped ? '' : ' ');
  }, plain);
  const words: string[] = [];
  for (const word of bare.replace(/\.(?!\d)/g, '').toLowerCase().split(/\s+/)) {
    const counted = NUMBER_WORDS.get(word) ?? word;
    const spelled = CONTRACTIONS.get(counted) ?? counted.replace(/^'+(?!twas)|'+$/g, '');
    if (spelled !== '' && !ARTICLES.has(counted)) words.push(spelled);
  }
  return words.join(' ');
}

/** 1 when the answer equals any of the accepted ones after normalisation, else 0. */
export function exactMatch(answer: string, accepted: readonly string[]): number {
  const given = normaliseAnswer(answer);
  return accepted.some((other) => normaliseAnswer(other) === given) ? 1 : 0;
}

/** 1 when the answer begins with an accepted word, such as yes or no, whatever it goes on to say, else 0. */
export function firstWordMatch(answer: string, accepted: readonly string[]): number {
  const [given] = normaliseAnswer(answer).split(' ');
  return given !== '' && accepted.some((other) => normaliseAnswer(other) === given) ? 1 : 0;
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

/** Figures of a set of answers: means, each with its bootstrap 95% interval. */
export interface AnswerFigures {
  readonly count: number;
  readonly exact_match: number;
  readonly exact_match_interval: Interval;
  readonly vqa_accuracy: number;
  readonly vqa_accuracy_interval: Interval;
}

export interface AnswerScores extends AnswerFigures {
  /** The same for each type that questions name. */
  readonly types: Readonly<Record<string, AnswerFigures>>;
  /** VQA accuracy of each item, in order. */
  readonly items: readonly number[];
}

/** @throws RangeError for no items */
export function scoreAnswers(items: readonly AnswerItem[]): AnswerScores {
  if (items.length === 0) throw new RangeError('there are no answers to score');
  const scored = items.map(({ answer, answers, type }) => ({ type, exact: exactMatch(answer, answers), accuracy: vqaAccuracy(answer, answers) }));
  const types = [...new Set(items.flatMap(({ type }) => (type === null ? [] : [type])))].sort();
  return {
    ...figures(scored),
    types: Object.fromEntries(types.map((name) => [name, figures(scored.filter(({ type }) => type === name))])),
    items: scored.map(({ accuracy }) => accuracy),
  };
}

function figures(scored: readonly { readonly exact: number; readonly accuracy: number }[]): AnswerFigures {
  const exact = bootstrapMean(scored.map((item) => item.exact));
  const accuracy = bootstrapMean(scored.map((item) => item.accuracy));
  return {
    count: scored.length,
    exact_match: exact.mean,
    exact_match_interval: exact.interval,
    vqa_accuracy: accuracy.mean,
    vqa_accuracy_interval: accuracy.interval,
  };
}
