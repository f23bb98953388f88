/** Captions as subtitles and tables, made from the JSON lines that the job keeps. */
import { csvLine } from '../csv.js';
import { oneLine } from '../failure.js';
import type { JsonLine } from '../json-lines.js';

export const CAPTION_FORMATS = ['jsonl', 'srt', 'vtt', 'csv'] as const;
export type CaptionFormat = (typeof CAPTION_FORMATS)[number];

/** A cue must end after it begins; a photo has no duration. */
const SHORTEST_CUE_S = 0.001;

interface Cue {
  readonly start_s: number;
  readonly end_s: number;
  readonly caption: string;
}

function cues(lines: readonly JsonLine[]): Cue[] {
  return lines.flatMap(({ start_s, end_s, caption }) => {
    if (typeof start_s !== 'number' || typeof end_s !== 'number' || typeof caption !== 'string') return [];
    return [{ start_s, end_s: Math.max(end_s, start_s + SHORTEST_CUE_S), caption: oneLine(caption) }];
  });
}

/** SubRip subtitles of one source. */
export function srt(lines: readonly JsonLine[]): string {
  return cues(lines).map(({ start_s, end_s, caption }, i) => `${i + 1}\n${clock(start_s, ',')} --> ${clock(end_s, ',')}\n${caption}\n`).join('\n');
}

/** WebVTT subtitles of one source. */
export function vtt(lines: readonly JsonLine[]): string {
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return ['WEBVTT\n', ...cues(lines).map(({ start_s, end_s, caption }) => `${clock(start_s, '.')} --> ${clock(end_s, '.')}\n${escaped(caption)}\n`)].join('\n');
}

const COLUMNS = ['id', 'source', 'start_s', 'end_s', 'caption', 'pack', 'tokens', 'seconds', 'error'] as const;

/** A table of all lines, failures among them. */
export function csv(lines: readonly JsonLine[]): string {
  const rows = lines.map((line) => COLUMNS.map((column) => (column === 'error' ? messageOf(line['error']) : line[column])));
  return [COLUMNS, ...rows].map(csvLine).join('');
}

function messageOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
}

/** 00:01:02,345 */
function clock(seconds: number, mark: ',' | '.'): string {
  const ms = Math.round(seconds * 1000);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}${mark}${String(ms % 1000).padStart(3, '0')}`;
}
