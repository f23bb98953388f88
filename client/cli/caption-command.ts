import { Command } from 'commander';
import { runBatch, type BatchItem } from './batch.js';
import { beamsOption, CAPTION_BEAMS, maxTokensOption, packOption, threadsOption } from './common-options.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { ResumedLines } from './json-lines.js';
import { Models } from './models.js';
import { checkOutput, expandInputs } from './sources.js';
import { duration, Progress } from './terminal.js';

interface CaptionOptions {
  readonly out: string;
  readonly prompt?: string;
  readonly pack?: string;
  readonly threads: number;
  readonly beams: number;
  readonly maxTokens: number;
}

export function captionCommand(): Command {
  return new Command('caption')
    .description('Write one caption for each video, photo or container, one JSON object a line.')
    .argument('<input...>', 'containers, videos, photos, or folders of them')
    .requiredOption('--out <file>', 'the .jsonl file to write; what it already has is not done again')
    .option('--prompt <text>', "what to ask of each (default: the model pack's own question for a caption)")
    .addOption(beamsOption(CAPTION_BEAMS))
    .addOption(maxTokensOption(64))
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText('after', '\nA file that cannot be read becomes a line with "error"; the rest goes on. Ctrl+C stops; the same command goes on from there.')
    .action(caption);
}

async function caption(inputs: readonly string[], options: CaptionOptions): Promise<void> {
  await checkOutput(options.out);
  const files = await expandInputs(inputs);
  const output = await ResumedLines.open(options.out);
  const interrupt = interruptible(`The captions so far are in ${options.out}; the same command goes on from there.`);
  const progress = new Progress();
  const models = await Models.open(options);
  try {
    const { manifest } = models.pack;
    const question = options.prompt ?? manifest.prompt.default_question;
    const items: BatchItem[] = files.map((file) => ({ id: file, file, source: file, question }));
    const report = await runBatch(items, output, models, {
      ...options,
      unit: 'captions',
      signal: interrupt.signal,
      progress,
      line: ({ id, source }, { text, duration_s, tokens, seconds }) => ({
        id,
        source,
        start_s: 0,
        end_s: duration_s,
        caption: text,
        pack: manifest.id,
        tokens,
        seconds: Math.round(seconds * 1000) / 1000,
      }),
    });
    const { answered, skipped, failed } = report;
    const parts = [`${answered} written`, ...(skipped > 0 ? [`${skipped} were there already`] : []), ...(failed > 0 ? [`${failed} failed`] : [])];
    process.stdout.write(`${options.out}: ${parts.join(', ')}, ${duration(report.seconds)}\n`);
    if (failed > 0 && answered === 0 && skipped === 0) throw new UserError(`No input could be captioned; ${options.out} says why for each.`);
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}
