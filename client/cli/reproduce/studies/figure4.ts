/** Figure 4: how fast frames are drawn, by resolution, beside libavcodec's HEVC decoder. */
import path from 'node:path';
import { pickFrames, type FrameSize } from '../../../../model/frames/index.js';
import { LinrDecoder, MAX_ENLARGEMENT } from '../../../../model/inr/decoder.js';
import { MAX_SIDE } from '../../../../model/inr/plan.js';
import { readClip } from '../../../peers/clip.js';
import { decodeSpeed, encodeClassic, missing } from '../../../peers/classic.js';
import { framesPerSecond } from '../../../peers/speed.js';
import { dataOf, missingOf, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import { unlessEncoderFails, type Cell, type Datum, type Study, type StudyContext, type VideoInput } from '../study.js';

/** Of --size. */
const SCALES = [0.5, 1, 2, MAX_ENLARGEMENT] as const;
/** Frames are few and the training short: what the numbers of a network are does not change the work of drawing. */
const MOST_FRAMES = 32;
const MOST_SECONDS = 6;
/** Constant rate factor of x265's default. */
const CRF = 28;
const OWN = 'Latent-INR, encoded at each size';
const ENLARGED = 'Latent-INR, one file enlarged';
const HEVC = 'HEVC (x265, libavcodec)';

export const figure4: Study = {
  ...STUDY_FACTS.figure4,
  cells(context) {
    const [video] = context.videos as [VideoInput];
    const short = shortened(video);
    return sizesOf(context).flatMap((size) => [ownCell(short, size, context), enlargedCell(short, size, context), hevcCell(short, size, context)]);
  },
  report(results, { settings }) {
    const data = dataOf(results);
    const absent = missingOf(results);
    const methods = valuesOf(data, 'decoder');
    const sizes = valuesOf(data, 'size');
    return {
      tables: [{
        caption: `${valuesOf(data, 'video').join(', ')}: frames to RGB in memory a second of processor time over threads (${settings.threads})`,
        rows: [['', ...sizes.map(String)], ...methods.map((decoder) => [String(decoder), ...sizes.map((size) => shown(where(data, { decoder, size })[0], 'fps', 1))]), ...absent.map((row) => [String(row['decoder']), String(row['missing'])])],
      }],
      data: [...data, ...absent],
      plot: {
        title: this.title,
        panels: [{
          title: valuesOf(data, 'video').join(', '),
          x: { name: 'pixels of a frame (thousands)', scale: 'log' },
          y: { name: 'frames a second (processor time)', scale: 'log' },
          series: methods.map((decoder) => ({ name: String(decoder), points: where(data, { decoder }).map((row) => [numberOf(row, 'pixels') / 1000, numberOf(row, 'fps')] as const) })),
        }],
      },
    };
  },
};

function shortened(video: VideoInput): VideoInput {
  return { ...video, identity: [...video.identity, MOST_FRAMES], open: async () => pickFrames(await video.open(), { end: MOST_FRAMES }) };
}

function sizesOf({ settings: { size } }: StudyContext): FrameSize[] {
  return SCALES.map((scale) => ({ width: Math.round(size.width * scale), height: Math.round(size.height * scale) }))
    .filter(({ width, height }) => width >= 16 && height >= 16 && Math.max(width, height) <= MAX_SIDE);
}

function datum(video: VideoInput, decoder: string, { width, height }: FrameSize, fps: number): Datum {
  return { video: video.title, decoder, size: `${width} x ${height}`, pixels: width * height, fps };
}

function ownCell(video: VideoInput, size: FrameSize, context: StudyContext): Cell {
  return drawnCell(video, OWN, size, context, size);
}

function enlargedCell(video: VideoInput, size: FrameSize, context: StudyContext): Cell {
  return drawnCell(video, ENLARGED, size, context, context.settings.size);
}

function drawnCell(video: VideoInput, name: string, size: FrameSize, { models, settings }: StudyContext, encoded: FrameSize): Cell {
  const seconds = Math.min(MOST_SECONDS, settings.seconds);
  return {
    id: `${video.title}, ${name}, ${size.width} x ${size.height}`,
    depends: [video.identity, seconds, settings.threads],
    async run({ encode, clock, signal, report }) {
      const decoder = new LinrDecoder(await encode(video, { seconds, size: encoded }), models.runtime);
      try {
        const { meta } = await decoder.file();
        report(0.98, 'drawing');
        const fps = await framesPerSecond((t) => decoder.frame(t % meta.frames, size.width), { clock, signal });
        return { data: [datum(video, name, size, fps)] };
      } finally {
        await decoder.release();
      }
    },
  };
}

function hevcCell(video: VideoInput, size: FrameSize, { settings: { threads } }: StudyContext): Cell {
  return {
    id: `${video.title}, ${HEVC}, ${size.width} x ${size.height}`,
    depends: [video.identity, threads],
    async run({ scratch, signal, clock }) {
      const names = { video: video.title, decoder: HEVC };
      const reason = missing('libx265');
      if (reason !== null) return { missing: reason, names };
      const clip = await readClip(video.file, { size, frames: MOST_FRAMES, signal });
      const file = path.join(scratch, 'hevc.mp4');
      const options = { threads, clock, signal };
      return unlessEncoderFails(names, async () => {
        await encodeClassic(clip, 'libx265', CRF, file, options);
        return { data: [datum(video, HEVC, size, await decodeSpeed(clip, file, options))] };
      });
    },
  };
}
