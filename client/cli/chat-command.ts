import readline from 'node:readline';
import { Command } from 'commander';
import { momentFinder } from '../../projector/ask.js';
import { asksAboutTime, type ChatMessage, type ReplyOptions, replyWithMoments } from '../../projector/index.js';
import { framesToSearch, openAskable } from '../../projector/library/askable.node.js';
import type { Models } from '../../projector/library/models.js';
import { choiceOption, formatFrom, type FormatOptions, grammarOf, schemaOption } from './answer-format.js';
import { maxTokensOption, packOption, threadsOption } from './common-options.js';
import { describeFailure, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { type Asker, keyOption, RemoteConversation, serverOption, type ServerOptions } from './remote.js';

interface ChatOptions extends ServerOptions, FormatOptions {
  readonly pack?: string;
  readonly threads: number;
  readonly maxTokens: number;
}

export function chatCommand(): Command {
  return new Command('chat')
    .description('Ask about a .linr file, a video or a photo. Without a question: ask several, one a line.')
    .argument('<file>', 'container, video or photo; with --server also the id or name of a video there')
    .argument('[question]', 'what to ask')
    .addOption(serverOption())
    .addOption(keyOption())
    .addOption(packOption())
    .addOption(threadsOption())
    .addOption(maxTokensOption(256))
    .addOption(choiceOption().conflicts('server'))
    .addOption(schemaOption().conflicts(['server', 'choice']))
    .action(chat);
}

async function chat(file: string, question: string | undefined, options: ChatOptions): Promise<void> {
  if (question !== undefined && question.trim() === '') throw new UserError('The question is empty. Put it in quotes after the file.');
  const opening = interruptible('Nothing was asked.');
  let conversation: Asker;
  try {
    conversation = options.server === undefined ? await Conversation.open(file, question, options, opening.signal) : await RemoteConversation.open(file, options, opening.signal);
  } finally {
    opening.dispose();
  }
  try {
    if (question === undefined) await converse(conversation);
    else await conversation.ask(question);
  } finally {
    await conversation.release();
  }
}

/** Questions and answers about one video on this machine; each answer knows the ones before. */
class Conversation implements Asker {
  #messages: ChatMessage[] = [];

  private constructor(
    private readonly models: Models,
    private readonly video: Awaited<ReturnType<typeof openAskable>>['video'],
    private readonly options: Pick<ReplyOptions, 'maxTokens' | 'grammar'>,
  ) {}

  static async open(file: string, question: string | undefined, options: ChatOptions, signal: AbortSignal): Promise<Conversation> {
    const format = await formatFrom(options);
    const models = await openModels(options);
    // An answer needs a few frames, a moment many.
    const frames = question === undefined || asksAboutTime(question) ? { frames: framesToSearch } : {};
    const { video } = await openAskable(file, models, { signal, ...frames });
    return new Conversation(models, video, { maxTokens: options.maxTokens, ...(format === undefined ? {} : { grammar: await grammarOf(format) }) });
  }

  /** Streams the answer to standard output. Ctrl+C cuts it short and throws. */
  async ask(question: string): Promise<void> {
    const interrupt = interruptible('The answer was cut short.');
    const text = { type: 'text', text: question } as const;
    const asked: ChatMessage = { role: 'user', content: this.#messages.length === 0 ? [this.video, text] : [text] };
    let answer = '';
    try {
      const chat = await this.models.chat();
      const options = { ...this.options, signal: interrupt.signal };
      for await (const piece of replyWithMoments(chat, momentFinder(this.models), [...this.#messages, asked], options)) {
        answer += piece.text;
        process.stdout.write(piece.text);
      }
      interrupt.signal.throwIfAborted();
    } finally {
      if (answer !== '') process.stdout.write('\n');
      interrupt.dispose();
    }
    this.#messages.push(asked, { role: 'assistant', content: [{ type: 'text', text: answer }] });
  }

  release(): Promise<void> {
    return this.models.release();
  }
}

/** Questions from standard input until it ends. On a terminal a failed question is told and the next one may follow. */
async function converse(conversation: Asker): Promise<void> {
  const { stdin } = process;
  const terminal = stdin.isTTY === true;
  if (terminal) process.stderr.write('Ask about the video; an empty line or Ctrl+D ends.\n');
  const lines = readline.createInterface({ input: stdin, ...(terminal ? { output: process.stderr, prompt: '> ' } : {}) });
  if (terminal) {
    lines.on('SIGINT', () => lines.close());
    lines.prompt();
  }
  let asked = 0;
  for await (const line of lines) {
    if (line.trim() === '') {
      if (terminal) break;
      continue;
    }
    asked++;
    try {
      // While an answer streams, Ctrl+C is the answer's, not the prompt's.
      if (terminal) stdin.setRawMode(false);
      await conversation.ask(line);
    } catch (error) {
      if (!terminal) throw error;
      process.stderr.write(`${describeFailure(error)}\n`);
    }
    if (terminal) {
      stdin.setRawMode(true);
      lines.prompt();
    }
  }
  if (terminal) lines.close();
  if (asked === 0 && !terminal) throw new UserError('No question was asked. Put one in quotes after the file, or write some to standard input, one a line.');
}
