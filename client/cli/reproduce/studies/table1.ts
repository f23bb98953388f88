/** Table 1: frames that were never encoded, drawn from the ones around them. */
import { pickFrames } from '../../../../model/frames/index.js';
import { LinrDecoder } from '../../../../model/inr/decoder.js';
import { blendFrames, type Picture } from '../../../../model/inr/motion.js';
import { ALPHAS, between, gapPsnr, leaveOut, meanPsnr, nearest, type Fill } from '../../../peers/interpolation.js';
import { trainPeer } from '../../../peers/measure.js';
import { nerv } from '../../../peers/nerv.js';
import { PeerDecoder, peerOfBytes, type Peer, type PeerVideo } from '../../../peers/peer.js';
import { timeMlp } from '../../../peers/time-mlp.js';
import { dataOf, meanOver, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import type { Cell, Datum, Study, StudyContext, StudyReport, VideoInput } from '../study.js';
import { clipOf, training } from '../videos.js';

const KEPT = '(Latent-INR: the frames that were kept)';
/** Of the MLP's layers: wider ones make too few steps in a minute on a few cores. */
const MLP_WIDTH = 192;
/** Bits a pixel that NeRV's file takes, about as ours. */
const NERV_BPP = 0.8;
/** What is told the time as a coordinate. */
const PEERS: readonly { readonly name: string; readonly build: (video: PeerVideo) => Peer }[] = [
  { name: 'NeRV', build: (video) => peerOfBytes((width) => nerv(video, width), (NERV_BPP * video.width * video.height * video.frames) / 8) },
  { name: 'time-coordinate MLP', build: (video) => timeMlp(video, MLP_WIDTH) },
];

export const table1: Study = {
  ...STUDY_FACTS.table1,
  cells: (context) => context.videos.flatMap((video) => ALPHAS.flatMap((alpha) => [oursCell(video, alpha, context), ...PEERS.map((peer) => peerCell(video, alpha, peer, context))])),
  report(results, context) {
    const data = dataOf(results);
    const videos = valuesOf(data, 'video');
    const mean = videos.length > 1 ? meanOver(data, 'video', ['method', 'alpha'], `mean of ${videos.length} videos`) : [];
    const all = [...data, ...mean];
    return {
      tables: valuesOf(all, 'video').map((video) => tableOf(video, where(all, { video }), context)),
      data: all,
      plot: {
        title: this.title,
        panels: videos.map((video) => ({
          title: String(video),
          x: { name: 'every how many-th frame is kept (alpha)', scale: 'category' },
          y: { name: 'PSNR of frames left out (dB)', scale: 'linear' },
          series: valuesOf(data, 'method').filter((method) => method !== KEPT).map((method) => ({ name: String(method), points: where(data, { video, method }).map((row) => [String(row['alpha']), numberOf(row, 'psnr_db')] as const) })),
        })),
      },
    };
  },
};

function tableOf(video: string | number, rows: readonly Datum[], { settings }: StudyContext): StudyReport['tables'][number] {
  const { width, height } = settings.size;
  return {
    caption: `${video}, ${width} x ${height}, ${settings.seconds} s for each encoding and training: mean PSNR in dB of the frames left out`,
    rows: [
      ['', ...ALPHAS.map((alpha) => `alpha ${alpha}`)],
      ...valuesOf(rows, 'method').map((method) => [String(method), ...ALPHAS.map((alpha) => shown(where(rows, { method, alpha })[0], 'psnr_db', 2))]),
    ],
  };
}

function oursCell(video: VideoInput, alpha: number, context: StudyContext): Cell {
  const { models, settings: { seconds } } = context;
  return {
    id: `${video.title}, alpha ${alpha}, Latent-INR`,
    depends: [video.identity, seconds],
    async run(work) {
      const { kept, gaps } = leaveOut(await clipOf(video, context, work), alpha);
      const every = { ...video, identity: [...video.identity, 'every', alpha], open: async () => pickFrames(await video.open(), { step: alpha }) };
      const decoder = new LinrDecoder(await work.encode(every, { seconds }), models.runtime);
      try {
        const decoded: Picture[] = [];
        for (let k = 0; k < kept.length; k++) decoded.push(await decoder.frame(k));
        const ways: readonly (readonly [string, Fill])[] = [
          ['Latent-INR: latents interpolated (eq. 4)', ({ before, beta }) => decoder.frame(before + beta, undefined, 'latents')],
          ['Latent-INR: motion between decoded frames', ({ before, beta }) => decoder.frame(before + beta)],
          ['decoded neighbours, blended', between(decoded, blendFrames)],
          ['nearest decoded neighbour', between(decoded, nearest)],
        ];
        const data: Datum[] = [];
        for (const [method, fill] of ways) data.push({ video: video.title, method, alpha, psnr_db: await gapPsnr(gaps, fill) });
        data.push({ video: video.title, method: KEPT, alpha, psnr_db: meanPsnr(decoded.map((frame) => frame.data), kept.map((frame) => frame.data)) });
        return { data };
      } finally {
        await decoder.release();
      }
    },
  };
}

function peerCell(video: VideoInput, alpha: number, { name, build }: (typeof PEERS)[number], context: StudyContext): Cell {
  const { models, settings: { size, seconds } } = context;
  return {
    id: `${video.title}, alpha ${alpha}, ${name}`,
    depends: [video.identity, seconds],
    async run(work) {
      const { kept, gaps } = leaveOut(await clipOf(video, context, work), alpha);
      const peer = build({ ...size, frames: kept.length });
      const { file } = await trainPeer({ frames: kept.map(({ data }) => data) }, peer, seconds, work.scratch, models.runtime, training(work, seconds));
      const decoder = await PeerDecoder.open(peer, file, models.runtime);
      try {
        const psnr_db = await gapPsnr(gaps, async ({ before, beta }) => ({ data: await decoder.frame(before + beta) }));
        return { data: [{ video: video.title, method: name, alpha, psnr_db }] };
      } finally {
        await decoder.release();
      }
    },
  };
}
