/** Figure 10: which layers the latents modulate, and how large a patch one evaluation of the network gives. */
import type { NetworkChanges } from '../../../../model/inr/plan.js';
import { figures, measureLinr } from '../../../peers/measure.js';
import { dataOf, meanOver, numberOf, shown, valuesOf, where } from '../data.js';
import { STUDY_FACTS } from '../facts.js';
import type { Cell, Study, StudyContext, VideoInput } from '../study.js';
import { clipOf } from '../videos.js';

/**
 * As deep as the paper's base network, narrower (the paper: 512), so that a minute is enough for a few hundred steps.
 */
const FORM = { layers: 6, hidden: 128 } as const;
const MODULATED: readonly (readonly [string, readonly number[]])[] = [
  ['all six', [0, 1, 2, 3, 4, 5]],
  ['first three', [0, 1, 2]],
  ['last three', [3, 4, 5]],
  ['every other', [0, 2, 4]],
  ['the first', [0]],
  ['the last', [5]],
];
/** Pixels a side. */
const PATCHES = [2, 4, 8, 16] as const;

export const figure10: Study = {
  ...STUDY_FACTS.figure10,
  cells: (context) => context.videos.flatMap((video) => [
    ...MODULATED.map(([setting, modulated]) => cellOf(video, 'modulated layers', setting, { ...FORM, modulated }, context)),
    ...PATCHES.map((patch) => cellOf(video, 'patch size', String(patch), { ...FORM, patch }, context)),
  ]),
  report(results, { settings: { size, seconds } }) {
    const data = dataOf(results);
    const videos = valuesOf(data, 'video');
    const all = videos.length > 1 ? [...data, ...meanOver(data, 'video', ['study', 'setting'], `mean of ${videos.length} videos`)] : data;
    return {
      tables: valuesOf(data, 'study').map((study) => ({
        caption: `${study}${study === 'patch size' ? ' in pixels' : ''}: six layers of ${FORM.hidden}, ${size.width} x ${size.height}, ${seconds} s`,
        rows: [
          ['video', String(study), 'PSNR dB', 'SSIM', 'bpp', 'decode frames/s'],
          ...where(all, { study }).map((row) => [String(row['video']), String(row['setting']), shown(row, 'psnr_db', 2), shown(row, 'ssim', 4), shown(row, 'bpp', 3), shown(row, 'decode_fps', 0)]),
        ],
      })),
      data: all,
      plot: {
        title: this.title,
        across: 2,
        panels: (['modulated layers', 'patch size'] as const).map((study) => ({
          title: study,
          x: { name: study === 'patch size' ? 'side of a patch (pixels)' : 'modulated layers', scale: 'category' as const },
          y: { name: 'PSNR (dB)', scale: 'linear' as const },
          series: videos.map((video) => ({ name: String(video), points: where(data, { study, video }).map((row) => [String(row['setting']), numberOf(row, 'psnr_db')] as const) })),
        })),
      },
    };
  },
};

function cellOf(video: VideoInput, study: string, setting: string, network: NetworkChanges, context: StudyContext): Cell {
  const { models, settings: { seconds } } = context;
  return {
    id: `${video.title}, ${study}: ${setting}`,
    depends: [video.identity, seconds, network],
    async run(work) {
      const bytes = await work.encode(video, { preset: 'paper', seconds, network });
      const clip = await clipOf(video, context, work);
      const { psnr_db, ssim, bpp, fps } = figures(clip, bytes.length, seconds, await measureLinr(clip, bytes, models.runtime, work.clock));
      return { data: [{ video: video.title, study, setting, psnr_db, ssim, bpp, decode_fps: fps }] };
    },
  };
}
