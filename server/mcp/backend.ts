/** What the tools of the Model Context Protocol do, wherever the videos are: on a server, in a data folder, or in files. */

/** A video as the tools name it. */
export interface ListedVideo {
  readonly id: string;
  readonly name: string;
  readonly kind: 'video' | 'photo';
  /** Seconds; null where it is not known yet. */
  readonly duration_s: number | null;
  /** Whether it can be asked about. */
  readonly askable: boolean;
  /** One or two words on where it stands, such as `ready`. */
  readonly state: string;
}

/** Seconds of a video. */
export interface Stretch {
  readonly start_s: number;
  readonly end_s: number;
}

export interface FoundMoment extends Stretch {
  readonly video: string;
  readonly name: string;
  /** Cosine, comparable within one search. */
  readonly score: number;
}

export interface Answer {
  readonly answer: string;
  /** Moments that the answer speaks of. */
  readonly moments: readonly Stretch[];
  /** False where the answer was cut off at the most tokens it may have. */
  readonly complete: boolean;
}

/** A sentence on what is seen in a stretch. */
export interface Caption extends Stretch {
  readonly caption: string;
}

/** Every method throws an Error whose message is a sentence for people. */
export interface VideoTools {
  /** All videos. */
  list(signal: AbortSignal): Promise<readonly ListedVideo[]>;
  /** Best first. @param videos ids; null: all that can be asked about */
  search(query: string, videos: readonly string[] | null, limit: number, signal: AbortSignal): Promise<readonly FoundMoment[]>;
  ask(video: string, question: string, maxTokens: number | null, signal: AbortSignal): Promise<Answer>;
  /** One sentence on what is seen. @param part null: in the whole video; its end may lie beyond the video's */
  caption(video: ListedVideo, part: Stretch | null, signal: AbortSignal): Promise<Caption>;
  /** Cuts an MP4 file of a part. @returns its path or address */
  clip(video: ListedVideo, part: Stretch, signal: AbortSignal): Promise<string>;
  /** In order of time, from second 0 to the video's end. */
  shots(video: string, signal: AbortSignal): Promise<readonly Stretch[]>;
}

/** `talk.mp4` from 5 to 12.5 s -> `talk-5s-12.5s.mp4` */
export function clipName(name: string, { start_s, end_s }: Stretch): string {
  const base = name.replace(/\.[^.]*$/, '').replace(/[/\\\p{Cc}]/gu, '_').slice(0, 100);
  return `${base}-${Number(start_s.toFixed(2))}s-${Number(end_s.toFixed(2))}s.mp4`;
}

/** A failure whose message a caller may see. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** The video with this id, or the only one with this name. @throws ToolError */
export function pickVideo<V extends { readonly id: string; readonly name: string }>(videos: readonly V[], wanted: string): V {
  const id = wanted.replace(/^video:\/\//, '');
  const found = videos.find((video) => video.id === id);
  if (found) return found;
  const named = videos.filter((video) => video.name === wanted);
  const [first] = named;
  if (first && named.length === 1) return first;
  const told = wanted.slice(0, 200);
  if (first) throw new ToolError(`${named.length} videos are named "${told}". Name one by its id; list_videos tells them.`);
  throw new ToolError(`There is no video "${told}". list_videos tells those there are.`);
}
