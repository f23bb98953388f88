import { Option } from 'commander';
import { DEVICE_CHOICES, type DeviceChoice } from '../../model/runtime/device-choice.js';
import { DEFAULT_THREADS } from '../../model/runtime/node.node.js';
import { wholeNumber } from './arguments.js';

/** Options that several verbs share, each described once. */
export const packOption = (): Option => new Option('--pack <folder>', 'model pack to use (default: the one that comes with latentchat)');
export const threadsOption = (): Option =>
  new Option('--threads <n>', 'processor threads of the networks').argParser(wholeNumber(1, 64)).default(DEFAULT_THREADS);
export const deviceOption = (): Option =>
  new Option('--device <name>', 'what runs the networks that see and draw: the processor, WebGPU, or, once timed on this machine, the faster of them')
    .choices(DEVICE_CHOICES)
    .default('auto' satisfies DeviceChoice);
export const beamsOption = (beams: number): Option =>
  new Option('--beams <n>', 'answers searched side by side; 1 takes the likeliest word each time').argParser(wholeNumber(1, 8)).default(beams);
export const maxTokensOption = (tokens: number): Option =>
  new Option('--max-tokens <n>', 'longest answer, in tokens').argParser(wholeNumber(1, 2048)).default(tokens);
