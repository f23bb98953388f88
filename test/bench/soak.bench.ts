/**
 * A server in use for a long time: videos are uploaded, encoded, asked about over HTTP and the socket, searched, clipped and deleted, round
 * after round. Prints memory, handles and the delay of the event loop every minute, and whether they grow. `npm run bench -- soak [--minutes 30]`.
 */
import { parseArgs } from 'node:util';
import { untilVideo } from '../helpers/api.js';
import { DemoServer } from '../helpers/demo-server.js';
import { TestSocket } from '../helpers/realtime.js';
import { upload } from '../helpers/tus.js';
import { makeVideo, movingPicture } from '../helpers/videos.js';
import { median } from './timing.js';
import { machine, printTable } from './table.js';

/** Part of the run in which caches fill and the model's memory settles; growth is judged after it. */
const WARM_SHARE = 0.3;
/** Growth from the middle of the first half after that to the middle of the second, beyond which something is kept: of memory, and of handles. */
const MOST_GROWTH = 0.1;
const MOST_HANDLES = 8;
/** Seconds between two looks at the server. */
const LOOK_S = 5;

interface Look {
  readonly at_s: number;
  readonly rss_MB: number;
  readonly heap_MB: number;
  readonly handles: number;
  readonly delay_ms: number;
  readonly rounds: number;
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '30' } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error('--minutes must be a number above 0');
console.log(`${machine()}; ${minutes} minutes`);

const demo = await DemoServer.start({ logLevel: 'error', threads: 1, encode: { preset: 'draft', seconds: 2 } });
const { url } = demo.process;
const clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 30 }, (_, i) => i / 10), picture: movingPicture });
const started = performance.now();
const elapsed_s = (): number => (performance.now() - started) / 1000;
const looks: Look[] = [];
let rounds = 0;
let failures = 0;

async function look(): Promise<void> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const metric = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
  looks.push({
    at_s: elapsed_s(),
    rss_MB: metric('process_resident_memory_bytes') / 2 ** 20,
    heap_MB: metric('nodejs_heap_size_used_bytes') / 2 ** 20,
    handles: metric('process_open_fds'),
    delay_ms: metric('nodejs_eventloop_lag_p99_seconds') * 1000,
    rounds,
  });
}

async function post(place: string, body: object): Promise<void> {
  const answer = await fetch(url + place, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${place}: ${answer.status} ${text}`);
}

/** What a user does with one video, from its upload to its end. */
async function round(): Promise<void> {
  const id = await upload(url, clip, `soak-${rounds}.mp4`);
  await untilVideo(url, id, ({ askable }) => askable);
  const content = [{ type: 'video_url', video_url: { url: `video://${id}` } }, { type: 'text', text: 'What is happening?' }];
  await post('/v1/chat/completions', { messages: [{ role: 'user', content }], max_tokens: 24 });
  const socket = await TestSocket.open(url);
  await socket.ask('What do you see?', id);
  await socket.close();
  await post('/v1/search', { text: 'something that moves', videos: [id] });
  const cut = await fetch(`${url}/v1/videos/${id}/clip?from=1&to=1.5`);
  if (!cut.ok) throw new Error(`clip: ${await cut.text()}`);
  await cut.arrayBuffer();
  // Every other one is removed in the middle of its training.
  if (rounds % 2 === 0) await untilVideo(url, id, ({ state }) => state === 'ready');
  await fetch(`${url}/v1/videos/${id}`, { method: 'DELETE' });
  rounds += 1;
}

const row = ({ at_s, rss_MB, heap_MB, handles, delay_ms, rounds: done }: Look): string[] =>
  [(at_s / 60).toFixed(1), String(done), rss_MB.toFixed(0), heap_MB.toFixed(0), String(handles), delay_ms.toFixed(0)];

const watch = setInterval(() => void look().catch(() => undefined), LOOK_S * 1000);
let minute = 0;
while (elapsed_s() < minutes * 60) {
  await round().catch((error: unknown) => {
    failures += 1;
    console.log(`round ${rounds} failed: ${error instanceof Error ? error.message : String(error)}`);
  });
  const last = looks.at(-1);
  if (last && Math.floor(elapsed_s() / 60) > minute) {
    minute = Math.floor(elapsed_s() / 60);
    const [at, done, rss, heap, handles, delay] = row(last);
    console.log(`${at} min: ${done} rounds, ${rss} MB, of it ${heap} MB of JavaScript, ${handles} files and sockets, event loop p99 ${delay} ms`);
  }
}
clearInterval(watch);
await look();
await demo.stop();

const settled = looks.filter(({ at_s }) => at_s > WARM_SHARE * minutes * 60);
const half = Math.floor(settled.length / 2);
const middle = (of: readonly Look[], what: 'rss_MB' | 'heap_MB' | 'handles'): number => median(of.map((one) => one[what]));
const change = (what: 'rss_MB' | 'heap_MB' | 'handles'): [number, number] => [middle(settled.slice(0, half), what), middle(settled.slice(half), what)];
printTable([['minutes', 'rounds', 'resident MB', 'JavaScript MB', 'handles', 'loop p99 ms'], ...looks.filter((_, i) => i % Math.ceil(looks.length / 12) === 0).map(row)]);
const grown = (['rss_MB', 'heap_MB'] as const).filter((what) => change(what)[1] > change(what)[0] * (1 + MOST_GROWTH));
const [handlesBefore, handlesAfter] = change('handles');
const verdict = [
  `memory ${change('rss_MB').map((value) => value.toFixed(0)).join(' -> ')} MB, JavaScript ${change('heap_MB').map((value) => value.toFixed(0)).join(' -> ')} MB, handles ${handlesBefore} -> ${handlesAfter}`,
  `${rounds} rounds, ${failures} failed`,
];
console.log(`From the middle of the first half to the middle of the second: ${verdict.join('; ')}.`);
const bad = grown.length > 0 || handlesAfter > handlesBefore + MOST_HANDLES || failures > 0;
console.log(bad ? 'Something grows or fails.' : 'Nothing grows.');
process.exit(bad ? 1 : 0);
