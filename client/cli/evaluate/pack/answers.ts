/** Sections in which the model is asked about photos and clips: captions, questions, clips. */
import { canSearch } from '../../../../model/retrieval/index.js';
import { CAPTION_BEAMS } from '../../../../projector/captions.js';
import type { Models } from '../../../../projector/library/models.js';
import { exactMatch, firstWordMatch } from '../../../metrics/answers.js';
import { momentOf, overlap } from '../../../metrics/moments.js';
import { namesOne } from '../../../metrics/names.js';
import { LocalAnswerer } from '../answerers.js';
import { type Item, readItems, type Task } from '../items.js';
import { predict } from '../predict.js';
import type { Row } from '../rows.js';
import { scoreRows } from '../scores.js';
import type { PackRow, PackSection, SectionContext } from './section.js';

const CAPTION_TOKENS = 64;
const ANSWER_TOKENS = 32;
/** A moment is found when it overlaps the right one by more than this. */
const FOUND_OVERLAP = 0.5;

export const BALANCED_TYPE = 'yes/no';
/** Types of questions that are answered in a word or two, in the order of the table. */
export const WORD_TYPES: readonly string[] = ['what', 'color', 'number', 'doing', 'where'];

const needsQuestions = ({ questions }: SectionContext): string | null =>
  questions === null ? 'needs --questions: `recipe.py --steps evaluation` makes them of captioned photos' : null;

export const captionSection: PackSection = {
  name: 'captions',
  help: 'captions of photos from latents read back, from raw features, and from no video',
  missing: ({ captions }) => (captions === null ? 'needs --data with captions' : null),
  async run(context) {
    const items = await captionItems(context);
    const figure = figuresOf(items, await said(context, 'captions', 'captions', items, ['latents', 'raw', 'none']));
    const base = { count: items.length, blind: null };
    return [
      { ...base, key: 'caption_bleu4', what: 'captions from latents read back: BLEU-4', value: figure('latents', 'bleu4'), blind: figure('none', 'bleu4'), reach: '0.23' },
      { ...base, key: 'caption_cider_d', what: 'captions from latents read back: CIDEr-D', value: figure('latents', 'cider_d'), blind: figure('none', 'cider_d'), reach: '0.60' },
      { ...base, key: 'caption_cider_d_raw', what: 'the same from raw features: CIDEr-D', value: figure('raw', 'cider_d'), reach: '' },
      { ...base, key: 'caption_kept', what: 'latents against raw features', value: figure('latents', 'cider_d') / figure('raw', 'cider_d'), reach: '0.98' },
    ];
  },
};

export const videoCaptionSection: PackSection = {
  name: 'videos',
  help: 'captions of real clips from latents read back, and from no video',
  missing: ({ clips }) => (clips === null ? 'needs --clips with captions of clips' : null),
  async run(context) {
    const { clips, limit } = context;
    const items = await readItems('captions', clips as string, limit === undefined ? {} : { limit });
    const figure = figuresOf(items, await said(context, 'captions', 'clip-captions', items, ['latents', 'none']));
    const row = (key: string, metric: string, what: string, reach: string): PackRow => ({
      key, what: `captions of clips: ${what}`, count: items.length, value: figure('latents', metric), blind: figure('none', metric), reach,
    });
    return [row('clip_caption_bleu4', 'bleu4', 'BLEU-4', '0.28'), row('clip_caption_cider_d', 'cider_d', 'CIDEr-D', '0.30')];
  },
};

export const classSection: PackSection = {
  name: 'classes',
  help: 'whether captions name what the vision tower is sure of',
  missing: ({ classes }) => (classes === null ? 'needs --classes with frames and the words for what they show' : null),
  async run(context) {
    const { classes, limit } = context;
    const items = await readItems('captions', classes as string, limit === undefined ? {} : { limit });
    const { rows } = await said(context, 'captions', 'class-captions', items, ['latents', 'none']);
    const share = (row: Row): number => items.filter(({ id, accepted }) => namesOne(rows.get(row)?.get(id) ?? '', accepted)).length / items.length;
    return [{ key: 'class_named', what: 'captions that name the class the head is sure of', count: items.length, value: share('latents'), blind: share('none'), reach: '0.80' }];
  },
};

export const precisionSection: PackSection = {
  name: 'precision',
  help: 'captions of photos by the weights as they are run, against the same weights in float32',
  missing: captionSection.missing,
  async run(context) {
    const items = await captionItems(context);
    const exact = context.models.withWeights('fp32');
    try {
      const cider = async (name: string, models: Models): Promise<number> => figuresOf(items, await said({ ...context, models }, 'captions', name, items, ['latents']))('latents', 'cider_d');
      const run = await cider('captions-as-run', context.models);
      const float32 = await cider('captions-float32', exact);
      const base = { count: items.length, blind: null };
      return [
        { ...base, key: 'caption_cider_d_float32', what: 'captions by weights in float32: CIDEr-D', value: float32, reach: '' },
        { ...base, key: 'caption_kept_precision', what: 'as the weights are run against float32', value: run / float32, reach: '0.98' },
      ];
    } finally {
      await exact.release();
    }
  },
};

