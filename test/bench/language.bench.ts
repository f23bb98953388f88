/**
 * The default pack's language model: tokens a second at three context lengths, adapter on and off, merged 8-bit weights
 * and 4-bit weights with the adapter beside them; several sequences in turns and in one run; and the time to the first token of a first
 * and a second question. Beside it llama.cpp with the same language model, where it is installed (llama.ts).
 * `npm run bench language`; LATENTCHAT_BENCH_SPIN=1 lets idle threads wait busily (for machines with nothing else to do).
 */
import { decodingSpeed, type DecodingSpeed, madeUpPrompt } from '../../client/cli/evaluate/pack/speed.js';
import { argmax, DecoderBatch, type KvCache, LanguageModel, prefill, type WeightKind } from '../../model/language/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';
import { type ChatMessage, ChatModel, type VideoPart } from '../../projector/index.js';
import { Llama, LLAMA_LEFT_OUT, written } from './llama.js';
import { machine, median, printTable, timed } from './table.js';

const THREADS = 2;
const CONTEXTS = [50, 200, 1000];
/** Tokens written by each of several sequences. */
const DECODED = 64;
const QUESTIONS = 5;
/** Turns of this project and llama.cpp. */
const ROUNDS = 5;

const runtime = nodeRuntime({ threads: THREADS, spin: process.env['LATENTCHAT_BENCH_SPIN'] === '1' });

async function speeds(pack: ModelPack, kind: WeightKind, adapter: boolean): Promise<string[][]> {
  const started = performance.now();
  const model = await LanguageModel.load(pack, runtime, { kind, adapter });
  const loaded = performance.now() - started;
  const rows: string[][] = [];
  for (const context of CONTEXTS) {
    const { prefill_s, token_s } = await decodingSpeed(model.decoder, context);
    rows.push([
      `${kind}, adapter ${adapter ? 'on' : 'off'}`, String(context), (1 / token_s).toFixed(0), (1000 * token_s).toFixed(2), (context / prefill_s).toFixed(0), (loaded / 1000).toFixed(1),
    ]);
  }
  await model.release();
  return rows;
}

/** The same as decodingSpeed of llama.cpp, which has no adapter to apply. */
function llamaSpeed(llama: Llama, context: number): Promise<DecodingSpeed> {
  const prompt = madeUpPrompt(context);
  return llama.withSequences(1, context + 2 * DECODED, async ([sequence]) => {
    if (sequence === undefined) throw new Error('llama.cpp gave no sequence');
    await written(sequence, prompt, 4);
    const times = await written(sequence, prompt, DECODED);
    return { prefill_s: (times[0] as number) / 1000, token_s: median(times.slice(1).map((time, i) => time - (times[i] as number))) / 1000 };
  });
}

/** The weights as the product runs them, adapter on, and llama.cpp by turns: a shared machine gets faster and slower while a bench runs. */
async function againstLlama(pack: ModelPack, llama: Llama): Promise<void> {
  const model = await LanguageModel.load(pack, runtime);
  const rows: string[][] = [[`context, ${ROUNDS} rounds`, 'tokens/s', 'llama.cpp', 'times as many', 'prefill tokens/s', 'llama.cpp']];
  for (const context of CONTEXTS) {
    const ours: DecodingSpeed[] = [];
    const theirs: DecodingSpeed[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await decodingSpeed(model.decoder, context));
      theirs.push(await llamaSpeed(llama, context));
    }
    const a_second = (speeds: readonly DecodingSpeed[]): string => (1 / median(speeds.map(({ token_s }) => token_s))).toFixed(0);
    const prefill_a_second = (speeds: readonly DecodingSpeed[]): string => (context / median(speeds.map(({ prefill_s }) => prefill_s))).toFixed(0);
    const gains = ours.map(({ token_s }, round) => (theirs[round]?.token_s ?? NaN) / token_s);
    const gain = `${median(gains).toFixed(2)} (${Math.min(...gains).toFixed(2)} to ${Math.max(...gains).toFixed(2)})`;
    rows.push([String(context), a_second(ours), a_second(theirs), gain, prefill_a_second(ours), prefill_a_second(theirs)]);
  }
  printTable(rows);
  await model.release();
}

