/** Parsers of option values. What they refuse is wrong usage: exit code 2. */
import { InvalidArgumentError } from 'commander';

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return number;
  };
}

/** A number above 0, at most `most`. */
export function positiveNumber(most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d*\.?\d+$/.test(value) || !(number > 0) || number > most) throw new InvalidArgumentError(`It must be a number above 0, at most ${most}.`);
    return number;
  };
}

/** A number of seconds above 0. */
export function positiveSeconds(value: string): number {
  const seconds = Number(value);
  if (!/^\d*\.?\d+$/.test(value) || !(seconds > 0)) throw new InvalidArgumentError('It must be a number of seconds above 0.');
  return seconds;
}

/** `12.5`, `0:10` or `1:02:05.5`, in seconds. */
export function clockTime(value: string): number {
  if (!/^(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?$/.test(value)) throw new InvalidArgumentError('It must be a time such as 0:10, 1:02:05.5 or 12.5 seconds.');
  return value.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
}

/** A list with commas between, each entry read by `entry`. */
export function listOf<T>(entry: (value: string) => T): (value: string) => T[] {
  return (value) => value.split(',').map((part) => entry(part.trim()));
}

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** `320x160`, in pixels. */
export function pixelSize(value: string): PixelSize {
  const match = /^(\d{1,5})x(\d{1,5})$/i.exec(value);
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || width < 1 || height < 1) throw new InvalidArgumentError('It must be a width and a height in pixels, such as 320x160.');
  return { width, height };
}

/** First and last index of a run of frames, both counted in. */
export type FrameRange = readonly [first: number, last: number];

/** `7`, `0-9` or several of them with commas between. */
export function frameRanges(value: string): FrameRange[] {
  return value.split(',').map((part) => {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (match === null || last < first) throw new InvalidArgumentError('It must be frames such as 7 or 0-9 or 0-9,20,30-39, the first frame being 0.');
    return [first, last];
  });
}
