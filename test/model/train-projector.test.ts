/** `latentchat pack add` and `train projector` on the command line: a small language model behind the default pack's tower learns from photos. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { openPack } from '../../model/pack/open.node.js';
import { runCli } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
const at = (name: string): string => path.join(folder.path, name);
before(async () => {
  folder = await TestFolder.make();
  const lines: string[] = [];
  for (let i = 0; i < 6; i++) {
    const background = i % 2 === 0 ? { r: 200, g: 30 + i, b: 20 } : { r: 20, g: 60 + i, b: 210 };
    await sharp({ create: { width: 64, height: 64, channels: 3, background } }).png().toFile(at(`${i}.png`));
    lines.push(JSON.stringify({ id: i, source: `${i}.png`, caption: i % 2 === 0 ? 'A dog runs.' : 'A man rides.' }));
  }
  await folder.write('captions.jsonl', `${lines.join('\n')}\n`);
});
after(() => folder.remove());

const train = ['train', 'projector', '--threads', '1', '--batch', '2', '--minutes', '0.1'];

test('a pack is made of a published model, and says that its projector has learned nothing yet', async () => {
  const added = await runCli(['pack', 'add', fixture('language/published/smollm'), '-o', at('pack'), '--licence', 'apache-2.0']);
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stdout, /14 BF16 rounded to 8 bits[\s\S]*pack smollm-efficientnet, \d+ files/);
  const asked = await runCli(['chat', at('0.png'), 'What?', '--pack', at('pack'), '--threads', '1']);
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stderr, /has learned nothing yet/);
  const refused = await runCli(['pack', 'add', fixture('language/published/smollm'), '-o', at('pack'), '--licence', 'x']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^latentchat: .*is not empty; name a new folder/m);
});

test('training stops at Ctrl+C, goes on from where it stopped, and writes a pack that answers', async () => {
  const command = [...train, '--pack', at('pack'), '--data', at('captions.jsonl'), '--out', at('trained')];
  const stopped = await runCli(command, { interruptAt: 'training: ' });
  assert.equal(stopped.code, 1, stopped.stderr);
  assert.match(stopped.stderr, /Stopped\. The same command goes on/);
  assert.ok(existsSync(at('trained.checkpoint/state.safetensors')) && !existsSync(at('trained')));
  const other = await runCli([...command, '--rank', '4']);
  assert.match(other.stderr, /trained\.checkpoint is of another run \(rank differ\)/);

  const done = await runCli(command);
  assert.equal(done.code, 0, done.stderr);
  const facts = /(\d+) steps on 5 lines; held-out 1 lines: loss ([\d.]+) before, ([\d.]+) after; BLEU-4 [\d.]+, CIDEr-D [\d.]+/.exec(done.stdout);
  assert.ok(facts !== null, done.stdout);
  assert.ok(Number(facts[3]) < Number(facts[2]), done.stdout);
  assert.ok(!existsSync(at('trained.checkpoint')));
  const { manifest } = await openPack(at('trained'));
  assert.equal(manifest.projector.trained, undefined);
  assert.deepEqual(manifest.adapter, { rank: 32 });
  const asked = await runCli(['chat', at('1.png'), 'What?', '--pack', at('trained'), '--threads', '1']);
  assert.equal(asked.code, 0, asked.stderr);
  assert.doesNotMatch(asked.stderr, /learned nothing/);
});
