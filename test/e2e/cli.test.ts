// The command line from end to end with the default model pack, on files made here.
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { readContainer } from '../../model/container/index.js';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';
import { discScene, makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let clip: string;
let photo: string;
const at = (name: string): string => path.join(folder.path, name);

before(async () => {
  folder = await TestFolder.make();
  clip = await folder.write('clip.mp4', await makeVideo({ width: 96, height: 64, picture: discScene }));
  photo = at('photo.png');
  await sharp(discScene(4, 120, 80), { raw: { width: 120, height: 80, channels: 3 } }).png().toFile(photo);
});
after(() => folder.remove());

describe('latentchat', () => {
  test('encode writes a container and tells the quality and rate of what is on the disk', async () => {
    const { code, stdout, stderr } = await runCli(['encode', clip, '-o', at('clip.linr'), '--preset', 'draft', '--seconds', '8', '--width', '48']);
    assert.equal(code, 0, stderr);
    const bytes = await readFile(at('clip.linr'));
    const { meta, networks } = readContainer(bytes);
    assert.deepEqual([meta.width, meta.height, meta.frames, meta.source.name, meta.source.bytes], [48, 32, 10, 'clip.mp4', (await stat(clip)).size]);
    assert.equal(networks.filter((network) => network !== null).length, 1);
    const bpp = ((8 * bytes.length) / (10 * 48 * 32)).toFixed(4);
    assert.ok(stdout.includes(`${bpp} bpp`), stdout);
    assert.ok(Number(/PSNR (\d+\.\d+) dB/.exec(stdout)?.[1]) > 20, stdout);
    assert.match(stderr, /^features: 10 of 10 frames/m);
    assert.match(stderr, /^training: /m);
    assert.ok(!(await readdir(folder.path)).some((name) => name.includes('checkpoint') || name.includes('.part')));
  });

  test('info tells what the container holds', async () => {
    const { code, stdout } = await runCli(['info', at('clip.linr')]);
    assert.equal(code, 0);
    assert.match(stdout, /10 frames of 48 x 32, 1\.00 s, 10\.00 frames\/s/);
    assert.match(stdout, /clip\.mp4, 96 x 64/);
  });

  test('decode writes the frames asked for, at the width asked for', async () => {
    const { code, stderr } = await runCli(['decode', at('clip.linr'), '--frames', '0-2,9', '--width', '96', '-o', at('frames')]);
    assert.equal(code, 0, stderr);
    assert.deepEqual((await readdir(at('frames'))).sort(), ['frame-00000.png', 'frame-00001.png', 'frame-00002.png', 'frame-00009.png']);
    const { data, info } = await sharp(at('frames/frame-00009.png')).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [96, 64]);
    const [r, g, b] = data.subarray(0, 3);
    assert.ok((b ?? 0) > (r ?? 0) && (b ?? 0) > 150, `the sky is ${r}, ${g}, ${b}`);
    const beyond = await runCli(['decode', at('clip.linr'), '--frames', '8-10', '-o', at('frames')]);
    assert.equal(beyond.code, 1);
    assert.match(beyond.stderr, /frames 0 to 9; --frames asks for 10/);
    const wide = await runCli(['decode', at('clip.linr'), '--width', '500', '-o', at('frames')]);
    assert.equal(wide.code, 1);
    assert.match(wide.stderr, /^latentchat: width .*192.*\n$/);
  });

  test('chat answers about a container, a video and a photo', async () => {
    for (const file of [at('clip.linr'), clip, photo]) {
      const { code, stdout, stderr } = await runCli(['chat', file, 'What is this?', '--max-tokens', '24']);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /[a-z]{2,}.*\n$/s);
    }
  });

  test('chat without a question takes questions from standard input, one a line', async () => {
    const { code, stdout, stderr } = await runCli(['chat', photo, '--max-tokens', '12'], { input: 'What is this?\n\nWhat colour is it?\n' });
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trimEnd().split('\n').length >= 2, true, stdout);
    const silent = await runCli(['chat', photo]);
    assert.equal(silent.code, 1);
    assert.match(silent.stderr, /No question was asked/);
    assert.match((await runCli(['chat', photo, '  '])).stderr, /question is empty/);
  });

  test('Ctrl+C stops an encoding, keeps its training, and the same command goes on from there', async () => {
    const command = ['encode', clip, '-o', at('stopped.linr'), '--preset', 'draft', '--seconds', '10', '--width', '48'];
    const stopped = await runCli(command, { interruptAt: 'training: ' });
    assert.equal(stopped.code, 1);
    assert.match(stopped.stderr, /^latentchat: Stopped\. The same command goes on where it stopped.*\n$/m);
    const left = await readdir(folder.path);
    assert.ok(left.includes('stopped.linr.checkpoint') && !left.includes('stopped.linr'), left.join(' '));
    const resumed = await runCli(command);
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.ok(!/^features:/m.test(resumed.stderr), 'the features are in the checkpoint');
    assert.ok(!(await readdir(folder.path)).includes('stopped.linr.checkpoint'));
  });

  test('bad files are refused in one line with exit code 1', async () => {
    const whole = await readFile(at('clip.linr'));
    const cases: [string[], RegExp][] = [
      [['chat', await folder.write('empty.mp4', ''), 'What?'], /empty\.mp4 is empty/],
      [['chat', await folder.write('text.mp4', 'hello'), 'What?'], /text\.mp4 is neither a photo nor a video/],
      [['chat', at('missing.mp4'), 'What?'], /missing\.mp4/],
      [['chat', folder.path, 'What?'], /is not a file/],
      [['chat', await folder.write('cut.linr', whole.subarray(0, 100)), 'What?'], /cut\.linr: The container ends/],
      [['info', await folder.write('cut2.linr', whole.subarray(0, whole.length - 9))], /cut2\.linr: The container is cut off/],
      [['info', photo], /photo\.png: .*not a \.linr container.*latentchat encode/],
      [['decode', await folder.write('flip.linr', Uint8Array.from(whole, (byte, i) => (i === whole.length - 5 ? byte ^ 1 : byte))), '-o', at('x')], /flip\.linr: The NETW section.*damaged/],
      [['encode', at('text.mp4'), '-o', at('x.linr')], /neither a photo nor a video/],
      [['encode', at('clip.linr'), '-o', at('x.linr')], /clip\.linr is a container already/],
      [['encode', clip, '-o', at('no/folder/x.linr')], /there is no folder .*no.folder/],
      [['caption', photo, '--out', folder.path], /is a folder; name a file/],
      [['evaluate', 'captions', at('missing.jsonl'), '--report', at('no/r.json')], /there is no folder/],
      [['chat', photo, 'why '.repeat(25_000)], /context/],
      [['caption', at('text.mp4'), '--out', at('none.jsonl')], /No input could be captioned/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await runCli(args);
      assert.equal(code, 1, `${args[0]} ${args[1]?.slice(-20)}: ${stderr}`);
      const last = stderr.trimEnd().split('\n').at(-1) ?? '';
      assert.match(last, message);
      assert.ok(last.startsWith('latentchat: ') && !stderr.includes('\n    at '), stderr);
      if (args[0] !== 'caption') assert.equal(stdout, '');
    }
  });

  test('serve answers until it is told to stop', async () => {
    const { spawn } = await import('node:child_process');
    const { fileURLToPath } = await import('node:url');
    const main = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../client/cli/main.js');
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const server = spawn(process.execPath, [main, 'serve', '--port', '0', '--data', at('data')], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const url = await new Promise<string>((resolve, reject) => {
        let text = '';
        server.stdout.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          const found = /latentchat is at (http:\/\/\S+)/.exec(text)?.[1];
          if (found !== undefined) resolve(found);
        });
        server.on('exit', (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
      });
      assert.equal((await fetch(`${url}/health`)).status, 200);
      const taken = await runCli(['serve', '--port', new URL(url).port, '--data', at('data2')]);
      assert.equal(taken.code, 1);
      assert.match(taken.stderr, /Port \d+ is in use/);
    } finally {
      const ended = new Promise<number | null>((resolve) => {
        server.removeAllListeners('exit');
        server.on('exit', resolve);
      });
      server.kill('SIGINT');
      assert.equal(await ended, 0);
    }
  });
});
