import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { checkOutput } from '../../model/video/output.node.js';
import { isContainer } from '../../model/video/path-source.node.js';
import { CAPTION_BEAMS } from '../../projector/captions.js';
import type { Models } from '../../projector/library/models.js';
import { LatentChat } from '../sdk/index.js';
import { choiceOption, formatFrom, type FormatOptions, schemaOption } from './answer-format.js';
import { wholeNumber } from './arguments.js';
import { checkSameRun, runBatch, runMark, Slots } from './batch.js';
import { type CaptionRun, type CaptionSettings, captionSource, type CaptionTask, WrittenParts } from './caption/caption-source.js';
import { CAPTION_FORMATS, type CaptionFormat, csv, srt, vtt } from './caption/formats.js';
import { parsePer, type Per } from './caption/segments.js';
import { beamsOption, maxTokensOption, packOption, threadsOption } from './common-options.js';
import { SERVER_VIDEO } from './evaluate/data.js';
import { oneLine, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { type JsonLine, ResumedLines } from './json-lines.js';
import { openModels } from './models.js';
import { expandInputs } from './sources.js';
import { print } from './surroundings.js';
import { duration, Progress } from './terminal.js';

interface CaptionOptions extends FormatOptions {
  readonly out: string;
  readonly format: CaptionFormat;
  readonly per: Per;
  readonly prompt?: string;
  readonly server?: string;
  readonly jobs: number;
  readonly temperature: number;
  readonly seed: number;
  readonly pack?: string;
  readonly threads: number;
  readonly beams: number;
  readonly maxTokens: number;
}

/** Each job's beams hold some 40 MB of keys and values; beyond these the cores have nothing more to give. */
const MOST_JOBS = 16;
/** Stands for every video of a server. */
const WHOLE_LIBRARY = 'video://*';

export function captionCommand(): Command {
  return new Command('caption')
    .description('Write captions of videos, photos and containers: one a video, a shot, or for every so many seconds.')
    .argument('<input...>', `files, folders, patterns such as 'clips/**/*.mp4', and with --server video://<id> or ${WHOLE_LIBRARY}`)
    .requiredOption('--out <file>', 'the file to write; what it already has is not done again')
    .addOption(new Option('--per <stretch>', 'what gets a caption: video, shot, or "every 5s"').argParser(parsePer).default('video'))
    .addOption(new Option('--format <name>', 'how captions are written').choices(CAPTION_FORMATS).default('jsonl'))
    .option('--prompt <text>', "what to ask of each (default: the model pack's own question for a caption)")
    .option('--server <url>', 'server whose videos are named as video://<id>; their containers are fetched and captioned here')
    .addOption(new Option('--jobs <n>', 'captions written side by side, a word of each in one run of the model').argParser(wholeNumber(1, MOST_JOBS)).default(1))
    .addOption(new Option('--temperature <t>', '0 writes the best caption found, higher is more varied and searches no beams').argParser(temperature).default(0))
    .addOption(new Option('--seed <n>', 'same seed, same captions; only relevant above temperature 0').argParser(wholeNumber(0, 2 ** 32 - 1)).default(1))
    .addOption(choiceOption())
    .addOption(schemaOption())
    .addOption(beamsOption(CAPTION_BEAMS))
    .addOption(maxTokensOption(64))
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      `
A file that cannot be read becomes a line with "error"; the rest goes on. Stopped or killed at any moment, the same command goes on from there.
srt, vtt and csv are made at the end from the lines kept in <out>.jsonl. Subtitles of several inputs are files in a folder <out>.`,
    )
    .action(caption);
}

function temperature(value: string): number {
  const number = Number(value);
  if (!/^\d*\.?\d+$/.test(value) || number > 2) throw new InvalidArgumentError('It must be a number from 0 to 2.');
  return number;
}

