/** What a table or figure of the paper is made of: cells of work that are done once, and a report of what they gave. */
import type { FrameSize } from '../../../model/frames/index.js';
import type { EncodeProgress } from '../../../model/inr/progress.js';
import type { Preset } from '../../../model/inr/plan.js';
import type { Models } from '../../../projector/library/models.js';
import { ClassicError } from '../../peers/classic.js';
import type { EncodeOnceOptions, ToEncode } from '../encode-once.js';
import type { JsonLine } from '../json-lines.js';
import type { StudyFacts } from './facts.js';
import type { Plot } from './plot.js';
import type { RetrievalSet } from './retrieval-set.js';

/** An encoding that trains its latents with the network that draws from them, small enough for a few seconds to tell something. */
export const TRAINED = { preset: 'paper', network: { layers: 2, hidden: 64 } } as const satisfies EncodeOnceOptions;

export interface StudySettings {
  /** Seconds of each encoding of a video, and of training of each peer, by the clock of the cells. */
  readonly seconds: number;
  /** Seconds of each encoding of a clip of the retrieval set. */
  readonly clipSeconds: number;
  readonly size: FrameSize;
  /** Of each video, the first ones; null: all. */
  readonly frames: number | null;
  readonly preset: Preset;
  readonly threads: number;
  /** Bits per pixel, Figure 3. */
  readonly rates: readonly number[];
}

/** A video of --videos, or its first frames. */
export interface VideoInput extends ToEncode {
  /** What tables call it: its name without the ending. */
  readonly title: string;
  readonly file: string;
}

/** One line of a table as CSV has it: names and figures. */
export type Datum = Readonly<Record<string, string | number>>;

export interface Cell {
  /** Names it among the study's cells, whatever run made it. */
  readonly id: string;
  /** Beyond the study's settings, what decides its result. */
  readonly depends: readonly unknown[];
  /** `data`: its lines; `missing`: why it cannot be had here, tried again by the next run, and `names`: the row of it. */
  run(work: CellWork): Promise<CellResult>;
}

export type CellResult = { readonly data: readonly Datum[]; readonly vectors?: JsonLine } | { readonly missing: string; readonly names: Datum };

/** @returns why a row of x264 or x265 cannot be had where the encoder fails, instead of ending the whole study */
export async function unlessEncoderFails(names: Datum, work: () => Promise<CellResult>): Promise<CellResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ClassicError) return { missing: error.message, names };
    throw error;
  }
}

export interface CellWork {
  /** For files that are not needed afterwards. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  /** Seconds of processor time over threads: what budgets are counted in, so that a busy machine takes longer but gives the same. */
  readonly clock: () => number;
  /** `part` in [0, 1] of the cell is done. */
  report(part: number, detail?: string): void;
  /**
   * The bytes of a container, made now or by an earlier run; at the study's size and preset unless it says otherwise.
   * @param report where the cell makes more than one
   */
  encode(source: ToEncode, options: Partial<EncodeOnceOptions>, report?: CellWork['report']): Promise<Uint8Array>;
}

export interface StudyContext {
  readonly models: Models;
  readonly settings: StudySettings;
  readonly videos: readonly VideoInput[];
  /** Null where none was named. */
  readonly retrieval: RetrievalSet | null;
}

export interface StudyReport {
  readonly tables: readonly { readonly caption: string; readonly rows: readonly (readonly string[])[] }[];
  /** What the CSV file holds. */
  readonly data: readonly Datum[];
  readonly plot: Plot;
}

/** Of a cell, by its id; a cell that is missing has no data. */
export type Results = ReadonlyMap<string, CellResult>;

export interface Study extends StudyFacts {
  /** File that its cells are kept in, where several studies share them. Default: its name. */
  readonly store?: string;
  cells(context: StudyContext): readonly Cell[] | Promise<readonly Cell[]>;
  report(results: Results, context: StudyContext): StudyReport | Promise<StudyReport>;
}

/** Part of an encoding that is done, and a word on it. */
export function encodePart({ stage, done, total, psnr_db }: EncodeProgress): readonly [part: number, detail: string] {
  const share = total === 0 ? 0 : done / total;
  if (stage === 'training') return [0.1 + 0.85 * share, psnr_db === undefined || !Number.isFinite(psnr_db) ? 'training' : `training, ${psnr_db.toFixed(1)} dB`];
  return stage === 'writing' ? [0.95 + 0.05 * share, 'measuring'] : [0.1 * share, 'looking at frames'];
}
