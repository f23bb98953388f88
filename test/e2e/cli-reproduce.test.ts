/** A figure of the paper made whole by its command: stopped with Ctrl+C, gone on with, and looked at. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';
import { discScene, makeVideo, movingPicture } from '../helpers/videos.js';

let folder: TestFolder;
const at = (name: string): string => path.join(folder.path, name);

before(async () => {
  folder = await TestFolder.make();
  await mkdir(at('videos'));
  const times = Array.from({ length: 12 }, (_, t) => t / 4);
  await writeFile(at('videos/disc.mp4'), await makeVideo({ width: 96, height: 64, times, picture: discScene }));
  await writeFile(at('videos/waves.mp4'), await makeVideo({ width: 96, height: 64, times, picture: movingPicture }));
  await writeFile(at('videos/notes.txt'), 'not a video');
});
after(() => folder.remove());

test('latentchat reproduce figure9: table, CSV and plot of the latents of a folder of videos, in two runs', async () => {
  const command = ['reproduce', 'figure9', '--videos', at('videos'), '--out', at('out'), '--seconds', '1', '--size', '48x32', '--threads', '1'];
  const stopped = await runCli(command, { interruptAt: 'figure9 2/2: ' });
  assert.equal(stopped.code, 1);
  assert.match(stopped.stderr, /Stopped\. What is done so far is in .*out; the same command goes on from there\./);

  const { code, stdout, stderr } = await runCli(command);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Figure 9: .*\n\nNearest 5 latents .*\nlatents +frames +of the same video, % +seconds away, median\naligned \(lambda 0\.01\) +24 +\d+\.\d +\d/);
  assert.match(stdout, /\n\n1 cell done in .*; 1 were there\. .*figure9\.csv .*figure9\.svg\n$/);
  const lines = (await readFile(at('out/figure9.csv'), 'utf8')).trimEnd().split('\r\n');
  assert.equal(lines[0], 'latents,video,time_s,x,y,same,away_s');
  assert.deepEqual(['disc', 'waves'].map((video) => lines.filter((line) => line.includes(`,${video},`)).length), [24, 24]);
  const svg = await readFile(at('out/figure9.svg'), 'utf8');
  assert.ok(['disc', 'waves', 'UMAP 1', 'aligned (lambda 0.01)'].every((text) => svg.includes(text)));
  assert.doesNotMatch(svg, /NaN/);
});

test('a folder without videos, or options that make no sense, are refused in one line', async () => {
  await mkdir(at('empty'));
  await writeFile(at('empty/notes.txt'), 'no video');
  const none = await runCli(['reproduce', 'table1', '--videos', at('empty'), '--out', at('none')]);
  assert.deepEqual([none.code, none.stderr], [1, `latentchat: The folder ${at('empty')} has no videos, photos or containers in it.\n`]);
  const wrong = await runCli(['reproduce', 'figure3', '--videos', at('videos'), '--out', at('none'), '--rates', '0.2,x']);
  assert.deepEqual([wrong.code, /--rates/.test(wrong.stderr)], [2, true]);
});
