/** Messages to the sequence of tokens the language model reads: words' ids, and frames' visual tokens between them. */
import type { ChatTemplate, TextTokenizer } from '../model/language/index.js';
import type { PromptConfig } from '../model/pack/index.js';
import { PromptError, type ChatMessage, type VideoPart } from './messages.js';

/** One visual token: number `slot` of the K tokens of a video's frame, or of all its frames that are shown. */
export interface VisualToken {
  readonly video: VideoPart;
  /** One, where each frame has tokens of its own. */
  readonly frames: readonly number[];
  readonly slot: number;
}

export type PromptToken = number | VisualToken;

export interface PromptContext {
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
  readonly prompt: PromptConfig;
  /** K: visual tokens a frame, or a video where it is read as a whole. */
  readonly tokensPerFrame: number;
  /** The projector reads a video as a whole. Default false: frame by frame. */
  readonly whole?: boolean;
  /** Names of what is recognized in the frames of a video that are shown, the likeliest first. Default: nothing is recognized. */
  readonly recognized?: (video: VideoPart) => readonly string[];
}

/** Stands for a frame in the text the template sees; removed from what users write, so it is always ours. */
const FRAME_MARK = '\u0000';

/**
 * Which frames of T are shown: all when they are few, else `most` at the middles of equal stretches.
 * @returns indices in order
 */
export function chooseFrames(frames: number, most: number): number[] {
  const shown = Math.min(frames, most);
  return Array.from({ length: shown }, (_, i) => Math.round(((i + 0.5) * frames) / shown - 0.5));
}

/**
 * The whole prompt, ending where the answer begins. Text between visual tokens is tokenised piece by piece, exactly
 * as in training, so a piece's ids never depend on what follows a frame.
 * @throws PromptError when there is nothing to answer
 */
export function buildPrompt(messages: readonly ChatMessage[], context: PromptContext): PromptToken[] {
  if (messages.length === 0) throw new PromptError('empty_messages', 'there are no messages to answer; send at least one from the user');
  const frames: Shown[] = [];
  const rendered = messages.map((message) => ({ role: message.role, content: renderContent(message, context, frames) }));
  if (rendered[0]?.role !== 'system' && context.prompt.system !== '') rendered.unshift({ role: 'system', content: context.prompt.system });

  const pieces = context.template.render(rendered).split(FRAME_MARK);
  return pieces.flatMap((piece, index): PromptToken[] => {
    const ids = context.tokenizer.encode(piece);
    const shown = frames[index];
    if (shown === undefined) return ids;
    const visual = Array.from({ length: context.tokensPerFrame }, (_, slot) => ({ ...shown, slot }));
    return [...ids, ...visual];
  });
}

/** A message's text with a mark where each frame goes. Videos come before the words about them, as in training. */
function renderContent(message: ChatMessage, context: PromptContext, frames: Shown[]): string {
  const videos = message.content.filter((part) => part.type === 'video').map((video) => renderVideo(video, context, frames));
  const texts = message.content.filter((part) => part.type === 'text').map(({ text }) => ownWords(text.replaceAll(FRAME_MARK, ''), context));
  return videos.join('') + texts.join('\n');
}

/** A user's words, in which neither a special token nor a string that marks turns is read as one. */
function ownWords(text: string, { tokenizer, prompt }: PromptContext): string {
  const marks = prompt.stop ?? [];
  return marks.reduce((safe, mark) => safe.replaceAll(mark, [...mark].join(' ')), tokenizer.neutralize(text));
}

/** What a mark stands for. */
type Shown = Pick<VisualToken, 'video' | 'frames'>;

function renderVideo(video: VideoPart, context: PromptContext, frames: Shown[]): string {
  const { prompt, whole = false } = context;
  const chosen = chooseFrames(video.times_s.length, prompt.max_frames);
  if (whole) frames.push({ video, frames: chosen });
  else frames.push(...chosen.map((frame) => ({ video, frames: [frame] })));
  if (whole && video.times_s.length > 1) {
    const times = chosen.map((frame) => (video.times_s[frame] as number).toFixed(1)).join(', ');
    const after = (prompt.video_after ?? '').replace('{n}', String(chosen.length)).replace('{times}', times);
    return prompt.video_before.replace('{n}', String(chosen.length)) + FRAME_MARK + after;
  }
  const seen = renderSeen(video, context);
  if (video.times_s.length === 1) return prompt.photo_before + FRAME_MARK + seen + prompt.photo_after;
  const lines = chosen.map((frame, i) => {
    const time = video.times_s[frame] as number;
    const last = i === chosen.length - 1;
    return prompt.frame_before.replace('{t}', time.toFixed(1)).replace('{clock}', clock(time)) + FRAME_MARK + (last ? seen : '') + prompt.frame_after;
  });
  return prompt.video_before.replace('{n}', String(chosen.length)) + lines.join('');
}

/** The words for what is recognized in the frames that are shown; '' where nothing is. */
function renderSeen(video: VideoPart, { prompt, recognized }: PromptContext): string {
  if (prompt.seen === undefined || recognized === undefined) return '';
  const words = recognized(video);
  return words.length === 0 ? '' : prompt.seen.replace('{words}', words.join(', '));
}

/** Latents (frames, D) of some of a video's frames. */
export function latentsOf({ latents, dim }: VideoPart, frames: readonly number[]): Float32Array {
  const chosen = new Float32Array(frames.length * dim);
  frames.forEach((frame, row) => chosen.set(latents.subarray(frame * dim, (frame + 1) * dim), row * dim));
  return chosen;
}

/** Seconds as minutes and seconds: 01:05. */
function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return [Math.floor(whole / 60), whole % 60].map((part) => String(part).padStart(2, '0')).join(':');
}

/** What makes two tokens of two prompts the same to the model. */
export type TokenIdentity = number | string;

export function identityOf(token: PromptToken): TokenIdentity {
  return typeof token === 'number' ? token : JSON.stringify([token.video.id, token.video.version, ...token.frames, token.slot]);
}
