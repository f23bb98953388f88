// Encodes every video of a folder, captions it and finds one by words: node examples/batch.mjs folder/ ["a dog on a beach"]
// Stopped with Ctrl+C, it goes on where it was when it is started again.
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ask, CodedError, encode, openLinr, search } from 'latentchat';

const [folder, words] = process.argv.slice(2);
if (folder === undefined) throw new Error('Name a folder of videos.');
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('Stopped; the same command goes on from here.')));

const names = (await readdir(folder)).filter((name) => /\.(mp4|mov|mkv|webm|avi|jpe?g|png)$/i.test(name)).sort();
const videos = [];
const captions = {};
for (const name of names) {
  const output = path.join(folder, `${name}.linr`);
  try {
    if (!existsSync(output)) await encode(path.join(folder, name), { output, preset: 'draft', signal: stop.signal });
    const video = await openLinr(output);
    captions[name] = await ask(video, undefined, { signal: stop.signal });
    videos.push(video);
    console.log(`${name}: ${captions[name]}`);
  } catch (error) {
    stop.signal.throwIfAborted();
    // A file that cannot be read keeps nobody from the others.
    if (!(error instanceof CodedError)) throw error;
    console.error(`${name}: ${error.message} (${error.code})`);
  }
}
await writeFile(path.join(folder, 'captions.json'), `${JSON.stringify(captions, null, 2)}\n`);

if (words !== undefined) {
  for (const { video, start_s, end_s, score } of await search(videos, words, { limit: 5 })) {
    console.log(`${path.basename(video)} from ${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s (${score.toFixed(2)})`);
  }
}
