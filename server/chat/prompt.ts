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
 * The prompt for the last of `turns`, as the model was trained to read it: neighbouring turns of one role are one
 * message, in it the videos come before the text, and a video appears once, where it was first mentioned. Of a long
 * conversation the oldest turns are left out; their videos move to the first turn that is kept.
 *
 * @throws ApiError `empty_question`, `too_many_videos`, `video_not_found`, `video_not_ready`
 */
export function buildPrompt(context: PromptContext, turns: readonly Turn[], param: string): PromptMessage[] {
  const { folder, limits } = context;
  const system = turns.filter((turn) => turn.role === 'system');
  const merged = mergeRoles(turns.filter((turn) => turn.role !== 'system'));
  const last = merged.at(-1);
  if (last?.role !== 'user' || last.text.trim() === '') throw new ApiError('empty_question', { param });

  const kept = merged.slice(firstKept(merged, limits));
  const videos = new Set(merged.flatMap((turn) => turn.videos));
  if (videos.size > limits.videosPerChat) {
    throw new ApiError('too_many_videos', { param, message: `The conversation has ${videos.size} videos; the limit is ${limits.videosPerChat}.` });
  }
  for (const id of videos) checkAskable(context, id, param);

  const placed = new Set<string>();
  const place = (ids: Iterable<string>): PromptPart[] => {
    const parts: PromptPart[] = [];
    for (const id of ids) {
      if (!placed.has(id)) parts.push({ type: 'video', id, file: folder.container(id) });
      placed.add(id);
    }
    return parts;
  };
  const dropped = merged.slice(0, merged.length - kept.length).flatMap((turn) => turn.videos);
  const prompt: PromptMessage[] = [];
  const instructions = system.map((turn) => turn.text).join('\n').trim();
  if (instructions !== '') prompt.push({ role: 'system', content: [{ type: 'text', text: instructions }] });
  for (const [index, turn] of kept.entries()) {
    const content = place(index === 0 ? [...dropped, ...turn.videos] : turn.videos);
    if (turn.text !== '') content.push({ type: 'text', text: turn.text });
    if (content.length > 0) prompt.push({ role: turn.role, content });
  }
  return prompt;
}

function mergeRoles(turns: readonly Turn[]): Turn[] {
  const merged: Turn[] = [];
  for (const turn of turns) {
    const before = merged.at(-1);
    if (before?.role !== turn.role) {
      merged.push(turn);
      continue;
    }
    const text = [before.text, turn.text].filter((part) => part !== '').join('\n');
    merged[merged.length - 1] = { role: turn.role, text, videos: [...before.videos, ...turn.videos] };
  }
  return merged;
}

/** Index of the first turn that is sent to the model: a user's, such that count and length stay within the limits. */
function firstKept(turns: readonly Turn[], limits: Limits): number {
  let from = turns.length - 1;
  let characters = 0;
  for (let index = turns.length - 1; index >= 0; index--) {
    const turn = turns[index];
    if (!turn) break;
    characters += turn.text.length;
    const fits = characters <= limits.promptChars && turns.length - index <= limits.promptMessages;
    if (!fits && index < turns.length - 1) break;
    if (turn.role === 'user') from = index;
  }
  return from;
}
