/** The evaluation of a model pack: every section's rows in one table. */
import { aligned } from '../report.js';
import { captionSection, classSection, clipSection, precisionSection, questionSection, videoCaptionSection } from './answers.js';
import { confidenceSection } from './confidence.js';
import { dialogueSection } from './dialogues.js';
import { retrievalSection } from './retrieval.js';
import type { PackRow, PackSection } from './section.js';
import { speedSection } from './speed.js';
import { textSection } from './text.js';

export { namedRow, VIDEO_QUESTIONS, videoAnswers, videosText } from './videos.js';
export type { PackRow, PackSection, SectionContext } from './section.js';

/** In the order of the table. */
export const SECTIONS: readonly PackSection[] = [captionSection, videoCaptionSection, classSection, precisionSection, questionSection, clipSection, confidenceSection, dialogueSection, retrievalSection, textSection, speedSection];

export function packTable(rows: readonly PackRow[]): string {
  const number = (value: number): string => (value >= 10 ? value.toFixed(1) : value.toFixed(4));
  const body = rows.map(({ what, count, value, blind, reach }) => [what, String(count), number(value), blind === null ? '-' : number(blind), reach === '' ? '-' : reach]);
  return aligned([['', 'items', 'figure', 'no video', 'reach'], ...body]).join('\n');
}
