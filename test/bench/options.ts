/** Options that several benches of the codec share. */
import { Option } from 'commander';
import { pixelSize, wholeNumber } from '../../client/cli/arguments.js';

export const sizeOption = (what: string): Option =>
  new Option('--size <WxH>', what).argParser(pixelSize).default({ width: 320, height: 160 }, '320x160');

/** @param least frames that the bench can do with */
export const framesOption = (what: string, least: number): Option =>
  new Option('--frames <n>', what).argParser(wholeNumber(least, 18_000));

export const threadsOption = (what: string): Option =>
  new Option('--threads <n>', what).argParser(wholeNumber(1, 64)).default(2);
