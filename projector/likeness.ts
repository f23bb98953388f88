/**
 * Of the captions that a search has found, the one that is most like what is seen. The language model has learned what people write and the
 * retrieval towers to tell this photo's captions from others': of two likely captions the towers know better which is true.
 */
import type { SearchableVideo } from '../model/retrieval/index.js';
import type { TextRank } from './chat-model.js';
import type { ChatMessage, VideoPart } from './messages.js';

/** As MomentSearch gives it. */
export interface Likeness {
  likeness(video: SearchableVideo, texts: readonly string[]): Promise<readonly number[]>;
}

/** Of a cosine beside a score of beam search. Captions of dev photos scored alike from 6 up. */
const WEIGHT = 8;

/** For descriptions alone: "Yes." is like nothing that is seen. */
export function likenessRank(search: () => Promise<Likeness>): TextRank {
  return async (texts, messages) => {
    const videos = partsOf(messages);
    const added = texts.map(() => 0);
    if (videos.length === 0 || texts.length < 2) return added;
    const towers = await search();
    for (const video of videos) {
      const cosines = await towers.likeness(video, texts);
      cosines.forEach((cosine, i) => (added[i] = (added[i] as number) + (WEIGHT * cosine) / videos.length));
    }
    return added;
  };
}

function partsOf(messages: readonly ChatMessage[]): VideoPart[] {
  return messages.flatMap(({ content }) => content.flatMap((part) => (part.type === 'video' ? [part] : [])));
}
