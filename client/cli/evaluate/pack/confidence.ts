/** Section: whether answers that are doubted are wrong, and the others right. */
import { createHash } from 'node:crypto';
import { confidenceBy, type Testimony } from '../../../../projector/index.js';
import { writeAtomically } from '../../../../model/runtime/durable.node.js';
import { exactMatch, firstWordMatch } from '../../../metrics/answers.js';
import { tellsWhatIsThere } from '../../../metrics/truth.js';
import { readItems, type Item } from '../items.js';
import { BALANCED_TYPE, questionItems, said, WORD_TYPES } from './answers.js';
import type { PackRow, PackSection, SectionContext } from './section.js';

/** An answer that is known to be right or wrong, with what speaks for it. */
interface Judged {
  readonly id: string;
  readonly right: boolean;
  readonly testimony: Testimony;
  /** The recipe learns from these; the figures are of the others. */
  readonly learned: boolean;
}

export const confidenceSection: PackSection = {
  name: 'confidence',
  help: 'answers that are doubted: how many, and how many of them, and of the others, are wrong',
  missing: ({ questions, clips }) => (questions === null || clips === null ? 'needs --questions and --clips' : null),
  async run(context) {
    const judged = [...(await judgedAnswers(context)), ...(await judgedCaptions(context))];
    const file = context.keep('confidence.jsonl');
    if (file !== null) await writeAtomically(file, judged.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const config = context.models.pack.manifest.confidence;
    if (config === undefined) return [];
    const asked = judged.filter(({ learned }) => !learned);
    const doubted = asked.filter(({ testimony }) => confidenceBy(config, testimony).doubtful);
    const others = asked.filter((one) => !doubted.includes(one));
    const row = (key: string, what: string, of: readonly unknown[], share: number, reach: string): PackRow => ({ key, what, count: of.length, value: share, blind: null, reach });
    const wrong = (of: readonly Judged[]): number => of.filter(({ right }) => !right).length / of.length;
    return [
      row('doubted', 'answers said with doubt', asked, doubted.length / asked.length, '0.333 or less'),
      row('doubted_wrong', 'of these, wrong', doubted, wrong(doubted), '0.60 or more'),
      row('undoubted_wrong', 'of the others, wrong', others, wrong(others), '0.25 or less'),
    ];
  },
};

async function judgedAnswers(context: SectionContext): Promise<Judged[]> {
  const items = (await questionItems(context)).filter(({ type }) => type === BALANCED_TYPE || WORD_TYPES.includes(type ?? ''));
  const { rows, testimonies } = await said(context, 'qa', 'questions', items, ['latents']);
  const texts = rows.get('latents');
  const right = ({ id, type, accepted }: Item): boolean => (type === BALANCED_TYPE ? firstWordMatch : exactMatch)(texts?.get(id) ?? '', accepted) === 1;
  return judgedOf(items, testimonies, right);
}

async function judgedCaptions(context: SectionContext): Promise<Judged[]> {
  const { clips, limit } = context;
  const items = await readItems('captions', clips as string, limit === undefined ? {} : { limit });
  const { rows, testimonies } = await said(context, 'captions', 'clip-captions', items, ['latents']);
  const texts = rows.get('latents');
  return judgedOf(items, testimonies, ({ id, accepted }) => tellsWhatIsThere(texts?.get(id) ?? '', accepted));
}

function judgedOf(items: readonly Item[], testimonies: ReadonlyMap<string, Testimony>, right: (item: Item) => boolean): Judged[] {
  return items.flatMap((item) => {
    const testimony = testimonies.get(item.id);
    return testimony === undefined ? [] : [{ id: item.id, right: right(item), testimony, learned: isLearned(item.id) }];
  });
}

/** Half of all ids, the same half every time. */
function isLearned(id: string): boolean {
  return (createHash('sha256').update(id).digest()[0] as number) % 2 === 0;
}
