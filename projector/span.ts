/** Questions that name the part of the video they are about: "What happens at 0:30?", "What color is the car at the end?" */
import { shotStarts } from '../model/inr/shots.js';
import { frameEnd, videoEnd } from '../model/retrieval/moments.js';
import type { VideoPart } from './messages.js';

/** A part of a video as a question names it: seconds, or which end of the video. `to` is never before `from`; Infinity is the video's end. */
export type Span =
  | { readonly kind: 'seconds'; readonly from: number; readonly to: number }
  | { readonly kind: 'point'; readonly at: number }
  | { readonly kind: 'last'; readonly seconds: number }
  | { readonly kind: 'beginning' | 'middle' | 'end' };

export interface AskedSpan {
  readonly span: Span;
  /** The words that name it, in lower case: "at 0:30". */
  readonly words: string;
  /** The question without the words that name the span; null where those were all it asked. */
  readonly rest: string | null;
}

/** Frames `first` up to, not including, `end`. */
export interface Stretch {
  readonly first: number;
  readonly end: number;
  readonly start_s: number;
  readonly end_s: number;
}

const NUMBERS: Readonly<Record<string, number>> = {
  a: 1, an: 1, one: 1, two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7, eight: 8, nine: 9, ten: 10, fifteen: 15, twenty: 20, thirty: 30, forty: 40, fifty: 50, sixty: 60,
};
const NUMBER = `\\d{1,9}(?:\\.\\d+)?|${Object.keys(NUMBERS).join('|')}`;
const HOURS = 'hours?|hrs?|h';
const MINUTES = 'minutes?|mins?';
const SECONDS = 'seconds?|secs?|s';
/** 1:05, 1:02:05; but not 5:30 pm. */
const CLOCK = '\\d{1,5}:[0-5]\\d(?::[0-5]\\d)?(?:\\.\\d+)?(?! ?[ap]\\.?m\\b)';
const AND = ' ?,? ?(?:and )?';
/** Those, 65 s, two minutes, 1 min 5 s, 1m5s, 1 h 30 min, an hour, second 65. */
const TIME = [
  CLOCK,
  `(?:${NUMBER}) ?(?:${HOURS})(?:${AND}(?:${NUMBER}) ?(?:${MINUTES}|m))?(?:${AND}(?:${NUMBER}) ?(?:${SECONDS}))?`,
  `(?:${NUMBER}) ?(?:${MINUTES}|m)${AND}(?:${NUMBER}) ?(?:${SECONDS})`,
  `(?:${NUMBER}) ?(?:${SECONDS}|${MINUTES})`,
  `(?:second|minute|hour) (?:${NUMBER})`,
].join('|');
const FILM = '(?:the|this) (?:video|clip|film|movie|footage|recording)';
const OF_FILM = `(?: (?:of|in|into) ${FILM})?`;

type Reader = (...groups: string[]) => Span;
const EDGES: Readonly<Record<string, 'beginning' | 'middle' | 'end'>> = {
  beginning: 'beginning', start: 'beginning', begin: 'beginning', opening: 'beginning', first: 'beginning', middle: 'middle',
  end: 'end', ending: 'end', finish: 'end', closing: 'end', last: 'end', final: 'end',
};
const edge: Reader = (which) => ({ kind: EDGES[which as string] as 'beginning' });
const form = (pattern: string, read: Reader): readonly [RegExp, Reader] => [new RegExp(pattern), read];

/** How spans are named, in lower case; longer and more exact forms before those they contain. */
const FORMS: readonly (readonly [RegExp, Reader])[] = [
  // The unit of a range's end holds for both: between 5 and 10 seconds.
  form(`\\b(?:between|from|at|during) (?:the )?(?:(${TIME})|(${NUMBER})) ?(?:and|to|till|until|-|–) ?(${TIME})\\b${OF_FILM}`, range),
  form(`\\b(?:in|during|within|over|for) the (first|opening|last|final|closing) (${TIME}|minute|seconds?)\\b${OF_FILM}`, firstOrLast),
  form(`\\bafter (?:the first )?(${TIME})\\b${OF_FILM}`, (time) => ({ kind: 'seconds', from: secondsOf(time), to: Infinity })),
  form(`\\b(?:before|until|up to) (${TIME})\\b${OF_FILM}`, (time) => ({ kind: 'seconds', from: 0, to: secondsOf(time) })),
  form(`\\b(?:at|around|about|near)(?: about| around| exactly)? (?:the )?(${TIME})\\b(?:[- ](?:mark|point))?${OF_FILM}`, point),
  form(`\\b(${TIME})\\b (?:in|into) ${FILM}`, point),
  // "At the end of the street" is a place.
  form(`\\b(?:at|in|towards?|near) the (?:very )?(beginning|start|end|ending|opening)\\b(?: of ${FILM}|(?! of))`, edge),
  form(`\\b(?:at|in|towards?|near) the (?:very )?(middle) of ${FILM}`, edge),
  form(`\\b(?:at|in|during|on) the (?:very )?(first|opening|last|final|closing) (?:scene|shot|part|frame|moments?)\\b${OF_FILM}`, edge),
  form('(?<=^(?:and )?what (?:happens|is happening|comes|appears|(?:do|can) (?:you|we|i) see|can be seen|is (?:seen|shown)))(?: the)? (first|last)$', edge),
  form(`^(?:and )?how does ${FILM} (begin|start|end|finish)$`, edge),
];

