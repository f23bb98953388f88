/** Moments as answers name them, and what finds them. */
import type { FoundMoments, Moment, MomentQuery, SearchableVideo } from '../model/retrieval/index.js';
import type { Likeness } from './captions.js';
import type { VideoPart } from './messages.js';

/** A moment an answer speaks of. */
export interface MomentAnnotation {
  readonly type: 'moment';
  /** Id of the video part. */
  readonly video: string;
  readonly start_s: number;
  readonly end_s: number;
  /** Cosine of its frames with the question's words; none where the question named the part itself. */
  readonly score?: number;
}

export interface MomentFinder extends Likeness {
  /** Reads the words, once for all videos. */
  query(words: string): Promise<MomentQuery>;
  find(video: SearchableVideo, query: MomentQuery): Promise<FoundMoments>;
}

/** How a moment is named: with its video where there are several. */
export function place(part: VideoPart, { start_s, end_s }: Pick<Moment, 'start_s' | 'end_s'>, videos: readonly VideoPart[]): string {
  const which = videos.length > 1 ? `in video ${videos.indexOf(part) + 1} ` : '';
  return `${which}from ${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s`;
}

/** An answer without the opening that names seconds. */
export function withoutOpening(answer: string): string {
  return answer.replace(/^(?:(?:Perhaps|I do not find that in the video\. What comes nearest is) )?(?:in video \d+ )?from [\d.]+ s to [\d.]+ s(?:, and (?:in video \d+ )?from [\d.]+ s to [\d.]+ s)*: /i, '');
}