async function caption(inputs: readonly string[], options: CaptionOptions): Promise<void> {
  const { out, format, prompt = null, per, beams, maxTokens, temperature, seed, server = null } = options;
  const journal = format === 'jsonl' ? out : `${out}.jsonl`;
  await checkOutput(journal);
  const answerFormat = await formatFrom(options);
  const sources = await expandSources(inputs, server);
  const several = (format === 'srt' || format === 'vtt') && sources.length > 1;
  if (!several) await checkOutput(out);
  const interrupt = interruptible(`The captions so far are in ${journal}; the same command goes on from there.`);
  const progress = new Progress();
  const models = await openModels({ ...options, independent: true });
  try {
    const settings: CaptionSettings = { prompt, per, beams, maxTokens, temperature, seed, ...(answerFormat === undefined ? {} : { format: answerFormat }) };
    const pack = models.pack.manifest.id;
    const run = runMark({ pack, ...settings });
    const output = await ResumedLines.open(journal);
    checkSameRun(output, pack, run);
    const written = new WrittenParts(output.earlier);
    const tasks = sources.filter((source) => !written.isDone(source)).map((source): CaptionTask => ({ source, server, written: written.of(source) }));
    const jobs = Math.min(options.jobs, tasks.length);
    await loadFor(tasks, models);
    const job: CaptionRun = { models, settings, mark: run, slots: new Slots(options.jobs) };
    const work = (task: CaptionTask, signal: AbortSignal): AsyncIterable<JsonLine> => captionSource(job, task, signal);

    const lines = [...output.earlier];
    const seconds = await runBatch(tasks, new Array<typeof work>(jobs).fill(work), {
      unit: 'files',
      before: sources.length - tasks.length,
      progress,
      signal: interrupt.signal,
      append: async (line) => {
        const failure = line['error'] as { message: string } | undefined;
        if (failure !== undefined) progress.note(oneLine(`${String(line['source'])}: ${failure.message}`));
        await output.append(line);
        lines.push(line);
      },
    });
    await writeAs(format, out, several, sources, lines);
    tell(out, lines.slice(output.earlier.length), output.earlier.length, seconds);
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}

/** What fails here is no file's fault. Containers need no vision tower. */
async function loadFor(tasks: readonly CaptionTask[], models: Models): Promise<void> {
  if (tasks.length === 0) return;
  await models.chat();
  for (const { source } of tasks) {
    if (!SERVER_VIDEO.test(source) && !(await isContainer(source).catch(() => false))) return void (await models.tower());
  }
}

async function expandSources(inputs: readonly string[], server: string | null): Promise<string[]> {
  const sources: string[] = [];
  for (const input of inputs) {
    if (!input.startsWith('video://')) sources.push(...(await expandInputs([input])));
    else if (server === null) throw new UserError(`${input} is a video of a server: add --server with its address.`);
    else if (input !== WHOLE_LIBRARY) sources.push(input);
    else sources.push(...(await new LatentChat({ baseUrl: server }).videos.list()).filter(({ askable }) => askable).map(({ id }) => `video://${id}`));
  }
  return [...new Set(sources)];
}

/** Everything but JSON lines, made whole from them. */
async function writeAs(format: CaptionFormat, out: string, several: boolean, sources: readonly string[], lines: readonly JsonLine[]): Promise<void> {
  if (format === 'jsonl') return;
  const wanted = new Set(sources);
  const own = lines.filter(({ source }) => typeof source === 'string' && wanted.has(source));
  const write = format === 'csv' ? csv : format === 'srt' ? srt : vtt;
  if (format === 'csv' || !several) {
    await writeAtomically(out, write(own));
    return;
  }
  await mkdir(out, { recursive: true });
  const taken = new Set<string>();
  for (const source of sources) {
    const name = path.basename(source);
    const copies = [name, ...sources.map((_, i) => `${name}.${i + 2}`)];
    const free = copies.find((copy) => !taken.has(copy)) ?? name;
    taken.add(free);
    await writeAtomically(path.join(out, `${free}.${format}`), write(own.filter((line) => line['source'] === source)));
  }
}

function tell(out: string, added: readonly JsonLine[], earlier: number, seconds: number): void {
  const failed = added.filter((line) => line['error'] !== undefined).length;
  const written = added.length - failed;
  const parts = [`${written} written`, ...(earlier > 0 ? [`${earlier} were there already`] : []), ...(failed > 0 ? [`${failed} failed`] : [])];
  print(`${out}: ${parts.join(', ')}, ${duration(seconds)}\n`);
  if (failed > 0 && written === 0 && earlier === 0) throw new UserError(`No input could be captioned; ${out} says why for each.`);
}
