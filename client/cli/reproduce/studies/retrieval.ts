/** Tables 3 and 4: what is found by the latents, beside what is found by the features they are aligned to. */
import { numberOf, shown } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import type { RetrievalClip, RetrievalSet } from '../retrieval-set.js';
import { classScores, featureVectors, kept, KINDS, recallBothWays, searchMark, textVectors, trainedVectors, type ClipVectors, type Kind, type TextVectors } from '../retrieval-vectors.js';
import type { Cell, Datum, Results, Study, StudyContext, StudyReport } from '../study.js';

/** What a clip's cell keeps. */
interface KeptClip extends Readonly<Record<Kind, ClipVectors>> {
  readonly words: TextVectors;
}

const KIND_NAMES = Object.keys(KINDS) as Kind[];

function cellsOf(clips: readonly RetrievalClip[], { models, settings }: StudyContext): Cell[] {
  const { clipSeconds } = settings;
  return clips.map((clip) => ({
    id: clip.id,
    depends: [clip.identity, clip.texts, clip.label, clip.segments, clipSeconds, searchMark(models)],
    async run({ signal, encode, report }) {
      const bytes = await encode(clip, { seconds: clipSeconds });
      report(0.95, 'search');
      const vectors = { ...(await featureVectors(clip, models, signal)), trained: await trainedVectors(clip, bytes, models), words: await textVectors(clip, models) };
      return { data: [], vectors };
    },
  }));
}

/** The clips that have something, and what was kept of them. */
function keptOf(clips: readonly RetrievalClip[], results: Results): { clip: RetrievalClip; vectors: KeptClip }[] {
  return clips.flatMap((clip) => {
    const result = results.get(clip.id);
    return result !== undefined && 'data' in result ? [{ clip, vectors: kept<KeptClip>(result.vectors) }] : [];
  });
}

export const table4: Study = {
  ...STUDY_FACTS.table4,
  store: 'retrieval',
  cells: (context) => cellsOf((context.retrieval as RetrievalSet).clips, context),
  report(results, { retrieval, settings }) {
    const clips = keptOf((retrieval as RetrievalSet).clips, results);
    const texts = clips.flatMap(({ vectors }, owner) => vectors.words.texts.map((vector) => ({ owner, vector })));
    const data = KIND_NAMES.flatMap((kind): Datum[] => {
      const { forward, backward } = recallBothWays(texts.map(({ vector }) => vector), texts.map(({ owner }) => owner), clips.map(({ vectors }) => vectors[kind].whole));
      return ([['text to video', forward, texts.length], ['video to text', backward, clips.length]] as const).map(([direction, { r1, r5, r10, median }, queries]) => ({
        direction, by: KINDS[kind], clips: clips.length, queries, r1: 100 * r1, r5: 100 * r5, r10: 100 * r10, median_rank: median,
      }));
    });
    const sorted = [...data].sort((a, b) => String(a['direction']).localeCompare(String(b['direction'])));
    return {
      tables: [{
        caption: `${clips.length} clips of ${(retrieval as RetrievalSet).name}, ${texts.length} texts; each clip encoded for ${settings.clipSeconds} s. Recall in percent`,
        rows: [['', '', 'R@1', 'R@5', 'R@10', 'median rank'], ...sorted.map((row) => [String(row['direction']), String(row['by']), ...['r1', 'r5', 'r10'].map((field) => shown(row, field, 1)), shown(row, 'median_rank', 1)])],
      }],
      data: sorted,
      plot: { title: this.title, panels: ['text to video', 'video to text'].map((direction) => recallPanel(direction, data.filter((row) => row['direction'] === direction))) },
    };
  },
};

