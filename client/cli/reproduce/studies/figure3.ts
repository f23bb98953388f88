/** Figure 3: rate and distortion, beside neural and classic codecs. */
import { missing, type ClassicCodec } from '../../../peers/classic.js';
import {
  figures,
  measureClassic,
  measureCodec,
  measureLinr,
  RATE_FACTORS,
  type CodecFigures,
} from '../../../peers/measure.js';
import { NEURAL_CODECS } from '../../../peers/neural.js';
import { dataOf, missingOf, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import { unlessEncoderFails, type Cell, type Datum, type Study, type StudyContext, type VideoInput } from '../study.js';
import { clipOf, training } from '../videos.js';

const PEERS = ['NeRV', 'HNeRV'] as const;
const CLASSIC = ['libx264', 'libx265'] as const;

export const figure3: Study = {
  ...STUDY_FACTS.figure3,
  cells: (context) =>
    context.videos.flatMap((video) => [
      ...context.settings.rates.flatMap((rate) => [
        oursCell(video, rate, context),
        ...PEERS.map((peer) => peerCell(video, rate, peer, context)),
      ]),
      ...CLASSIC.flatMap((codec) => RATE_FACTORS[codec].map((crf) => classicCell(video, codec, crf, context))),
    ]),
  report(results, { settings: { size, seconds } }) {
    const absent = missingOf(results);
    const data = [...dataOf(results)].sort((a, b) => numberOf(a, 'bpp') - numberOf(b, 'bpp'));
    const videos = valuesOf(dataOf(results), 'video');
    const codecs = valuesOf(dataOf(results), 'codec');
    const panels = (
      [
        ['psnr_db', 'PSNR', 'PSNR (dB)'],
        ['ssim', 'SSIM', 'SSIM'],
      ] as const
    ).flatMap(([field, title, name]) =>
      videos.map((video) => ({
        title: `${video}: ${title}`,
        x: { name: 'rate (bits per pixel)', scale: 'log' as const },
        y: { name, scale: 'linear' as const },
        series: codecs.map((codec) => ({
          name: String(codec),
          points: where(data, { video, codec }).map((row) => [numberOf(row, 'bpp'), numberOf(row, field)] as const),
        })),
      })),
    );
    return {
      tables: videos.map((video) => ({
        caption: `${video}, ${size.width} x ${size.height}; ${seconds} s for each encoding of ours and training of NeRV and HNeRV; x264 and x265 at preset medium; SSIM over RGB`,
        rows: [
          ['codec', 'asked for', 'bpp', 'PSNR dB', 'SSIM', 'encode s', 'decode frames/s'],
          ...codecs.flatMap((codec) =>
            where(data, { video, codec }).map((row) => [
              String(codec),
              String(row['asked']),
              shown(row, 'bpp', 3),
              shown(row, 'psnr_db', 2),
              shown(row, 'ssim', 4),
              shown(row, 'encode_s', 1),
              shown(row, 'decode_fps', 0),
            ]),
          ),
          ...where(absent, { video }).map((row) => [String(row['codec']), String(row['missing'])]),
        ],
      })),
      data: [...videos.flatMap((video) => codecs.flatMap((codec) => where(data, { video, codec }))), ...absent],
      plot: { title: this.title, panels, across: Math.min(3, videos.length === 1 ? 2 : videos.length) },
    };
  },
};

function datum(
  video: VideoInput,
  codec: string,
  asked: string,
  { bytes, bpp, psnr_db, ssim, seconds, fps }: CodecFigures,
): Datum {
  return { video: video.title, codec, asked, bytes, bpp, psnr_db, ssim, encode_s: seconds, decode_fps: fps };
}

function oursCell(video: VideoInput, rate: number, context: StudyContext): Cell {
  const {
    models,
    settings: { seconds },
  } = context;
  return {
    id: `${video.title}, Latent-INR, ${rate} bpp`,
    depends: [video.identity, seconds],
    async run(work) {
      const bytes = await work.encode(video, { seconds, targetBpp: rate });
      const clip = await clipOf(video, context, work);
      return {
        data: [
          datum(
            video,
            'Latent-INR',
            `${rate} bpp`,
            figures(clip, bytes.length, seconds, await measureLinr(clip, bytes, models.runtime, work.clock)),
          ),
        ],
      };
    },
  };
}

function peerCell(video: VideoInput, rate: number, name: (typeof PEERS)[number], context: StudyContext): Cell {
  const {
    models,
    settings: { seconds },
  } = context;
  return {
    id: `${video.title}, ${name}, ${rate} bpp`,
    depends: [video.identity, seconds],
    async run(work) {
      const clip = await clipOf(video, context, work);
      const shape = { ...clip.size, frames: clip.frames.length };
      const codec = NEURAL_CODECS[name](shape, (rate * clip.size.width * clip.size.height * clip.frames.length) / 8);
      const measured = await measureCodec(clip, codec, seconds, work.scratch, models.runtime, training(work, seconds));
      return { data: [datum(video, name, `${rate} bpp`, measured)] };
    },
  };
}

function classicCell(video: VideoInput, codec: ClassicCodec, crf: number, context: StudyContext): Cell {
  const name = codec.replace('lib', '');
  return {
    id: `${video.title}, ${name}, crf ${crf}`,
    depends: [video.identity, 'packets'],
    async run(work) {
      const names = { video: video.title, codec: name };
      const reason = missing(codec);
      if (reason !== null) return { missing: reason, names };
      const clip = await clipOf(video, context, work);
      const options = { threads: context.settings.threads, clock: work.clock, signal: work.signal };
      return unlessEncoderFails(names, async () => ({
        data: [datum(video, name, `crf ${crf}`, await measureClassic(clip, codec, crf, work.scratch, options))],
      }));
    },
  };
}