export const questionSection: PackSection = {
  name: 'questions',
  help: 'short answers about photos: yes or no, what, color, number, doing, where',
  missing: needsQuestions,
  async run(context) {
    const items = (await questionItems(context)).filter(({ scenes }) => scenes === undefined);
    const { rows } = await said(context, 'qa', 'questions', items, ['latents', 'none']);
    const row = (type: string, key: string, what: string, right: typeof exactMatch, reach: string): PackRow[] => {
      const asked = items.filter((item) => item.type === type);
      const share = (from: Row): number => asked.reduce((sum, { id, accepted }) => sum + right(rows.get(from)?.get(id) ?? '', accepted), 0) / asked.length;
      return asked.length === 0 ? [] : [{ key, what, count: asked.length, value: share('latents'), blind: share('none'), reach }];
    };
    return [
      // Without a photo the model tends to answer in a sentence: "No, there is no dog."
      ...row(BALANCED_TYPE, 'yes_no', 'yes or no by the first word, balanced, hard negatives', firstWordMatch, '0.85'),
      ...row('room', 'room', "people's questions about rooms: exact match", exactMatch, '2 x no video'),
      ...WORD_TYPES.flatMap((type) => row(type, type, `${type}: exact match`, exactMatch, '2 x no video')),
    ];
  },
};

export const clipSection: PackSection = {
  name: 'clips',
  help: 'clips of two or three photos: which scene comes first or last, and when something appears',
  missing: needsQuestions,
  async run(context) {
    const items = (await questionItems(context)).filter(({ scenes }) => scenes !== undefined);
    const { rows } = await said(context, 'qa', 'clips', items, ['latents']);
    const texts = rows.get('latents') ?? new Map<string, string>();
    const share = (of: readonly Item[], right: (item: Item) => boolean): number => of.filter(right).length / of.length;
    const order = items.filter(({ type }) => type === 'order');
    const moments = items.filter(({ moment }) => moment !== undefined);
    // A model that writes seconds itself knows the times of the frames it is shown; those that a search finds have ends of their own.
    const { manifest } = context.models.pack;
    const margin = canSearch(manifest) ? 0 : 1 / manifest.prompt.max_frames / 2;
    const found = ({ id, moment, scenes = [] }: Item): boolean => {
      const duration = scenes.reduce((sum, { seconds }) => sum + seconds, 0);
      const named = momentOf(texts.get(id) ?? '', duration * margin);
      return moment !== undefined && named !== null && overlap(named, moment) > FOUND_OVERLAP;
    };
    const chance = order.reduce((sum, { choices }) => sum + 1 / (choices?.length ?? 1), 0) / order.length;
    return [
      ...(order.length === 0
        ? []
        : [{ key: 'order', what: 'order of scenes', count: order.length, value: share(order, ({ id, accepted }) => exactMatch(texts.get(id) ?? '', accepted) === 1), blind: chance, reach: '0.85' }]),
      ...(moments.length === 0 ? [] : [{ key: 'moment', what: `moments that overlap above ${FOUND_OVERLAP}`, count: moments.length, value: share(moments, found), blind: null, reach: '0.75' }]),
    ];
  },
};

/** Of a row and a key of scoreCaptions, the figure. */
function figuresOf(items: readonly Item[], predictions: Awaited<ReturnType<typeof said>>): (row: Row, key: string) => number {
  const scores = scoreRows('captions', items, predictions);
  return (row, key) => scores.find((one) => one.row === row)?.figures.find((one) => one.key === key)?.value ?? NaN;
}

function captionItems({ captions, limit }: SectionContext): Promise<Item[]> {
  return readItems('captions', captions ?? '', limit === undefined ? {} : { limit });
}

/** The questions, at most `limit` of each type. */
export async function questionItems({ questions, limit = Infinity }: SectionContext): Promise<Item[]> {
  const taken = new Map<string | null, number>();
  return (await readItems('qa', questions ?? '', {})).filter(({ type }) => {
    const count = taken.get(type) ?? 0;
    taken.set(type, count + 1);
    return count < limit;
  });
}

export function said({ models, keep, progress, signal }: SectionContext, task: Task, name: string, items: readonly Item[], rows: readonly Row[]): ReturnType<typeof predict> {
  const settings = task === 'captions' ? { beams: CAPTION_BEAMS, maxTokens: CAPTION_TOKENS } : { beams: 1, maxTokens: ANSWER_TOKENS };
  // Nothing is encoded here: the decoded row is not among those asked for.
  const answerer = new LocalAnswerer(models, { ...settings, task, rows, testify: true, containers: '', preset: 'draft' });
  return predict(items, answerer, { task, out: keep(`${name}.jsonl`), settings: { ...settings, testify: true, weights: models.pack.manifest.files['adapter.safetensors']?.sha256 }, progress, signal });
}
