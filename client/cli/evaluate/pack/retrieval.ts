/** Section: search among photos by captions, among captions by photos, and for the scenes of made clips. */
import { readItems } from '../items.js';
import { captionedPhotos, evaluateMoments, evaluateRetrieval } from '../retrieval.js';
import type { PackRow, PackSection } from './section.js';

export const retrievalSection: PackSection = {
  name: 'retrieval',
  help: 'photos found by their captions, captions by their photos, scenes of clips by their captions',
  missing: ({ captions, models }) =>
    models.pack.manifest.retrieval === undefined ? 'needs a pack with retrieval towers' : captions === null ? 'needs --data with captions of photos' : null,
  async run({ captions, clips, models, limit, progress, signal }) {
    const items = await readItems('captions', captions as string, limit === undefined ? {} : { limit });
    const photos = captionedPhotos(items);
    const scores = await evaluateRetrieval(models, photos, { progress, signal });
    const moments = await evaluateMoments(models, photos, { progress, signal, ...(limit === undefined ? {} : { clips: limit }) });
    const videos = clips === null ? null : await evaluateRetrieval(models, captionedPhotos(await readItems('captions', clips, limit === undefined ? {} : { limit })), { progress, signal });
    progress.clear();
    const row = (key: string, what: string, count: number, value: number, reach: string): PackRow => ({ key, what, count, value, blind: null, reach });
    return [
      row('text_to_photo_r1', 'text to photo: R@1', scores.captions, scores.text_to_photo.r1, '0.25 of 1,000'),
      row('text_to_photo_r10', 'text to photo: R@10', scores.captions, scores.text_to_photo.r10, '0.66 of 1,000'),
      row('photo_to_text_r1', 'photo to text: R@1', scores.photos, scores.photo_to_text.r1, '0.31 of 1,000'),
      row('photo_to_text_r10', 'photo to text: R@10', scores.photos, scores.photo_to_text.r10, '0.75 of 1,000'),
      row('scenes_found', 'scenes of clips found by a caption, overlap above 0.5', moments.moments, moments.found, '0.75'),
      ...(videos === null
        ? []
        : [
            row('text_to_video_r1', 'text to clip: R@1', videos.captions, videos.text_to_photo.r1, '0.16 of 243'),
            row('text_to_video_r10', 'text to clip: R@10', videos.captions, videos.text_to_photo.r10, '0.52 of 243'),
            row('video_to_text_r1', 'clip to text: R@1', videos.photos, videos.photo_to_text.r1, ''),
            row('video_to_text_r10', 'clip to text: R@10', videos.photos, videos.photo_to_text.r10, ''),
          ]),
    ];
  },
};
