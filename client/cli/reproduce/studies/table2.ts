/** Table 2: what aligning the latents costs in quality and gives in search, by the weight lambda of eq. 6. */
import type { LatentStart } from '../../../../model/inr/encode.node.js';
import { bitsPerPixel } from '../../../../model/inr/quality.js';
import { measureLinr } from '../../../peers/measure.js';
import { dataOf, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import type { RetrievalClip, RetrievalSet } from '../retrieval-set.js';
import { dot, featureVectors, kept, recallBothWays, searchMark, textVectors, trainedVectors, type ClipVectors, type TextVectors } from '../retrieval-vectors.js';
import { TRAINED, type Cell, type Datum, type Results, type Study, type StudyContext } from '../study.js';

/** The paper's. */
const LAMBDAS = [0, 1e-3, 1e-2, 1e-1, 1] as const;
const STARTS: Readonly<Record<LatentStart, string>> = { features: 'start at the features', random: 'start at random, as in the paper' };
const START_NAMES = Object.keys(STARTS) as LatentStart[];
const FEATURES = 'the features themselves';

const idOf = (clip: RetrievalClip, start: LatentStart, lambda: number): string => `${clip.id}, lambda ${lambda}, ${start}`;
const featuresId = (clip: RetrievalClip): string => `${clip.id}, features`;

export const table2: Study = {
  ...STUDY_FACTS.table2,
  cells(context) {
    const { clips } = context.retrieval as RetrievalSet;
    return [
      ...clips.map((clip) => featuresCell(clip, context)),
      ...START_NAMES.flatMap((start) => LAMBDAS.flatMap((lambda) => clips.map((clip) => encodedCell(clip, start, lambda, context)))),
    ];
  },
  report(results, { retrieval, settings }) {
    const clips = (retrieval as RetrievalSet).clips.filter((clip) => wordsOf(results, clip) !== null);
    const rows = START_NAMES.flatMap((start) => LAMBDAS.map((lambda) => rowOf(clips, start, lambda, results)));
    const found = recalls(clips, results, (clip) => featuresOf(results, clip));
    const features: Datum = { start: FEATURES, ...found };
    const table = [...rows, features];
    return {
      tables: [{
        caption: `${clips.length} clips of ${(retrieval as RetrievalSet).name} at ${settings.size.width} x ${settings.size.height}, each encoded for ${settings.clipSeconds} s. Means over clips; recall in percent`,
        rows: [
          ['latents', 'lambda', 'PSNR dB', 'bpp', 'cosine to the features', 'text to video: R@1', 'R@5', 'video to text: R@1', 'R@5'],
          ...table.map((row) => [
            String(row['start']), row['lambda'] === undefined ? '-' : String(row['lambda']), shown(row, 'psnr_db', 2), shown(row, 'bpp', 3), shown(row, 'cosine', 3),
            ...['r1', 'r5', 'back_r1', 'back_r5'].map((field) => shown(row, field, 1)),
          ]),
        ],
      }],
      data: table,
      plot: {
        title: this.title,
        panels: ([['psnr_db', 'quality', 'PSNR (dB)'], ['r1', 'search', 'text to video, R@1 (%)'], ['cosine', 'alignment', 'cosine to the features']] as const).map(([field, title, name]) => ({
          title,
          x: { name: 'lambda', scale: 'category' },
          y: { name, scale: 'linear' },
          series: valuesOf(rows, 'start').map((start) => ({ name: String(start), points: where(rows, { start }).map((row) => [String(row['lambda']), numberOf(row, field)] as const) })),
        })),
      },
    };
  },
};

/** A clip's texts, and its features' vectors. */
function featuresCell(clip: RetrievalClip, { models }: StudyContext): Cell {
  return {
    id: featuresId(clip),
    depends: [clip.identity, clip.texts, searchMark(models)],
    async run({ signal }) {
      return { data: [], vectors: { features: (await featureVectors(clip, models, signal)).raw, words: await textVectors(clip, models) } };
    },
  };
}

function encodedCell(clip: RetrievalClip, start: LatentStart, lambda: number, { models, settings: { clipSeconds, size } }: StudyContext): Cell {
  return {
    id: idOf(clip, start, lambda),
    depends: [clip.identity, clipSeconds, lambda, start, searchMark(models)],
    async run({ signal, encode }) {
      const bytes = await encode(clip, { ...TRAINED, seconds: clipSeconds, lambda, latentStart: start });
      const frames: Uint8Array[] = [];
      const source = await clip.open();
      try {
        for await (const frame of source.frames({ size, signal })) frames.push(frame.data);
      } finally {
        await source.close();
      }
      const { psnr_db } = await measureLinr({ frames, size }, bytes, models.runtime);
      const bpp = bitsPerPixel(bytes.length, frames.length, size.width, size.height);
      return { data: [{ clip: clip.id, start: STARTS[start], lambda, psnr_db, bpp }], vectors: { whole: (await trainedVectors(clip, bytes, models)).whole } };
    },
  };
}

function rowOf(clips: readonly RetrievalClip[], start: LatentStart, lambda: number, results: Results): Datum {
  const data = where(dataOf(results), { start: STARTS[start], lambda });
  const mean = (field: string): number => data.reduce((sum, datum) => sum + numberOf(datum, field), 0) / data.length;
  const vectorOf = (clip: RetrievalClip): readonly number[] => kept<ClipVectors>(vectorsOf(results, idOf(clip, start, lambda))).whole;
  const cosine = clips.reduce((sum, clip) => sum + cosineOf(vectorOf(clip), featuresOf(results, clip)), 0) / clips.length;
  return { start: STARTS[start], lambda, psnr_db: mean('psnr_db'), bpp: mean('bpp'), cosine, ...recalls(clips, results, vectorOf) };
}

function recalls(clips: readonly RetrievalClip[], results: Results, vectorOf: (clip: RetrievalClip) => readonly number[]): { r1: number; r5: number; back_r1: number; back_r5: number } {
  const texts = clips.flatMap((clip, owner) => (wordsOf(results, clip)?.texts ?? []).map((vector) => ({ owner, vector })));
  const { forward, backward } = recallBothWays(texts.map(({ vector }) => vector), texts.map(({ owner }) => owner), clips.map(vectorOf));
  return { r1: 100 * forward.r1, r5: 100 * forward.r5, back_r1: 100 * backward.r1, back_r5: 100 * backward.r5 };
}

function vectorsOf(results: Results, id: string): Parameters<typeof kept>[0] {
  const result = results.get(id);
  return result !== undefined && 'data' in result ? result.vectors : undefined;
}

function wordsOf(results: Results, clip: RetrievalClip): TextVectors | null {
  return kept<{ words: TextVectors } | undefined>(vectorsOf(results, featuresId(clip)))?.words ?? null;
}

function featuresOf(results: Results, clip: RetrievalClip): readonly number[] {
  return kept<{ features: ClipVectors }>(vectorsOf(results, featuresId(clip))).features.whole;
}

function cosineOf(a: readonly number[], b: readonly number[]): number {
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