/** Tokens a second of all sequences together: one after the other, and in one run. */
async function batching(pack: ModelPack): Promise<void> {
  const model = await LanguageModel.load(pack, runtime);
  const { decoder } = model;
  const rows: string[][] = [['sequences of about 200 tokens', 'in turns, tokens/s', 'in one run, tokens/s', 'gain']];
  for (const count of [1, 2, 4, 8]) {
    const sequences: { cache: KvCache; logits: Float32Array }[] = [];
    for (let i = 0; i < count; i++) {
      const prompt = madeUpPrompt(200 - 7 * i, i);
      const cache = decoder.newCache(prompt.length + 2 * DECODED);
      sequences.push({ cache, logits: (await prefill(decoder, decoder.embed(prompt), cache)) as Float32Array });
    }
    const batch = new DecoderBatch(decoder);
    const joined = sequences.map(({ cache, logits }) => ({ sequence: batch.join(cache), logits }));
    const together = median(await timed(DECODED, 4, () => Promise.all(joined.map(({ sequence, logits }) => sequence.step(argmax(logits), logits)))));
    const turns = median(await timed(DECODED, 4, async () => {
      for (const { cache, logits } of sequences) await decoder.forward(decoder.embed([argmax(logits)]), cache, 1, logits);
    }));
    batch.release();
    rows.push([String(count), ((1000 * count) / turns).toFixed(0), ((1000 * count) / together).toFixed(0), `${(turns / together).toFixed(2)} x`]);
  }
  printTable(rows);
  await model.release();
}

function randomVideo(id: string, dim: number): VideoPart {
  const random = seededRandom(id);
  const frames = 100;
  return { type: 'video', id, version: '1', dim, latents: Float32Array.from({ length: frames * dim }, () => random() - 0.5), times_s: Array.from({ length: frames }, (_, i) => i / 10) };
}

/** Seconds to the first token of a first and of a second question about each of several videos of 8 shown frames. */
async function firstTokens(pack: ModelPack): Promise<void> {
  const model = await ChatModel.load(pack, runtime);
  const ask = async (messages: readonly ChatMessage[]): Promise<{ text: string; first: number; prompt: number; cached: number }> => {
    const reply = model.reply(messages, { maxTokens: 24 });
    for (;;) {
      const next = await reply.next();
      if (next.done === true) {
        const { text, seconds, usage } = next.value;
        return { text, first: 1000 * seconds.first_token, prompt: usage.prompt_tokens, cached: usage.cached_tokens };
      }
    }
  };
  const first: Awaited<ReturnType<typeof ask>>[] = [];
  const second: typeof first = [];
  for (let i = 0; i < QUESTIONS; i++) {
    const opening: ChatMessage = { role: 'user', content: [randomVideo(`video ${i}`, pack.manifest.latent.dim), { type: 'text', text: 'What is happening in this video?' }] };
    const answer = await ask([opening]);
    first.push(answer);
    second.push(await ask([opening, { role: 'assistant', content: [{ type: 'text', text: answer.text }] }, { role: 'user', content: [{ type: 'text', text: 'And who is in it?' }] }]));
  }
  const row = (name: string, answers: typeof first): string[] => [
    name, median(answers.map((answer) => answer.first)).toFixed(0), median(answers.map((answer) => answer.prompt)).toFixed(0), median(answers.map((answer) => answer.cached)).toFixed(0),
  ];
  printTable([['question about a video of 8 frames', 'first token, ms', 'prompt tokens', 'of them cached'], row('first', first), row('second', second)]);
  await model.release();
}

const pack = await openPack();
console.log(`${machine()}, ${THREADS} threads`);
const rows: string[][] = [['weights', 'context', 'tokens/s', 'ms a token', 'prefill tokens/s', 'load, s']];
for (const [kind, adapter] of [['q8', true], ['q8', false], ['q4', true], ['q4', false]] as const) rows.push(...(await speeds(pack, kind, adapter)));
printTable(rows);
console.log('');
const llama = await Llama.open(THREADS);
if (llama === null) console.log(LLAMA_LEFT_OUT);
else {
  await againstLlama(pack, llama);
  await llama.release();
}
console.log('');
await batching(pack);
console.log('');
await firstTokens(pack);
