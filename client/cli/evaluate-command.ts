import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { wholeNumber } from './arguments.js';
import { runBatch, type BatchItem, type BatchReport } from './batch.js';
import { beamsOption, CAPTION_BEAMS, maxTokensOption, packOption, threadsOption } from './common-options.js';
import { scoreAnswers } from '../metrics/answers.js';
import { scoreCaptions } from '../metrics/captions.js';
import { predictionOf, readCaptionData, readPredictions, readQuestionData } from './evaluate/data.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { ResumedLines } from './json-lines.js';
import { Models } from './models.js';
import { checkOutput } from './sources.js';
import { duration, Progress } from './terminal.js';

interface EvaluateOptions {
  readonly predictions?: string;
  readonly out?: string;
  readonly report?: string;
  readonly limit?: number;
  readonly prompt?: string;
  readonly pack?: string;
  readonly threads: number;
  readonly beams: number;
  readonly maxTokens: number;
}

export function evaluateCommand(): Command {
  const captions = task('captions', 64, CAPTION_BEAMS)
    .description('Score captions of videos, photos or containers against references: BLEU, ROUGE-L, CIDEr-D.')
    .argument('<data>', '.jsonl lines {"id","source","references":[...]}, or a .tsv of image and caption with the photos in images/ beside it')
    .option('--prompt <text>', "what to ask of each (default: the model pack's own question for a caption)")
    .addHelpText('after', "\nEvery score equals pycocoevalcap's; CIDEr-D is on its scale, where 0.40 is what papers print as 40.")
    .action(evaluateCaptions);
  const questions = task('qa', 32, 1)
    .description('Score answers to questions about videos, photos or containers: exact match and VQA accuracy after normalisation.')
    .argument('<data>', '.jsonl lines {"id","source","question","answers":[...],"type"?}')
    .action(evaluateQuestions);
  return new Command('evaluate').description('Score captions or answers against what people wrote.').addCommand(captions).addCommand(questions);
}

function task(name: string, maxTokens: number, beams: number): Command {
  return new Command(name)
    .addOption(new Option('--predictions <file>', 'score these .jsonl lines instead of asking the model').conflicts('out'))
    .option('--out <file>', 'keep what the model says, one JSON object a line; what it already has is not done again')
    .option('--report <file>', 'write every figure as JSON')
    .addOption(new Option('--limit <n>', 'only the first n').argParser(wholeNumber(1, 1e9)))
    .addOption(beamsOption(beams))
    .addOption(maxTokensOption(maxTokens))
    .addOption(packOption())
    .addOption(threadsOption());
}

async function evaluateCaptions(dataFile: string, options: EvaluateOptions): Promise<void> {
  await checkOutputs(options);
  const data = (await readCaptionData(dataFile)).slice(0, options.limit);
  const { texts, run } = await predictions(
    data.map(({ id, file, source }) => ({ id, file, source, question: options.prompt ?? '' })),
    'caption',
    options,
  );
  const scores = scoreCaptions(data.map(({ id, references }) => ({ caption: texts.get(id) ?? '', references })));
  const { count, bleu1, bleu2, bleu3, bleu4, rouge_l, cider_d } = scores;
  printScores(`${count} captions of ${dataFile}${suffix(run)}`, [
    ['BLEU-1', bleu1],
    ['BLEU-2', bleu2],
    ['BLEU-3', bleu3],
    ['BLEU-4', bleu4],
    ['ROUGE-L', rouge_l],
    ['CIDEr-D', cider_d],
  ]);
  await writeReport(options, dataFile, run, { task: 'captions', count, bleu1, bleu2, bleu3, bleu4, rouge_l, cider_d });
}

async function evaluateQuestions(dataFile: string, options: EvaluateOptions): Promise<void> {
  await checkOutputs(options);
  const data = (await readQuestionData(dataFile)).slice(0, options.limit);
  const { texts, run } = await predictions(data, 'answer', options);
  const scores = scoreAnswers(data.map(({ id, answers, type }) => ({ answer: texts.get(id) ?? '', answers, type })));
  const { count, exact_match, vqa_accuracy, types } = scores;
  printScores(`${count} answers of ${dataFile}${suffix(run)}`, [
    ['exact match', exact_match],
    ['VQA accuracy', vqa_accuracy],
    ...Object.entries(types).map(([type, part]): [string, number] => [`exact match, ${type} (${part.count})`, part.exact_match]),
  ]);
  await writeReport(options, dataFile, run, { task: 'qa', count, exact_match, vqa_accuracy, types });
}

async function checkOutputs({ out, report }: EvaluateOptions): Promise<void> {
  for (const file of [out, report]) if (file !== undefined) await checkOutput(file);
}

interface Predicted {
  readonly texts: ReadonlyMap<string, string>;
  /** null when the texts came from a file. */
  readonly run: (BatchReport & { readonly pack: string }) | null;
}

/** What the model says to each item, or what a file says it said. A question of '' is the pack's own for a caption. */
async function predictions(items: readonly BatchItem[], field: 'caption' | 'answer', options: EvaluateOptions): Promise<Predicted> {
  if (options.predictions !== undefined) {
    const texts = await readPredictions(options.predictions, field);
    const missing = items.filter(({ id }) => !texts.has(id));
    if (missing.length > 0) {
      throw new UserError(`${options.predictions} has no line for ${missing.length} of ${items.length} ids, the first being ${JSON.stringify(missing[0]?.id)}.`);
    }
    return { texts, run: null };
  }
  const output = options.out === undefined ? null : await ResumedLines.open(options.out);
  const kept = options.out === undefined ? 'Nothing was kept; with --out the next run goes on from here.' : `What was said so far is in ${options.out}; the same command goes on from there.`;
  const interrupt = interruptible(kept);
  const progress = new Progress();
  const models = await Models.open(options);
  try {
    const { manifest } = models.pack;
    const asked = items.map((item) => (item.question === '' ? { ...item, question: manifest.prompt.default_question } : item));
    const run = await runBatch(asked, output, models, {
      ...options,
      unit: `${field}s`,
      signal: interrupt.signal,
      progress,
      line: ({ id, source }, { text, tokens, seconds }) => ({ id, source, [field]: text, pack: manifest.id, tokens, seconds: Math.round(seconds * 1000) / 1000 }),
    });
    const texts = new Map([...run.lines].map(([id, line]) => [id, predictionOf(line, field, options.out ?? 'the answers')]));
    return { texts, run: { ...run, pack: manifest.id } };
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}

function suffix(run: Predicted['run']): string {
  if (run === null) return '';
  const failed = [...run.lines.values()].filter((line) => line['error'] !== undefined).length;
  return `, pack ${run.pack}, ${duration(run.seconds)}${failed === 0 ? '' : `; ${failed} could not be read and count as nothing said`}`;
}

function printScores(title: string, rows: readonly (readonly [string, number])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value.toFixed(4)}`);
  process.stdout.write(`${[title, ...lines].join('\n')}\n`);
}

async function writeReport(options: EvaluateOptions, data: string, run: Predicted['run'], figures: Readonly<Record<string, unknown>>): Promise<void> {
  if (options.report === undefined) return;
  const { predictions: predictionsFile, beams, maxTokens } = options;
  const origin = run === null ? { predictions: predictionsFile } : { pack: run.pack, beams, max_tokens: maxTokens, answered: run.answered, seconds: run.seconds };
  await writeFile(options.report, `${JSON.stringify({ ...figures, data, ...origin }, null, 2)}\n`);
}
