/** What the evaluation of a model pack is made of: sections, each giving rows of one table. */
import type { Models } from '../../../../projector/library/models.js';
import type { Progress } from '../../terminal.js';

export interface PackRow {
  /** Stable name, for reports. */
  readonly key: string;
  readonly what: string;
  /** Items the figure is taken over. */
  readonly count: number;
  readonly value: number;
  /** The same asked without a video, where that makes sense. */
  readonly blind: number | null;
  /** What a good pack reaches, as tables print it; '' where nothing is set. */
  readonly reach: string;
}

export interface SectionContext {
  readonly models: Models;
  /** Captions of photos to be held against: see readItems; null: none given. */
  readonly captions: string | null;
  /** Captions of real clips, as lines with scenes or sources: see readItems; null: none given. */
  readonly clips: string | null;
  /** Questions about photos and clips of them: see readQuestionData; null: none given. */
  readonly questions: string | null;
  /** Frames with the words that name what they show, as lines of captions; null: none given. */
  readonly classes: string | null;
  /** Conversations about photos and clips: see readDialogueData; null: none given. */
  readonly dialogues: string | null;
  /** At most so many items of each kind; undefined: all. */
  readonly limit: number | undefined;
  /** A file of this name that answers are kept in and gone on with; null keeps nothing. */
  readonly keep: (name: string) => string | null;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface PackSection {
  readonly name: string;
  /** What it measures, for --help. */
  readonly help: string;
  /** What the section needs of the context and does not have, or null. */
  missing(context: SectionContext): string | null;
  run(context: SectionContext): Promise<readonly PackRow[]>;
}
