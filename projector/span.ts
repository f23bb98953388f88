/** Questions that name the part of the video they are about: "What happens at 0:30?", "What color is the car at the end?" */
import { shotStarts } from '../model/inr/shots.js';
import type { VideoPart } from './messages.js';

/** A part of a video as a question names it: seconds, or which end of the video. `to` is never before `from`; Infinity is the video's end. */
export type Span = { readonly kind: 'seconds'; readonly from: number; readonly to: number } | { readonly kind: 'last'; readonly seconds: number } | { readonly kind: 'beginning' | 'middle' | 'end' };

export interface AskedSpan {
  readonly span: Span;
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
  a: 1, one: 1, two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7, eight: 8, nine: 9, ten: 10, fifteen: 15, twenty: 20, thirty: 30, forty: 40, fifty: 50, sixty: 60,
};
const NUMBER = `\\d{1,5}(?:\\.\\d+)?|${Object.keys(NUMBERS).join('|')}`;
const SECONDS = 's|secs?|seconds?';
/** 1:05, 1:02:05, 65 s, two minutes, 1 min 5 s, second 65. */
const CLOCK = '\\d{1,3}:[0-5]\\d(?::[0-5]\\d)?(?:\\.\\d+)?(?! ?[ap]\\.?m\\b)';
const TIME = `(?:${CLOCK}|(?:${NUMBER}) ?(?:minutes?|mins?) ?(?:and )?(?:${NUMBER}) ?(?:${SECONDS})|\\d{1,4} ?m ?\\d{1,2} ?s|(?:${NUMBER}) ?(?:${SECONDS}|minutes?|mins?)|(?:second|minute) (?:${NUMBER}))\\b`;
/** The last unit of a range holds for both its ends: between 5 and 10 seconds. */
const RANGE = `(?:(${TIME})|(${NUMBER})) ?(?:and|to|till|until|-|–) ?(${TIME})`;
const MEDIUM = '(?: (?:of|in|into) (?:the|this) (?:video|clip|film|movie|footage|recording))?';
const PIECE = '(?:scene|shot|part|frame|moments?|seconds)';

type Reader = (match: RegExpExecArray) => Span;
const ORDER: Readonly<Record<string, 'beginning' | 'middle' | 'end'>> = {
  beginning: 'beginning', start: 'beginning', opening: 'beginning', first: 'beginning', begin: 'beginning', middle: 'middle', end: 'end', ending: 'end', last: 'end', final: 'end', closing: 'end', finish: 'end',
};

/** Longer and more exact forms before those they contain. */
const FORMS: readonly (readonly [RegExp, Reader])[] = [
  [new RegExp(`\\b(?:between|from|at|during|in)? ?(?:the )?\\b${RANGE}${MEDIUM}`), ([, from, bare, to]) => range(from ?? `${bare} ${unitOf(to as string)}`, to as string)],
  [new RegExp(`\\b(?:in|during|within|over|for) the (first|opening|last|final|closing) (${TIME}|(?:minute|min|seconds|secs)\\b)${MEDIUM}`), ([, which, length]) => edge(which as string, length as string)],
  [new RegExp(`\\bafter (?:the first )?(${TIME})${MEDIUM}`), ([, time]) => ({ kind: 'seconds', from: secondsOf(time as string), to: Infinity })],
  [new RegExp(`\\b(?:before|until|up to) (${TIME})${MEDIUM}`), ([, time]) => ({ kind: 'seconds', from: 0, to: secondsOf(time as string) })],
  [new RegExp(`\\b(?:at|around|about|near)(?: about| around| exactly)? (?:the )?(${TIME})(?:[- ](?:mark|point))?${MEDIUM}`), ([, time]) => point(secondsOf(time as string))],
  [new RegExp(`\\b(${TIME})(?:[- ](?:mark|point))? (?:in|into) (?:the|this) (?:video|clip|film|movie|footage|recording)`), ([, time]) => point(secondsOf(time as string))],
  [new RegExp(`\\b(?:(?:right )?at|in|towards?|near) the (?:very )?(beginning|start|end|ending|opening)(?! of)${MEDIUM}`), named],
  [new RegExp(`\\b(?:(?:right )?at|in|towards?|near) the (?:very )?(beginning|start|end|ending|opening|middle) of (?:the|this) (?:video|clip|film|movie|footage|recording)`), named],
  [new RegExp(`\\b(?:at|in|during|on) the (?:very )?(first|opening|last|final|closing) ${PIECE}${MEDIUM}`), named],
  [/(?<=^(?:and )?what (?:happens|is happening|do (?:you|we|i) see|can (?:you|we|i) see|can be seen|is (?:seen|shown)|comes|appears)) (?:the )?(first|last)$/, named],
  [/^(?:and )?how does (?:the|this) (?:video|clip|film|movie) (begin|start|end|finish)$/, named],
];

