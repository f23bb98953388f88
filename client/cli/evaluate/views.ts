/** One video or photo as each row sees it. */
import { stat } from 'node:fs/promises';
import type { Frame } from '../../../model/frames/index.js';
import { openFrames } from '../../../model/frames/open.node.js';
import type { Preset } from '../../../model/inr/plan.js';
import { openLinr } from '../../../model/video/open.node.js';
import { isContainer } from '../../../model/video/path-source.node.js';
import { chooseFrames, type VideoPart } from '../../../projector/index.js';
import { type Askable, type AskableOptions, encodeFrames, framesToSearch, openAskable } from '../../../projector/library/askable.node.js';
import type { Models } from '../../../projector/library/models.js';
import { encodeOnce, fileToEncode } from '../encode-once.js';
import { UserError } from '../failure.js';
import type { MediaDatum } from './data.js';
import type { Row } from './rows.js';
import { openScenes } from './scenes.js';

export interface ViewOptions {
  /** Where containers go that are encoded for the decoded row; those already there are used. */
  readonly containers: string;
  readonly preset: Preset;
  /** Of one encoding; default: the preset's. */
  readonly seconds?: number;
}

/** What there is to see of a source. */
export interface Pictures {
  readonly frames: readonly Frame[];
  /** They were decoded from a container; else they are the original's. */
  readonly decoded: boolean;
}

/** Raised where a source cannot be seen as a row asks. */
export class RowError extends UserError {
  readonly code = 'row_unavailable';
}

export class SourceViews {
  readonly #videos = new Map<Row, Promise<VideoPart | null>>();
  #container: Promise<{ file: string; original: string | null }> | undefined;
  #askable: Promise<Askable> | undefined;

  /**
   * @param seen.decoded whether the decoded row is among those that will be asked for: then latents come from the trained container too
   * @param seen.moments whether moments are looked for: then there are as many frames as `chat` takes for that
   */
  constructor(
    private readonly datum: MediaDatum,
    private readonly seen: { readonly decoded: boolean; readonly moments: boolean },
    private readonly models: Models,
    private readonly options: ViewOptions,
  ) {}

  /**
   * What the model is given in this row; null for no video.
   * @throws RowError when the source has no such view, and as opening and encoding do; the signal's reason when it is aborted
   */
  video(row: Row, signal: AbortSignal): Promise<VideoPart | null> {
    let view = this.#videos.get(row);
    if (view === undefined) {
      view = this.#see(row, signal);
      this.#videos.set(row, view);
    }
    return view;
  }

  /** Up to `count` frames to show, uniform in time: decoded ones where there is a container with pictures, else the original's. */
  async pictures(count: number, signal: AbortSignal): Promise<Pictures> {
    const { file, original } = await this.#source(signal);
    if (await isContainer(file)) {
      const { video } = await this.#open(signal);
      const frames = await decodeFrames(file, chooseFrames(video.frames, count), this.models).catch((error: unknown) => {
        if (error instanceof RowError && original !== null) return null;
        throw error;
      });
      if (frames !== null) return { frames, decoded: true };
    }
    const source = await (this.datum.scenes === undefined ? openFrames(original ?? file) : openScenes(this.datum.scenes, signal));
    try {
      const frames: Frame[] = [];
      for await (const frame of source.frames({ limit: count, signal })) frames.push(frame);
      return { frames, decoded: false };
    } finally {
      await source.close();
    }
  }

  async #see(row: Row, signal: AbortSignal): Promise<VideoPart | null> {
    if (row === 'none') return null;
    const { video, targets } = await this.#open(signal);
    if (row === 'latents') return video;
    if (row === 'raw' && targets !== null) return { ...video, latents: targets, version: 'raw' };
    const { file, original } = await this.#source(signal);
    const chosen = chooseFrames(video.times_s.length, this.models.pack.manifest.prompt.max_frames);
    const times_s = chosen.map((index) => video.times_s[index] as number);
    const frames = row === 'decoded' ? await decodeFrames(file, chosen, this.models) : await originalFrames(file, original, times_s, video.times_s.length, signal);
    const tower = await this.models.tower();
    return { ...video, latents: tower.latents(await tower.features(frames, { signal })), times_s, version: row };
  }

  #open(signal: AbortSignal): Promise<Askable> {
    this.#askable ??= this.#askableOf(signal);
    return this.#askable;
  }

  async #askableOf(signal: AbortSignal): Promise<Askable> {
    const { scenes, source } = this.datum;
    const options: AskableOptions = { signal, ...(this.seen.moments ? { frames: framesToSearch } : {}) };
    if (scenes === undefined) return openAskable((await this.#source(signal)).file, this.models, options);
    return encodeFrames(await openScenes(scenes, signal), { name: source, bytes: 0 }, this.models, options);
  }

  /** The file that is asked about, and the one it was made from. */
  #source(signal: AbortSignal): Promise<{ file: string; original: string | null }> {
    this.#container ??= this.#locate(signal);
    return this.#container;
  }

  async #locate(signal: AbortSignal): Promise<{ file: string; original: string | null }> {
    const { file, original, scenes } = this.datum;
    if (scenes !== undefined && this.seen.decoded) throw new RowError('Scenes are put together for the question and never encoded: leave "decoded" out of --rows.');
    const there = await stat(file).then((facts) => facts.isFile(), () => false);
    if (!this.seen.decoded || !there || (await isContainer(file))) return { file, original };
    return { file: await encodedFile(file, this.models, this.options, signal), original: file };
  }
}

/** The container of a video or photo: one that is there, else a new one. */
async function encodedFile(file: string, models: Models, { containers, preset, seconds }: ViewOptions, signal: AbortSignal): Promise<string> {
  const options = { preset, ...(seconds === undefined ? {} : { seconds }) };
  return encodeOnce(await fileToEncode(file), models, containers, options, { signal });
}

async function decodeFrames(file: string, indices: readonly number[], models: Models): Promise<Frame[]> {
  const video = await openLinr(file, { runtime: models.runtime });
  if (video.segments.some(({ network }) => network === null)) throw new RowError(`${file} holds latents only: it has no frames to decode.`);
  try {
    const frames: Frame[] = [];
    for await (const frame of video.decodeFrames(indices)) frames.push(frame);
    return frames;
  } finally {
    await video.close();
  }
}

/** The original's frames nearest to `times_s`, among `count` uniform in time: those that the encoder looked at. */
async function originalFrames(file: string, original: string | null, times_s: readonly number[], count: number, signal: AbortSignal): Promise<Frame[]> {
  if (original === null) throw new RowError(`${file} is a container and the data does not name its original, so there are no original frames.`);
  const source = await openFrames(original);
  try {
    const nearest: { frame: Frame; off: number }[] = [];
    for await (const frame of source.frames({ limit: count, signal })) {
      times_s.forEach((time, i) => {
        const off = Math.abs(frame.time_s - time);
        if (off < (nearest[i]?.off ?? Infinity)) nearest[i] = { frame, off };
      });
    }
    return nearest.map(({ frame }) => frame);
  } finally {
    await source.close();
  }
}