export const table3: Study = {
  ...STUDY_FACTS.table3,
  store: 'retrieval',
  cells(context) {
    const { clips, segmented } = context.retrieval as RetrievalSet;
    return cellsOf([...new Set([...clips.filter(({ label }) => label !== null), ...segmented])], context);
  },
  report(results, { retrieval, settings }) {
    const { clips, segmented, name } = retrieval as RetrievalSet;
    const classed = classData(keptOf(clips.filter(({ label }) => label !== null), results));
    const parts = segmentData(keptOf(segmented, results));
    return {
      tables: [...classTables(classed, name, settings.clipSeconds), ...segmentTables(parts)],
      data: [...classed, ...parts],
      plot: { title: this.title, panels: [...(classed.length === 0 ? [] : [classPanel(classed)]), ...(parts.length === 0 ? [] : [recallPanel('segments: text to segment', parts)])] },
    };
  },
};

function classData(clips: readonly { clip: RetrievalClip; vectors: KeptClip }[]): Datum[] {
  const classes = [...new Set(clips.map(({ clip }) => clip.label as string))];
  if (classes.length < 2) return [];
  const names = classes.map((label) => clips.find(({ clip }) => clip.label === label)?.vectors.words.label as readonly number[]);
  const labels = clips.map(({ clip }) => classes.indexOf(clip.label as string));
  return KIND_NAMES.map((kind) => {
    const { map, top1 } = classScores(names, labels, clips.map(({ vectors }) => vectors[kind].whole));
    return { level: 'class', by: KINDS[kind], clips: clips.length, classes: classes.length, map: 100 * map, top1: 100 * top1 };
  });
}

function segmentData(clips: readonly { vectors: KeptClip }[]): Datum[] {
  const texts = clips.flatMap(({ vectors }) => vectors.words.segments);
  if (texts.length < 2) return [];
  return KIND_NAMES.map((kind) => {
    const { forward, backward } = recallBothWays(texts, [...texts.keys()], clips.flatMap(({ vectors }) => vectors[kind].segments));
    return { level: 'segment', by: KINDS[kind], clips: clips.length, segments: texts.length, r1: 100 * forward.r1, r5: 100 * forward.r5, r10: 100 * forward.r10, back_r1: 100 * backward.r1, back_r5: 100 * backward.r5 };
  });
}

function classTables(data: readonly Datum[], name: string, seconds: number): StudyReport['tables'] {
  const [first] = data;
  if (first === undefined) return [{ caption: `${name} has no two classes: see --classes, or the field "class" of its lines.`, rows: [] }];
  return [{
    caption: `Classes: ${numberOf(first, 'clips')} clips of ${numberOf(first, 'classes')} classes of ${name}, each encoded for ${seconds} s. Percent`,
    rows: [['', 'class to clips: mAP', 'clip to class: top-1'], ...data.map((row) => [String(row['by']), shown(row, 'map', 1), shown(row, 'top1', 1)])],
  }];
}

function segmentTables(data: readonly Datum[]): StudyReport['tables'] {
  const [first] = data;
  if (first === undefined) return [{ caption: 'No segments: the set has neither photos nor lines with "segments".', rows: [] }];
  return [{
    caption: `Segments: ${numberOf(first, 'segments')} of ${numberOf(first, 'clips')} clips. Recall in percent`,
    rows: [
      ['', 'text to segment: R@1', 'R@5', 'R@10', 'segment to text: R@1', 'R@5'],
      ...data.map((row) => [String(row['by']), ...['r1', 'r5', 'r10', 'back_r1', 'back_r5'].map((field) => shown(row, field, 1))]),
    ],
  }];
}

function recallPanel(title: string, data: readonly Datum[]): StudyReport['plot']['panels'][number] {
  return {
    title,
    x: { name: 'answers looked at (k)', scale: 'category' },
    y: { name: 'recall at k (%)', scale: 'linear' },
    series: data.map((row) => ({ name: String(row['by']), points: ([['1', 'r1'], ['5', 'r5'], ['10', 'r10']] as const).map(([k, field]) => [k, numberOf(row, field)] as const) })),
  };
}

function classPanel(data: readonly Datum[]): StudyReport['plot']['panels'][number] {
  return {
    title: 'classes',
    x: { name: 'figure', scale: 'category' },
    y: { name: 'percent', scale: 'linear' },
    series: data.map((row) => ({ name: String(row['by']), points: [['mAP', numberOf(row, 'map')], ['top-1', numberOf(row, 'top1')]] as const })),
  };
}