/** What is left of a question that asks for nothing but what is seen then: "tell me what", "what do you see". */
const NOTHING_ELSE = new RegExp(
  '^(?:(?:and|so|then|please|can you|could you) )*' +
    "(?:(?:tell me|say|describe|show(?: me)?)(?: (?:what|the video|the clip|the scene|it|everything))?|what's|what(?: (?:is|was))?)?" +
    `(?: ?(?:happen(?:s|ed|ing)?|(?:is |was )?(?:happening|going on|there|seen|shown|visible|on screen)|(?:do|can|could) (?:you|we|i|one) see|can be seen|does ${FILM} show))?$`,
);

/** Characters: what names a time is a short question. */
const LONGEST = 300;
const UNIT_S: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };
/** Seconds to each side of a point in time. */
const POINT_S = 1;
/** Neither the beginning nor the end of a video is more than this part of it. */
const LARGEST_SHARE = 1 / 3;
/** Seconds: shorter opening and closing shots count with their neighbours, as a black frame does. */
const SHORTEST_SHOT_S = 1;

/** The span that a question names, and what it asks about it; null for a question about the whole video, or about something else. */
export function askedSpan(question: string): AskedSpan | null {
  if (question.length > LONGEST) return null;
  const text = question.trim().replace(/\s+/g, ' ').replace(/[\s?.!]+$/, '');
  // The forms are in lower case; what is kept of the question is as it was written.
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return null;
  for (const [pattern, read] of FORMS) {
    const match = pattern.exec(lower);
    if (match === null) continue;
    const around = `${text.slice(0, match.index)} ${text.slice(match.index + match[0].length)}`;
    const rest = around.replace(/\s+/g, ' ').replace(/ ?,(?= ?(?:,|$))/g, '').replace(/^[\s,]+|[\s,]+$/g, '');
    return { span: read(...match.slice(1)), words: match[0], rest: NOTHING_ELSE.test(rest.toLowerCase()) ? null : capital(rest) + (/[?.!]+$/.exec(question.trim())?.[0] ?? '?') };
  }
  return null;
}

/** The frames of a video in a span; null where the span lies after the video's end. */
export function stretchOf(video: VideoPart, span: Span): Stretch | null {
  const { latents, dim, times_s } = video;
  const frames = times_s.length;
  const time = (frame: number): number => times_s[frame] as number;
  const duration_s = videoEnd(video);
  const stretch = (first: number, end: number): Stretch => ({ first, end, start_s: first === 0 ? 0 : time(first), end_s: frameEnd(times_s, duration_s, end - 1) });
  switch (span.kind) {
    case 'seconds': {
      if (span.from >= duration_s) return null;
      // A frame is shown until the next one.
      let first = 0;
      while (first + 1 < frames && time(first + 1) <= span.from) first++;
      let end = first + 1;
      while (end < frames && time(end) < span.to) end++;
      return stretch(first, end);
    }
    case 'point':
      return span.at > duration_s ? null : stretchOf(video, { kind: 'seconds', from: Math.max(0, Math.min(span.at, duration_s) - POINT_S), to: span.at + POINT_S });
    case 'last':
      return stretchOf(video, { kind: 'seconds', from: Math.max(0, duration_s - span.seconds), to: Infinity });
    case 'middle':
      return stretch(Math.floor(frames / 3), Math.max(Math.floor(frames / 3) + 1, Math.ceil((2 * frames) / 3)));
    case 'beginning': {
      const most = Math.max(1, Math.ceil(frames * LARGEST_SHARE));
      const next = shotStarts(latents, dim).find((frame) => frame > 0 && time(frame) >= SHORTEST_SHOT_S) ?? frames;
      return stretch(0, Math.min(next, most));
    }
    case 'end': {
      const most = Math.max(1, Math.ceil(frames * LARGEST_SHARE));
      const last = shotStarts(latents, dim).findLast((frame) => duration_s - time(frame) >= SHORTEST_SHOT_S) ?? 0;
      return stretch(Math.max(last, frames - most), frames);
    }
  }
}

function range(from: string | undefined, bare: string | undefined, to: string): Span {
  const unit = /\d ?h|hour/.test(to) ? 'hours' : /\d ?m|min/.test(to) ? 'minutes' : 'seconds';
  const [a, b] = [secondsOf(from ?? `${bare} ${unit}`), secondsOf(to)];
  return { kind: 'seconds', from: Math.min(a, b), to: Math.max(a, b) };
}

function point(time: string): Span {
  return { kind: 'point', at: secondsOf(time) };
}

/** "first ten seconds", "last minute"; the first or last seconds, of which there is no number, are the video's beginning or end. */
function firstOrLast(which: string, length: string): Span {
  if (length === 'seconds') return edge(which);
  const seconds = length === 'minute' || length === 'second' ? secondsOf(`1 ${length}`) : secondsOf(length);
  return EDGES[which] === 'end' ? { kind: 'last', seconds } : { kind: 'seconds', from: 0, to: seconds };
}

function secondsOf(time: string): number {
  if (time.includes(':')) return time.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
  const unitFirst = /^(second|minute|hour) (.+)$/.exec(time);
  if (unitFirst !== null) return secondsOf(`${unitFirst[2]} ${unitFirst[1]}`);
  const parts = time.matchAll(new RegExp(`(${NUMBER}) ?([hms])`, 'g'));
  return [...parts].reduce((sum, [, number, unit]) => sum + numberOf(number as string) * (UNIT_S[unit as string] as number), 0);
}

function numberOf(word: string): number {
  return NUMBERS[word] ?? Number(word);
}

/** With a capital at its beginning. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
