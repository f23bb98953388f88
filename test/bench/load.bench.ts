/**
 * A server under load: chats one after the other on an idle server and beside an encode, then many sockets at once.
 * `npm run bench load`; LATENTCHAT_LOAD_SOCKETS sets how many (default 50).
 */
import os from 'node:os';
import { DemoServer } from '../helpers/demo-server.js';
import { TestSocket } from '../helpers/realtime.js';
import { upload } from '../helpers/tus.js';
import { grey, makeVideo } from '../helpers/videos.js';
import { machine, printTable } from './table.js';

const SOCKETS = Number(process.env['LATENTCHAT_LOAD_SOCKETS'] ?? 50);
/** Questions asked one after the other, idle and beside an encode. */
const QUESTIONS = 150;
const ANSWER_TOKENS = 24;
const LIMIT_S = 600;
/** Seconds of training beside which chats are measured: longer than the questions take. */
const ENCODE_S = 300;

interface Asked {
  readonly firstToken_s: number;
  readonly total_s: number;
  readonly tokens: number;
  readonly status: string;
  /** Places in line as they were told. */
  readonly places: readonly number[];
}

/** One question about a video over a socket, timed from here, so that waiting in the server counts. */
async function ask(socket: TestSocket, video: string, question: string): Promise<Asked> {
  const started = performance.now();
  const since = (): number => (performance.now() - started) / 1000;
  socket.send({ type: 'conversation.create' });
  const { conversation } = await socket.next('conversation.created', LIMIT_S);
  const place = { conversation: conversation.id };
  socket.send({ type: 'conversation.item.create', ...place, item: { role: 'user', content: [{ type: 'input_video', video_id: video }, { type: 'input_text', text: question }] } });
  socket.send({ type: 'response.create', ...place, response: { max_output_tokens: ANSWER_TOKENS } });
  const places: number[] = [];
  let firstToken_s: number | null = null;
  for (;;) {
    const event = await socket.nextOf(['response.queued', 'response.output_text.delta', 'response.done', 'error'], LIMIT_S);
    if (event.type === 'error') throw new Error(`${event.error.code}: ${event.error.message}`);
    if (event.type === 'response.queued') places.push(event.position);
    if (event.type === 'response.output_text.delta') firstToken_s ??= since();
    if (event.type !== 'response.done') continue;
    const { status, usage } = event.response;
    return { firstToken_s: firstToken_s ?? since(), total_s: since(), tokens: usage?.output_tokens ?? 0, status, places };
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function row(name: string, asked: readonly Asked[], wall_s: number): string[] {
  const first = asked.map(({ firstToken_s }) => firstToken_s * 1000);
  const bad = asked.filter(({ status }) => status !== 'completed' && status !== 'incomplete').length;
  const tokens = asked.reduce((sum, answer) => sum + answer.tokens, 0);
  return [name, String(asked.length), quantile(first, 0.5).toFixed(0), quantile(first, 0.99).toFixed(0), quantile(asked.map(({ total_s }) => total_s), 0.99).toFixed(2), (tokens / wall_s).toFixed(0), String(bad)];
}

/** Questions one after the other, each in a conversation of its own, until there are enough or `until` says stop. */
async function inTurn(url: string, video: string, goesOn: () => Promise<boolean>): Promise<{ asked: Asked[]; wall_s: number }> {
  const started = performance.now();
  const asked: Asked[] = [];
  while (asked.length < QUESTIONS && (await goesOn())) {
    const socket = await TestSocket.open(url);
    asked.push(await ask(socket, video, `What happens in this video? Question ${asked.length}.`));
    await socket.close();
  }
  return { asked, wall_s: (performance.now() - started) / 1000 };
}

const site = await DemoServer.start({ encode: { preset: 'standard', seconds: ENCODE_S } });
try {
  console.log(machine());
  const niceness = os.getPriority();
  if (niceness > 0) console.log(`This runs at niceness ${niceness}: encodes cannot step back as far behind chats as they do where it is 0, so the ratio below is too high.`);
  const { process: { url }, demo: video } = site;
  // The first answer waits for the model to load and fills the cache with the video's frames.
  await inTurn(url, video, (() => { let left = 3; return async () => left-- > 0; })());

  const idle = await inTurn(url, video, async () => true);
  const clip = await makeVideo({ width: 320, height: 180, times: Array.from({ length: 240 }, (_, frame) => frame / 10), picture: (frame, width, height) => grey((frame * 7) % 256, width, height) });
  const id = await upload(url, clip, 'beside.mp4');
  const encodes = async (): Promise<boolean> => {
    const { state } = (await (await fetch(`${url}/v1/videos/${id}`)).json()) as { state: string };
    return state === 'queued' || state === 'reading' || state === 'training';
  };
  const beside = await inTurn(url, video, encodes);
  await fetch(`${url}/v1/videos/${id}`, { method: 'DELETE' });

  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => TestSocket.open(url)));
  const started = performance.now();
  const together = await Promise.all(sockets.map((socket, index) => ask(socket, video, `What is in this video? Asked by ${index}.`)));
  const wall_s = (performance.now() - started) / 1000;
  await Promise.all(sockets.map((socket) => socket.close()));

  printTable([
    ['chats', 'answers', 'first token p50, ms', 'p99, ms', 'whole p99, s', 'tokens/s', 'failed'],
    row('one after the other, idle', idle.asked, idle.wall_s),
    row('one after the other, beside an encode', beside.asked, beside.wall_s),
    row(`${SOCKETS} sockets at once`, together, wall_s),
  ]);
  const p99 = (asked: readonly Asked[]): number => quantile(asked.map(({ firstToken_s }) => firstToken_s), 0.99);
  console.log(`first token p99 beside an encode: ${(p99(beside.asked) / p99(idle.asked)).toFixed(2)} x idle`);
  const overtaken = together.filter(({ places }) => places.some((place, index) => index > 0 && place > (places[index - 1] ?? 0))).length;
  console.log(`${together.filter(({ places }) => places.length > 0).length} of ${SOCKETS} were told their place in line; ${overtaken} were overtaken by somebody who came later`);
  if (overtaken > 0 || together.some(({ status }) => status !== 'completed' && status !== 'incomplete')) process.exitCode = 1;
} finally {
  await site.stop();
}
