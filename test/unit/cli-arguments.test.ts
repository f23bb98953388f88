import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { frameRanges, pixelSize, positiveSeconds, wholeNumber } from '../../client/cli/arguments.js';
import { describeFailure, oneLine, UserError } from '../../client/cli/failure.js';
import { summary } from '../../client/cli/info-command.js';
import { duration, Progress } from '../../client/cli/terminal.js';
import { inspectContainer, writeContainer } from '../../model/container/index.js';
import { runCli } from '../helpers/cli.js';
import { sampleContainer } from '../helpers/containers.js';

describe('option values', () => {
  test('frames are numbers and ranges with commas between', () => {
    assert.deepEqual(frameRanges('7'), [[7, 7]]);
    assert.deepEqual(frameRanges('0-9,20, 30-39'), [[0, 9], [20, 20], [30, 39]]);
    for (const wrong of ['', '9-0', '-1', '1-', 'a', '1,,2', '1.5', '1-2-3']) assert.throws(() => frameRanges(wrong), /such as 7 or 0-9/, wrong);
  });

  test('sizes are two numbers of pixels', () => {
    assert.deepEqual(pixelSize('320x160'), { width: 320, height: 160 });
    for (const wrong of ['320', '320x', 'x160', '0x10', '10x0', '3.5x2', '-3x4', '320 x 160']) assert.throws(() => pixelSize(wrong), /such as 320x160/, wrong);
  });

  test('numbers outside their range are refused, and so is what is no number', () => {
    const parse = wholeNumber(1, 10);
    assert.equal(parse('10'), 10);
    for (const wrong of ['0', '11', '', '1e1', '2.5', 'two']) assert.throws(() => parse(wrong), /whole number from 1 to 10/, wrong);
    assert.equal(positiveSeconds('.5'), 0.5);
    for (const wrong of ['0', '-1', '', 'inf', '1s']) assert.throws(() => positiveSeconds(wrong), /above 0/, wrong);
  });
});

describe('failures', () => {
  test('are one line without control characters', () => {
    assert.equal(describeFailure(new UserError('first\nsecond \u001b[31mred')), 'first second [31mred');
    assert.equal(oneLine('\u0007a\r\nb\u009b'), 'a b');
  });

  test('of the file system name the file and say what is wrong', () => {
    const missing = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', path: 'clip.linr' });
    assert.equal(describeFailure(missing), 'clip.linr does not exist.');
    assert.match(describeFailure(Object.assign(new Error('x'), { code: 'ENOSPC' })), /disk is full/);
  });

  test('of the program itself point to --debug', () => {
    assert.match(describeFailure(new TypeError('x is undefined')), /Internal error: x is undefined .*--debug/);
  });
});

class Screen {
  text = '';
  constructor(readonly isTTY: boolean, readonly columns = 60) {}
  write(text: string): void {
    this.text += text;
  }
}

describe('progress', () => {
  const state = (done: number, label = 'training') => ({ label, done, total: 100, unit: 'seconds', detail: '30.1 dB', eta_s: 100 - done });

  test('on a terminal is a bar that is drawn in place, no wider than the terminal', () => {
    const screen = new Screen(true);
    let now = 0;
    const progress = new Progress(screen, () => now);
    progress.update(state(25));
    now += 50;
    progress.update(state(26));
    now += 100;
    progress.update(state(50));
    progress.clear();
    const drawn = screen.text.split('\r\u001b[2K');
    assert.equal(drawn.length, 4);
    assert.match(drawn[2] ?? '', /^training +\u2588{12}\u2591{12} 50 of 100 seconds/);
    assert.ok(drawn.every((line) => line.length < 60));
    assert.equal(drawn.at(-1), '');
    assert.ok(!screen.text.includes('\n'));
  });

  test('elsewhere is plain lines: at the start of a stage, every ten seconds, and at its end', () => {
    const screen = new Screen(false);
    let now = 0;
    const progress = new Progress(screen, () => now);
    for (let done = 0; done <= 100; done++) {
      progress.update(state(done));
      now += 300;
    }
    progress.update(state(0, 'writing'));
    const lines = screen.text.trimEnd().split('\n');
    assert.equal(lines[0], 'training: 0 of 100 seconds, 30.1 dB, 1 min 40 s left');
    assert.deepEqual(lines.map((line) => line.replace(/ of.*/, '')), ['training: 0', 'training: 34', 'training: 68', 'training: 100', 'writing: 0']);
    assert.ok(!screen.text.includes('\u001b'));
  });

  test('durations read as people say them', () => {
    assert.deepEqual([8.4, 80, 7500].map(duration), ['8 s', '1 min 20 s', '2 h 5 min']);
  });
});