/** What is left of a question that asks for nothing but what is seen then. */
const NOTHING_ELSE =
  /^(?:(?:and|so|then|please|can you|could you) )*(?:(?:tell me|say|describe|show(?: me)?)(?: (?:what|the video|the clip|the scene|it|everything))?|(?:what|what's|whats)(?: (?:is|was))?)?(?: ?(?:happens?|happened|happening|(?:is |was )?(?:happening|going on|there|seen|shown|visible|on screen)|(?:do|can|could) (?:you|we|i|one) see|can be seen|does (?:the|this) (?:video|clip|film|movie) show))?$/;

/** Characters: what names a time is a short question. */
const LONGEST = 300;
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
  for (const [form, read] of FORMS) {
    const match = form.exec(lower);
    if (match === null) continue;
    const around = `${text.slice(0, match.index)} ${text.slice(match.index + match[0].length)}`;
    const rest = around.replace(/\s+/g, ' ').replace(/ ?,(?= ?(?:,|$))/g, '').replace(/^[\s,]+|[\s,]+$/g, '');
    return { span: read(match), rest: NOTHING_ELSE.test(rest.toLowerCase()) ? null : capital(rest) + (/[?.!]+$/.exec(question.trim())?.[0] ?? '?') };
  }
  return null;
}

/** The frames of a video in a span; null where the span begins after the video's end. */
export function stretchOf({ latents, dim, times_s }: VideoPart, span: Span): Stretch | null {
  const frames = times_s.length;
  const time = (frame: number): number => times_s[frame] as number;
  const ends = (frame: number): number => (frame + 1 < frames ? time(frame + 1) : endOf(times_s));
  const stretch = (first: number, end: number): Stretch => ({ first, end, start_s: first === 0 ? 0 : time(first), end_s: ends(end - 1) });
  switch (span.kind) {
    case 'seconds': {
      if (span.from >= endOf(times_s)) return null;
      // A frame is shown until the next one.
      let first = 0;
      while (first + 1 < frames && time(first + 1) <= span.from) first++;
      let end = first + 1;
      while (end < frames && time(end) < span.to) end++;
      return stretch(first, end);
    }
    case 'last':
      return stretchOf({ latents, dim, times_s } as VideoPart, { kind: 'seconds', from: Math.max(0, endOf(times_s) - span.seconds), to: Infinity });
    case 'middle':
      return stretch(Math.floor(frames / 3), Math.max(Math.floor(frames / 3) + 1, Math.ceil((2 * frames) / 3)));
    case 'beginning': {
      const most = Math.max(1, Math.ceil(frames * LARGEST_SHARE));
      const next = shotStarts(latents, dim).find((frame) => frame > 0 && time(frame) >= SHORTEST_SHOT_S) ?? frames;
      return stretch(0, Math.min(next, most));
    }
    case 'end': {
      const most = Math.max(1, Math.ceil(frames * LARGEST_SHARE));
      const last = shotStarts(latents, dim).findLast((frame) => endOf(times_s) - time(frame) >= SHORTEST_SHOT_S) ?? 0;
      return stretch(Math.max(last, frames - most), frames);
    }
  }
}

/** The last frame is shown as long as the one before it. */
export function endOf(times_s: VideoPart['times_s']): number {
  const last = times_s[times_s.length - 1] as number;
  return times_s.length < 2 ? last : 2 * last - (times_s[times_s.length - 2] as number);
}

function named([, which]: RegExpExecArray): Span {
  return { kind: ORDER[which as string] as 'beginning' };
}

function range(from: string, to: string): Span {
  const [a, b] = [secondsOf(from), secondsOf(to)];
  return { kind: 'seconds', from: Math.min(a, b), to: Math.max(a, b) };
}

function point(time: number): Span {
  return { kind: 'seconds', from: Math.max(0, time - POINT_S), to: time + POINT_S };
}

/** "first ten seconds", "last minute"; the first or last seconds, of which there is no number, are the video's beginning or end. */
function edge(which: string, length: string): Span {
  const place = ORDER[which] as 'beginning' | 'end';
  if (/^sec/.test(length)) return { kind: place };
  const seconds = /^min(?:ute)?$/.test(length) ? 60 : secondsOf(length);
  return place === 'end' ? { kind: 'last', seconds } : { kind: 'seconds', from: 0, to: seconds };
}

function secondsOf(time: string): number {
  if (time.includes(':')) return time.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
  const named = /^(second|minute) (.+)$/.exec(time);
  if (named !== null) return numberOf(named[2] as string) * (named[1] === 'minute' ? 60 : 1);
  return [...time.matchAll(new RegExp(`(${NUMBER}) ?(m|s)`, 'g'))].reduce((sum, [, number, unit]) => sum + numberOf(number as string) * (unit === 'm' ? 60 : 1), 0);
}

function unitOf(time: string): string {
  return /\bm|\dm/.test(time) ? 'minutes' : 'seconds';
}

function numberOf(word: string): number {
  return NUMBERS[word] ?? Number(word);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
