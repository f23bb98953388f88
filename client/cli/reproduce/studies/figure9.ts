/** Figure 9: the latents of whole videos in a plane. */
import { readContainer } from '../../../../model/container/index.js';
import { cosineDistance, latentRows, latentUmap } from '../../../web/latent-umap.js';
import type { EncodeOnceOptions } from '../../encode-once.js';
import { dataOf, numberOf, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import { TRAINED, type Cell, type CellWork, type Datum, type Study, type StudyContext } from '../study.js';

interface Latents {
  readonly name: string;
  readonly how: Partial<Pick<EncodeOnceOptions, 'preset' | 'network' | 'lambda' | 'latentStart'>>;
}

const KINDS: readonly Latents[] = [
  { name: 'aligned (lambda 0.01)', how: {} },
  { name: 'pictures alone (lambda 0, random start)', how: { ...TRAINED, lambda: 0, latentStart: 'random' } },
];
/** Frames of each video on the map, uniform in time: more hide each other. */
const MOST_POINTS = 200;
/** Neighbours that the table looks at. */
const NEIGHBOURS = 5;

export const figure9: Study = {
  ...STUDY_FACTS.figure9,
  cells: (context) => KINDS.map((kind) => mapCell(kind, context)),
  report(results, { settings: { seconds, size } }) {
    const data = dataOf(results);
    const videos = valuesOf(data, 'video');
    return {
      tables: [{
        caption: `Nearest ${NEIGHBOURS} latents (cosine) of each frame among all videos, encoded for ${seconds} s at ${size.width} x ${size.height}`,
        rows: [
          ['latents', 'frames', 'of the same video, %', 'seconds away, median'],
          ...KINDS.map(({ name }) => {
            const frames = where(data, { latents: name });
            const away = frames.map((row) => numberOf(row, 'away_s')).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
            const same = (100 * frames.reduce((sum, row) => sum + numberOf(row, 'same'), 0)) / frames.length;
            return [name, String(frames.length), same.toFixed(1), away[away.length >> 1]?.toFixed(2) ?? '-'];
          }),
        ],
      }],
      data,
      plot: {
        title: this.title,
        across: 2,
        panels: KINDS.map(({ name }) => ({
          title: name,
          x: { name: 'UMAP 1', scale: 'place' as const },
          y: { name: 'UMAP 2', scale: 'place' as const },
          series: videos.map((video) => ({ name: String(video), joined: false, points: where(data, { latents: name, video }).map((row) => [numberOf(row, 'x'), numberOf(row, 'y')] as const) })),
        })),
      },
    };
  },
};

/** A frame that is on the map. */
interface Point {
  readonly video: string;
  readonly time_s: number;
  readonly latent: readonly number[];
}

function mapCell({ name, how }: Latents, { videos, settings: { seconds } }: StudyContext): Cell {
  return {
    id: name,
    depends: [videos.map(({ identity }) => identity), seconds, how, MOST_POINTS],
    async run(work) {
      const points: Point[] = [];
      for (const [i, video] of videos.entries()) {
        const report = (share: number, detail = 'encoding'): void => work.report((i + share) / (videos.length + 1), `${video.title}: ${detail}`);
        const container = readContainer(await work.encode(video, { seconds, ...how }, report));
        const rows = latentRows(container.latents, container.latentDim);
        const count = Math.min(rows.length, MOST_POINTS);
        for (let k = 0; k < count; k++) {
          const t = Math.floor(((k + 0.5) * rows.length) / count);
          points.push({ video: video.title, time_s: container.meta.times_s[t] as number, latent: rows[t] as readonly number[] });
        }
      }
      work.report(videos.length / (videos.length + 1), 'UMAP');
      const places = await layOut(points, work);
      return { data: points.map((point, i): Datum => ({ latents: name, video: point.video, time_s: point.time_s, ...places[i] as { x: number; y: number }, ...nearestOf(point, points) })) };
    },
  };
}

async function layOut(points: readonly Point[], { signal }: CellWork): Promise<{ x: number; y: number }[]> {
  const umap = latentUmap(points.length);
  const epochs = umap.initializeFit(points.map(({ latent }) => [...latent]));
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step();
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return umap.getEmbedding().map((place) => ({ x: place[0] as number, y: place[1] as number }));
}

/** Share of the nearest latents that are of the same video, and how many seconds away those are on average. */
function nearestOf(point: Point, points: readonly Point[]): { same: number; away_s?: number } {
  const nearest = points.filter((other) => other !== point)
    .map((other) => ({ other, distance: cosineDistance(point.latent, other.latent) }))
    .sort((a, b) => a.distance - b.distance).slice(0, NEIGHBOURS);
  const own = nearest.filter(({ other }) => other.video === point.video);
  const away = own.reduce((sum, { other }) => sum + Math.abs(other.time_s - point.time_s), 0) / own.length;
  return { same: own.length / nearest.length, ...(own.length === 0 ? {} : { away_s: away }) };
}