describe('info', () => {
  test('tells sizes, rate, source, pack, sections and tensors', () => {
    const bytes = writeContainer(sampleContainer());
    const text = summary('x.linr', inspectContainer(bytes));
    const bpp = ((8 * bytes.length) / (12 * 320 * 160)).toFixed(4);
    for (const expected of ['12 frames of 320 x 160', `${bpp} bpp`, 'st\u00fcck \u2013 1.mp4, 1280 x 720, 1,003,520 bytes', 'preset draft', 'pack-a', 'META', 'NETW', '12 x 32, 6 bits']) {
      assert.ok(text.includes(expected), `${expected} in\n${text}`);
    }
    assert.match(text, /layer\.0\.weight +24 x 32 +8 +\d\.\d\d +\d+ {2}range/);
  });

  test('lists the segments with their frames, seconds and bytes, and which are coded', () => {
    const report = inspectContainer(writeContainer(sampleContainer({ segments: [5, 1, 6], network: [true, false, true] })));
    const text = summary('x.linr', report);
    const bytes = report.segments.map(({ network }) => network?.bytes.toLocaleString('en-US') ?? '-');
    const row = (...cells: string[]): RegExp => new RegExp(`^${cells.join(' +')}$`, 'm');
    assert.match(text, row('0', '0-4', '0\\.00-0\\.20', bytes[0] ?? '', '\\d\\.\\d{4}', 'yes'));
    assert.match(text, row('1', '5', '0\\.20-0\\.24', '-', '-', 'not yet'));
    assert.match(text, row('2', '6-11', '0\\.24-0\\.48', bytes[2] ?? '', '\\d\\.\\d{4}', 'yes'));
    assert.match(text, /network +2 of 3 segments, 10 tensors/);
    assert.match(text, /NETW [\d,]+ in 2/);
    assert.match(text, /tensors of segment 0/);
  });

  test('keeps escape sequences of a file away from the terminal', () => {
    const sample = sampleContainer();
    const hostile = { ...sample, meta: { ...sample.meta, source: { ...sample.meta.source, name: 'a\u001b]0;owned\u0007b' } } };
    assert.ok(!summary('x.linr', inspectContainer(writeContainer(hostile))).includes('\u001b'));
  });
});

describe('the command', () => {
  test('explains every verb with --help, exit code 0', async () => {
    const verbs = ['serve', 'encode', 'decode', 'info', 'chat', 'caption', 'evaluate', 'evaluate captions', 'evaluate qa'];
    for (const verb of verbs) {
      const { code, stdout } = await runCli([...verb.split(' '), '--help']);
      assert.equal(code, 0, verb);
      assert.ok(stdout.startsWith(`Usage: latentchat ${verb} `), `${verb}: ${stdout.slice(0, 80)}`);
      assert.match(stdout, /--help/);
    }
    const top = await runCli(['--help']);
    assert.equal(top.code, 0);
    for (const verb of verbs.slice(0, 7)) assert.match(top.stdout, new RegExp(`^ +${verb} `, 'm'));
    assert.match((await runCli(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  test('ends with 2 for wrong usage, naming the option', async () => {
    const cases: [string[], RegExp][] = [
      [[], /Usage/],
      [['dance'], /unknown command 'dance'/],
      [['encode', 'a.mp4'], /--output/],
      [['encode', 'a.mp4', '-o', 'b', '--size', 'big'], /--size.*320x160/],
      [['encode', 'a.mp4', '-o', 'b', '--size', '3x3', '--width', '3'], /--width.*--size/],
      [['encode', 'a.mp4', '-o', 'b', '--preset', 'great'], /draft, standard, fine/],
      [['decode', 'a.linr', '-o', 'b', '--frames', '9-0'], /--frames/],
      [['evaluate', 'captions', 'a.jsonl', '--predictions', 'p', '--out', 'o'], /--predictions.*--out/],
      [['evaluate'], /Usage/],
      [['info'], /missing required argument 'file'/],
      [['info', 'a', 'b'], /too many arguments/],
    ];
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await runCli(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(stderr, message, args.join(' '));
      assert.equal(stdout, '');
    }
  });

  test('takes command lines of any length, with the exit code of the verb', async () => {
    const many = await runCli(['info', ...Array.from({ length: 4000 }, (_, i) => `photo-${i}.png`)]);
    assert.equal(many.code, 2);
    assert.match(many.stderr, /too many arguments/);
    const missing = await runCli(['chat', '/nowhere/photo.png', 'why '.repeat(20_000)]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^latentchat: .*photo\.png.*\n$/);
  });

  test('ends with 1 and one line for a failure, with a stack only on --debug', async () => {
    const { code, stdout, stderr } = await runCli(['info', '/nowhere/clip.linr']);
    assert.deepEqual([code, stdout, stderr], [1, '', 'latentchat: /nowhere/clip.linr does not exist.\n']);
    for (const args of [['--debug', 'info', '/nowhere/clip.linr'], ['info', '/nowhere/clip.linr', '--debug']]) {
      const debug = await runCli(args);
      assert.equal(debug.code, 1);
      assert.ok(debug.stderr.split('\n').length > 2 && /\n {4}at /.test(debug.stderr) || /ENOENT/.test(debug.stderr), debug.stderr);
    }
  });
});
