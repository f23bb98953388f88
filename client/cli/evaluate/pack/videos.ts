/** What a pack says about whole videos, unedited: a caption and three questions each. No score: it is read by people. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { askOnce, captionOnce } from '../../../../projector/ask.js';
import { openAskable } from '../../../../projector/library/askable.node.js';
import { namesRight, parseNames } from '../../../metrics/names.js';
import { UserError } from '../../failure.js';
import type { PackRow, SectionContext } from './section.js';

export const VIDEO_QUESTIONS = ['What is happening?', 'Who or what is in the video?', 'Where is this?'] as const;

const VIDEO_NAME = /\.(mp4|webm|mkv|mov|avi|linr)$/i;
const CAPTION_TOKENS = 64;

export interface VideoAnswers {
  readonly video: string;
  readonly caption: string;
  /** In the order of VIDEO_QUESTIONS. */
  readonly answers: readonly string[];
}

/** @throws UserError when the folder has no video */
export async function videoAnswers(folder: string, { models, limit, progress, signal }: Pick<SectionContext, 'models' | 'limit' | 'progress' | 'signal'>): Promise<VideoAnswers[]> {
  const names = (await readdir(folder)).filter((name) => VIDEO_NAME.test(name)).sort().slice(0, limit);
  if (names.length === 0) throw new UserError(`${folder} has no video in it.`);
  const said: VideoAnswers[] = [];
  for (const [done, name] of names.entries()) {
    progress.update({ label: 'videos', done, total: names.length, unit: 'videos' });
    const { video } = await openAskable(path.join(folder, name), models, { signal });
    const options = { maxTokens: CAPTION_TOKENS, signal };
    const caption = await captionOnce(models, video, models.pack.manifest.prompt.default_question, options);
    const answers: string[] = [];
    for (const question of VIDEO_QUESTIONS) answers.push((await askOnce(models, video, question, options)).text.trim());
    said.push({ video: name, caption: caption.text.trim(), answers });
  }
  progress.clear();
  return said;
}

/** Of a folder with a table of names: how many captions name the main thing. null without one. @throws UserError for a table that is not as it should be */
export async function namedRow(folder: string, said: readonly VideoAnswers[]): Promise<PackRow | null> {
  const file = path.join(folder, 'names.tsv');
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const names = parseNames(text, file);
  const judged = said.flatMap(({ video, caption }) => {
    const name = names.get(video);
    return name === undefined ? [] : [namesRight(caption, name)];
  });
  const right = judged.filter((is) => is).length;
  return { key: 'clips_named', what: 'real clips whose caption names the main thing', count: judged.length, value: right, blind: null, reach: '14 of 19' };
}

export function videosText(said: readonly VideoAnswers[]): string {
  return said.map(({ video, caption, answers }) => [`${video}: ${caption}`, ...VIDEO_QUESTIONS.map((question, i) => `  ${question} ${answers[i] ?? ''}`)].join('\n')).join('\n');
}
