/** From texts to the figures of each row. */
import { scoreAnswers, type AnswerFigures } from '../../metrics/answers.js';
import { bootstrapMean, type Interval } from '../../metrics/bootstrap.js';
import { scoreCaptions } from '../../metrics/captions.js';
import type { Texts } from './data.js';
import type { Item, Task } from './items.js';
import type { Predictions } from './predict.js';

export interface Figure {
  readonly key: string;
  /** As tables print it. */
  readonly label: string;
  readonly value: number;
  /** Bootstrap 95%; null for figures of a whole set, which are no means over items. */
  readonly interval: Interval | null;
}

export interface ScoredItem {
  readonly id: string;
  readonly text: string;
  /** CIDEr-D of a caption, VQA accuracy of an answer. */
  readonly score: number;
}

export interface RowScores {
  readonly row: string;
  readonly count: number;
  /** Items that could not be answered; they count as nothing said. */
  readonly failed: number;
  readonly figures: readonly Figure[];
  /** By type of question; empty for captions. */
  readonly types: readonly { readonly name: string; readonly count: number; readonly figures: readonly Figure[] }[];
  readonly items: readonly ScoredItem[];
}

/** What the per-item score of a task is called, and its greatest value. */
export const ITEM_SCORES: Readonly<Record<Task, { readonly label: string; readonly most: number }>> = {
  captions: { label: 'CIDEr-D', most: 10 },
  qa: { label: 'VQA accuracy', most: 1 },
};

/** Each row over the items it has texts for. */
export function scoreRows(task: Task, items: readonly Item[], { rows, failed }: Predictions): RowScores[] {
  const score = task === 'captions' ? captionRow : answerRow;
  return [...rows].flatMap(([row, texts]) => {
    const said = items.filter(({ id }) => texts.has(id));
    return said.length === 0 ? [] : [{ row, count: said.length, failed: failed.get(row) ?? 0, ...score(said, texts) }];
  });
}

type Scores = Pick<RowScores, 'figures' | 'types' | 'items'>;

function captionRow(items: readonly Item[], texts: Texts): Scores {
  const scores = scoreCaptions(items.map(({ id, accepted }) => ({ caption: texts.get(id) ?? '', references: accepted })));
  const whole = (key: string, label: string, value: number): Figure => ({ key, label, value, interval: null });
  const mean = (key: string, label: string, values: readonly number[]): Figure => {
    const { mean: value, interval } = bootstrapMean(values);
    return { key, label, value, interval };
  };
  return {
    figures: [
      whole('bleu1', 'BLEU-1', scores.bleu1),
      whole('bleu2', 'BLEU-2', scores.bleu2),
      whole('bleu3', 'BLEU-3', scores.bleu3),
      whole('bleu4', 'BLEU-4', scores.bleu4),
      mean('rouge_l', 'ROUGE-L', scores.rouge_l_items),
      mean('cider_d', 'CIDEr-D', scores.cider_d_items),
    ],
    types: [],
    items: itemScores(items, texts, scores.cider_d_items),
  };
}

function answerRow(items: readonly Item[], texts: Texts): Scores {
  const scores = scoreAnswers(items.map(({ id, accepted, type }) => ({ answer: texts.get(id) ?? '', answers: accepted, type })));
  return {
    figures: answerFigures(scores),
    types: Object.entries(scores.types).map(([name, part]) => ({ name, count: part.count, figures: answerFigures(part) })),
    items: itemScores(items, texts, scores.items),
  };
}

function answerFigures(scores: AnswerFigures): Figure[] {
  return [
    { key: 'exact_match', label: 'exact match', value: scores.exact_match, interval: scores.exact_match_interval },
    { key: 'vqa_accuracy', label: 'VQA accuracy', value: scores.vqa_accuracy, interval: scores.vqa_accuracy_interval },
  ];
}

function itemScores(items: readonly Item[], texts: Texts, scores: readonly number[]): ScoredItem[] {
  return items.map(({ id }, i) => ({ id, text: texts.get(id) ?? '', score: scores[i] ?? 0 }));
}
