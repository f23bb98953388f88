/** Table 1: frames that were never encoded, drawn from the ones around them. */
import { pickFrames } from '../../../../model/frames/index.js';
import { LinrDecoder } from '../../../../model/inr/decoder.js';
import { blendFrames, type Picture } from '../../../../model/inr/motion.js';
import type { NeuralCodec } from '../../../peers/codec.js';
import {
  ALPHAS,
  between,
  gapPsnr,
  leaveOut,
  meanPsnr,
  nearest,
  PAPER_CAPTION,
  PAPER_TABLE,
  type Fill,
} from '../../../peers/interpolation.js';
import { trainCodec } from '../../../peers/measure.js';
import { NEURAL_CODECS } from '../../../peers/neural.js';
import { nirvanaOfBytes } from '../../../peers/nirvana-codec.js';
import { nvpAsPublished } from '../../../peers/nvp-codec.js';
import type { PeerVideo } from '../../../peers/peer.js';
import { timeMlp } from '../../../peers/time-mlp.js';
import { frameCodec } from '../../../peers/trainer.js';
import { bitsPerPixel } from '../../../../model/inr/quality.js';
import { dataOf, meanOver, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import type { Cell, Datum, Study, StudyContext, StudyReport, VideoInput } from '../study.js';
import { clipOf, training } from '../videos.js';

const KEPT = '(Latent-INR: the frames that were kept)';
/** Of the MLP's layers: wider ones make too few steps in a minute on a few cores. */
const MLP_WIDTH = 192;
/** Bits a pixel of the kept frames that files of NeRV and NIRVANA take, about as ours. */
const PEER_BPP = 0.8;
/** Levels with which NVP's grids over time are finer than the frames, as the published ones are. */
const NVP_FINE_LEVELS = 10;

const peerBytes = ({ width, height, frames }: PeerVideo): number => (PEER_BPP * width * height * frames) / 8;

/**
 * What the frames left out are compared with beside ours. NIRVANA's authors publish no way to interpolate: these are
 * the two there are.
 */
const PEERS: Readonly<Record<string, (video: PeerVideo) => NeuralCodec>> = {
  NVP: (video) => nvpAsPublished(video),
  [`NVP, ${NVP_FINE_LEVELS} levels`]: (video) => nvpAsPublished(video, NVP_FINE_LEVELS),
  'NIRVANA, groups of 3: the nearest network': (video) => nirvanaOfBytes(video, peerBytes(video), 3),
  'NIRVANA, groups of 1: weights blended': (video) => nirvanaOfBytes(video, peerBytes(video), 1),
  NeRV: (video) => NEURAL_CODECS.NeRV(video, peerBytes(video)),
  'time-coordinate MLP': (video) => frameCodec(timeMlp(video, MLP_WIDTH)),
};
/** Which frames are compared, for results that earlier versions have kept. */
const SCORED = 'all frames left out';

export const table1: Study = {
  ...STUDY_FACTS.table1,
  cells: (context) =>
    context.videos.flatMap((video) =>
      ALPHAS.flatMap((alpha) => [
        oursCell(video, alpha, context),
        ...Object.keys(PEERS).map((name) => peerCell(video, alpha, name, context)),
      ]),
    ),
  report(results, context) {
    const data = dataOf(results);
    const videos = valuesOf(data, 'video');
    const mean =
      videos.length > 1 ? meanOver(data, 'video', ['method', 'alpha'], `mean of ${videos.length} videos`) : [];
    const all = [...data, ...mean];
    return {
      tables: [
        ...valuesOf(all, 'video').map((video) => tableOf(video, where(all, { video }), context)),
        {
          caption: PAPER_CAPTION,
          rows: [
            HEADER,
            ...PAPER_TABLE.map(([method, ...psnr_db]) => [method, ...psnr_db.map((value) => value.toFixed(2))]),
          ],
        },
      ],
      data: all,
      plot: {
        title: this.title,
        panels: videos.map((video) => ({
          title: String(video),
          x: { name: 'every how many-th frame is kept (alpha)', scale: 'category' },
          y: { name: 'PSNR of frames left out (dB)', scale: 'linear' },
          series: valuesOf(data, 'method')
            .filter((method) => method !== KEPT)
            .map((method) => ({
              name: String(method),
              points: where(data, { video, method }).map(
                (row) => [String(row['alpha']), numberOf(row, 'psnr_db')] as const,
              ),
            })),
        })),
      },
    };
  },
};

const HEADER = ['', ...ALPHAS.map((alpha) => `alpha ${alpha}`)];

function tableOf(
  video: string | number,
  rows: readonly Datum[],
  { settings }: StudyContext,
): StudyReport['tables'][number] {
  const { width, height } = settings.size;
  const shownAt = (method: string | number, field: string): string[] =>
    ALPHAS.map((alpha) => shown(where(rows, { method, alpha })[0], field, 2));
  return {
    caption:
      `${video}, ${width} x ${height}, ${settings.seconds} s for each encoding and training: ` +
      'mean PSNR in dB of all frames left out, and bits a pixel of the frames kept',
    rows: [
      [...HEADER, ...ALPHAS.map((alpha) => `bpp, alpha ${alpha}`)],
      ...valuesOf(rows, 'method').map((method) => [
        String(method),
        ...shownAt(method, 'psnr_db'),
        ...shownAt(method, 'bpp'),
      ]),
    ],
  };
}

function oursCell(video: VideoInput, alpha: number, context: StudyContext): Cell {
  const {
    models,
    settings: { size, seconds },
  } = context;
  return {
    id: `${video.title}, alpha ${alpha}, Latent-INR`,
    depends: [video.identity, seconds, SCORED],
    async run(work) {
      const { kept, gaps } = leaveOut(await clipOf(video, context, work), alpha);
      const every = {
        ...video,
        identity: [...video.identity, 'every', alpha],
        open: async () => pickFrames(await video.open(), { step: alpha }),
      };
      const file = await work.encode(every, { seconds });
      const decoder = new LinrDecoder(file, models.runtime);
      try {
        const decoded: Picture[] = [];
        for (let k = 0; k < kept.length; k++) decoded.push(await decoder.frame(k));
        const ways: readonly (readonly [string, Fill])[] = [
          [
            'Latent-INR: latents interpolated (eq. 4)',
            ({ before, beta }) => decoder.frame(before + beta, undefined, 'latents'),
          ],
          ['Latent-INR: motion between decoded frames', ({ before, beta }) => decoder.frame(before + beta)],
          ['decoded neighbours, blended', between(decoded, blendFrames)],
          ['nearest decoded neighbour', between(decoded, nearest)],
        ];
        const bpp = bitsPerPixel(file.length, kept.length, size.width, size.height);
        const data: Datum[] = [
          {
            video: video.title,
            method: 'original neighbours, blended',
            alpha,
            psnr_db: await gapPsnr(gaps, between(kept, blendFrames)),
          },
        ];
        for (const [method, fill] of ways)
          data.push({ video: video.title, method, alpha, psnr_db: await gapPsnr(gaps, fill), bpp });
        const psnr_db = meanPsnr(
          decoded.map((frame) => frame.data),
          kept.map((frame) => frame.data),
        );
        return { data: [...data, { video: video.title, method: KEPT, alpha, psnr_db, bpp }] };
      } finally {
        await decoder.release();
      }
    },
  };
}

function peerCell(video: VideoInput, alpha: number, method: string, context: StudyContext): Cell {
  const {
    models,
    settings: { size, seconds },
  } = context;
  return {
    id: `${video.title}, alpha ${alpha}, ${method}`,
    depends: [video.identity, seconds, SCORED],
    async run(work) {
      const { kept, gaps } = leaveOut(await clipOf(video, context, work), alpha);
      const codec = (PEERS[method] as (typeof PEERS)[string])({ ...size, frames: kept.length });
      const { file } = await trainCodec(
        { frames: kept.map(({ data }) => data) },
        codec,
        seconds,
        work.scratch,
        models.runtime,
        training(work, seconds),
      );
      const decoder = await codec.open(file, models.runtime);
      try {
        const psnr_db = await gapPsnr(gaps, async ({ before, beta }) => ({ data: await decoder.frame(before + beta) }));
        return {
          data: [
            {
              video: video.title,
              method,
              alpha,
              psnr_db,
              bpp: bitsPerPixel(file.length, kept.length, size.width, size.height),
            },
          ],
        };
      } finally {
        await decoder.release();
      }
    },
  };
}
