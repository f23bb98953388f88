import { firstKept } from '../../projector/first-kept.js';
import type { Limits } from '../config.js';
import { ApiError } from '../errors.js';
import type { PromptMessage, PromptPart } from '../inference/messages.js';
import type { VisibleVideos } from '../library/visible.js';
import type { DataFolder } from '../store/files.js';

/** After this many seconds it is worth asking again whether a video can be asked about. */
const READING_S = 2;

/** A message as a conversation holds it: text, and videos by id. */
export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly text: string;
  readonly videos: readonly string[];
}

export interface PromptContext {
  /** As the caller sees it. */
  readonly library: Pick<VisibleVideos, 'row'>;
  readonly folder: Pick<DataFolder, 'container'>;
  readonly limits: Limits;
}

/** `video://<id>` -> the id. Other addresses are refused: nothing is fetched for them. */
export function videoIdOf(url: string, param: string): string {
  const id = url.length > 200 ? undefined : /^video:\/\/([^/?#]+)$/.exec(url)?.[1];
  if (id === undefined) throw new ApiError('unsupported_video_url', { param });
  return id;
}

/** Throws `question_too_long`, naming the field and both lengths. */
export function checkLength(text: string, limits: Limits, param: string): void {
  if (text.length <= limits.questionChars) return;
  throw new ApiError('question_too_long', {
    param,
    message: `The text has ${text.length} characters; the limit is ${limits.questionChars}. Shorten it.`,
  });
}

/** Throws `video_not_found` or `video_not_ready` unless the video can be asked about. */
export function checkAskable(context: Pick<PromptContext, 'library'>, id: string, param: string): void {
  const row = context.library.row(id, param);
  if (row.container) return;
  if (row.error) throw new ApiError('video_not_ready', { param, message: `The video "${row.name}" cannot be asked about: ${row.error.message}` });
  throw new ApiError('video_not_ready', { param, retryAfter_s: READING_S });
}

/**
 * The prompt for the last of `turns`, as the model was trained to read it: in a message the videos come before the text, and a video
 * appears once, where it was first mentioned. Which turns of a long conversation fit the context is the model's to say; of one that is
 * far too long for any, the oldest turns are left out here. Their videos move to the first turn that is kept.
 *
 * @throws ApiError `empty_question`, `too_many_videos`, `video_not_found`, `video_not_ready`
 */
export function buildPrompt(context: PromptContext, turns: readonly Turn[], param: string): PromptMessage[] {
  const { folder, limits } = context;
  const system = turns.filter((turn) => turn.role === 'system');
  const told = withText(turns.filter((turn) => turn.role !== 'system'));
  const last = told.at(-1);
  if (last?.role !== 'user' || last.text.trim() === '') throw new ApiError('empty_question', { param });

  const first = firstSent(told, limits);
  const videos = askedVideos(context, told, param);
  const place = (ids: Iterable<string>): PromptPart[] => {
    const parts: PromptPart[] = [];
    for (const id of ids) if (videos.delete(id)) parts.push({ type: 'video', id, file: folder.container(id) });
    return parts;
  };
  const leftOut = told.slice(0, first).flatMap((turn) => turn.videos);
  const prompt: PromptMessage[] = [];
  const instructions = system.map((turn) => turn.text).join('\n').trim();
  if (instructions !== '') prompt.push({ role: 'system', content: [{ type: 'text', text: instructions }] });
  for (const [index, turn] of told.slice(first).entries()) {
    const content = place(index === 0 ? [...leftOut, ...turn.videos] : turn.videos);
    if (turn.text !== '') content.push({ type: 'text', text: turn.text });
    if (content.length > 0) prompt.push({ role: turn.role, content });
  }
  return prompt;
}

/** Turns without text, which show a video only, become one with a neighbour of their role. */
function withText(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = [];
  for (const turn of turns) {
    const before = joined.at(-1);
    if (before?.role !== turn.role || (before.text !== '' && turn.text !== '')) joined.push(turn);
    else joined[joined.length - 1] = { role: turn.role, text: before.text + turn.text, videos: [...before.videos, ...turn.videos] };
  }
  return joined;
}

/**
 * The videos that a conversation is about. One that can be asked about today is not lost because of what an older turn showed: of its videos
 * those that were deleted since are left out, and the oldest where there are too many. The newest turn's must all be there.
 */
function askedVideos(context: PromptContext, turns: readonly Turn[], param: string): Set<string> {
  const { videosPerChat } = context.limits;
  const newest = new Set(turns.at(-1)?.videos);
  if (newest.size > videosPerChat) {
    throw new ApiError('too_many_videos', { param, message: `The question has ${newest.size} videos; the limit is ${videosPerChat}.` });
  }
  const shown = [...new Set(turns.flatMap((turn) => turn.videos))];
  const there = shown.filter((id) => newest.has(id) || isThere(context, id));
  // About nothing that was shown, an answer would be made up.
  if (there.length === 0 && shown.length > 0) context.library.row(shown[0] as string, param);
  const older = there.filter((id) => !newest.has(id));
  const tooMany = new Set(older.slice(0, Math.max(0, there.length - videosPerChat)));
  const videos = new Set(there.filter((id) => !tooMany.has(id)));
  for (const id of videos) checkAskable(context, id, param);
  return videos;
}

function isThere({ library }: PromptContext, id: string): boolean {
  try {
    library.row(id);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'video_not_found') return false;
    throw error;
  }
}

/** Index of the first turn that is handed to the model: a user's, such that the texts stay within the limit. */
function firstSent(turns: readonly Turn[], { promptChars }: Limits): number {
  const starts: number[] = [];
  const lengths: number[] = [];
  for (const [index, { role, text }] of turns.entries()) {
    if (role === 'user' || starts.length === 0) {
      starts.push(index);
      lengths.push(0);
    }
    lengths[lengths.length - 1] = (lengths.at(-1) as number) + text.length;
  }
  const fits = (question: number): boolean => lengths.slice(question).reduce((sum, length) => sum + length, 0) <= promptChars;
  return starts[firstKept(lengths, promptChars / 2, fits)] as number;
}
