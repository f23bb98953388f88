import { Command, Option } from 'commander';
import { type Hit, type Scope, SCOPES } from '../../model/retrieval/index.js';
import { SEARCH_FRAMES_PER_SECOND } from '../../projector/library/askable.node.js';
import { searchFiles as findInFiles } from '../../projector/library/search.node.js';
import type { SearchRequest } from '../sdk/index.js';
import { wholeNumber } from './arguments.js';
import { packOption, threadsOption } from './common-options.js';
import { describeFailure, oneLine, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { connect, findVideo, keyOption, serverOption, type ServerOptions } from './remote.js';
import { expandInputs } from './sources.js';
import { Progress } from './terminal.js';

interface SearchOptions extends ServerOptions {
  readonly like?: string;
  readonly frame?: number;
  readonly scope: Scope;
  readonly limit: number;
  readonly json?: boolean;
  readonly pack?: string;
  readonly threads: number;
}

/** A hit with what it was found in: a file, or a video of a server. */
type Found = Hit & { readonly source: string };

export function searchCommand(): Command {
  return new Command('search')
    .description('Find moments in containers, videos and photos by words, or moments like a frame.')
    .argument('[text]', 'what to look for; left out with --like')
    .argument('[input...]', "files, folders or patterns such as 'clips/**/*.linr'; with --server ids or names of videos there (default: all)")
    .addOption(new Option('--like <file>', 'look for what is like a frame of this file, or with --server of this video'))
    .addOption(new Option('--frame <n>', 'which frame of it, from 0 (default: 0)').argParser(wholeNumber(0, 1e9)))
    .addOption(new Option('--scope <what>', 'single frames, moments, or the best moment of each video').choices(SCOPES).default('segments'))
    .addOption(new Option('--limit <n>', 'most results').argParser(wholeNumber(1, 1000)).default(10))
    .option('--json', 'one JSON object a line')
    .addOption(serverOption())
    .addOption(keyOption())
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      `
Scores are cosines of words and pictures, comparable within one search. Of a video that is no .linr file yet, ${SEARCH_FRAMES_PER_SECOND} frames a second go through the
vision tower first; encode it once to search it quickly and often. A file that cannot be read is told and passed over.`,
    )
    .action(search);
}

async function search(text: string | undefined, inputs: readonly string[], options: SearchOptions): Promise<void> {
  const { like, frame } = options;
  if (like === undefined && frame !== undefined) throw new UserError('--frame needs --like, which names the file the frame is of.');
  // With --like there are no words: the first argument is an input like the others.
  const among = like === undefined || text === undefined ? inputs : [text, ...inputs];
  const words = like === undefined ? (text ?? '') : null;
  if (words !== null && !/[\p{L}\p{N}]/u.test(words)) throw new UserError('There is nothing to look for. Put words in quotes after "search", or name a file with --like.');
  const found = options.server === undefined ? await searchFiles(words, among, options) : await searchServer(words, among, options);
  for (const hit of found) process.stdout.write(`${options.json === true ? JSON.stringify(hit) : line(hit)}\n`);
  if (found.length === 0) process.stderr.write('Nothing was found.\n');
}

async function searchFiles(words: string | null, inputs: readonly string[], options: SearchOptions): Promise<readonly Found[]> {
  if (inputs.length === 0) throw new UserError('Name the files or folders to search, or a server with --server.');
  const files = await expandInputs(inputs);
  const interrupt = interruptible('The search was given up.');
  const progress = new Progress();
  const models = await openModels(options);
  let failed = 0;
  try {
    const query = words ?? { like: options.like ?? '', frame: options.frame ?? 0 };
    const hits = await findInFiles(files, query, models, {
      scope: options.scope,
      limit: options.limit,
      signal: interrupt.signal,
      onUnusable: (file, error) => {
        failed++;
        progress.note(`${oneLine(file)}: ${describeFailure(error)}`);
      },
      onProgress: (done, total) => {
        if (total > 1) progress.update({ label: 'searching', done, total, unit: 'files' });
      },
    });
    if (failed === files.length) throw new UserError('None of the files could be searched.');
    return hits.map(({ video, ...hit }) => ({ ...hit, source: video }));
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}

async function searchServer(words: string | null, inputs: readonly string[], options: SearchOptions): Promise<readonly Found[]> {
  const { like, frame = 0, scope, limit } = options;
  const client = await connect(options);
  const videos: string[] = [];
  for (const input of inputs) videos.push((await findVideo(client, input)).id);
  const query: SearchRequest = like === undefined ? { text: words ?? '' } : { like: { video: (await findVideo(client, like)).id, frame } };
  const hits = await client.search({ ...query, scope, limit, ...(videos.length === 0 ? {} : { videos }) });
  return hits.map(({ name, ...hit }) => ({ ...hit, source: name }));
}

/** `   3.2 -    5.9 s   0.412  clip.linr` */
function line({ start_s, end_s, score, source }: Found): string {
  return `${start_s.toFixed(1).padStart(7)} - ${end_s.toFixed(1).padStart(7)} s  ${score.toFixed(3).padStart(6)}  ${oneLine(source)}`;
}
