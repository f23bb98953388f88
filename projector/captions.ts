/**
 * How captions are written: searched for with beams, and of those found the one that is most like what is seen. The language model has learned what
 * people write and the retrieval towers to tell one photo's captions from others': of two likely captions the towers know better which is true.
 */
import type { SearchableVideo } from '../model/retrieval/index.js';
import type { ReplyOptions, TextRank } from './chat-model.js';
import { lastShown } from './focus.js';

/** Each word of a caption depends on what follows more than an answer's does, and with more beams there is more to choose from. */
export const CAPTION_BEAMS = 5;

/** As MomentSearch gives it. */
export interface Likeness {
  likeness(videos: readonly SearchableVideo[], texts: readonly string[]): Promise<readonly (readonly number[])[]>;
}

/** Of a cosine beside a score of beam search. Captions of 300 dev photos scored alike from 6 up. */
const WEIGHT = 8;

/** What has a reply searched for as captions are. For descriptions alone: "Yes." is like nothing that is seen. */
export function captionSearch(towers: Likeness | null): Pick<ReplyOptions, 'beams' | 'rank'> {
  return { beams: CAPTION_BEAMS, ...(towers === null ? {} : { rank: likenessRank(towers) }) };
}

export function likenessRank(towers: Likeness): TextRank {
  return async (texts, messages) => {
    const videos = lastShown(messages);
    if (videos.length === 0 || texts.length < 2) return texts.map(() => 0);
    const cosines = await towers.likeness(videos, texts);
    return texts.map((_, i) => cosines.reduce((sum, row) => sum + (WEIGHT * (row[i] as number)) / videos.length, 0));
  };
}
