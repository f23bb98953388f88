import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { inspectContainer, type BlockCoding, type ContainerReport, type Container } from '../../model/container/index.js';
import { bitsPerPixel } from '../../model/inr/quality.js';
import { oneLine } from './failure.js';
import { inFile } from './sources.js';
import { grouped } from './terminal.js';

export function infoCommand(): Command {
  return new Command('info')
    .description('Say what a .linr file holds and what it spends its bytes on.')
    .argument('<file>', 'container')
    .action(async (file: string) => {
      const bytes = await readFile(file);
      process.stdout.write(summary(file, inFile(file, () => inspectContainer(bytes))));
    });
}

/** What `info` prints. */
export function summary(file: string, report: ContainerReport & { readonly container: Container }): string {
  const { meta, latents, latentDim, network } = report.container;
  const { source, pack, encoder } = meta;
  const sourceBytes = source.bytes === null ? '' : `, ${grouped(source.bytes)} bytes`;
  const rate = meta.frames > 1 && meta.duration_s > 0 ? `, ${(meta.frames / meta.duration_s).toFixed(2)} frames/s` : '';
  const bpp = bitsPerPixel(report.fileBytes, meta.frames, meta.width, meta.height);
  const facts: [string, string][] = [
    ['file', `${grouped(report.fileBytes)} bytes, ${bpp.toFixed(4)} bpp, version ${report.version}; a chat needs the first ${grouped(report.headBytes)} bytes`],
    ['video', `${meta.frames} ${meta.frames === 1 ? 'frame' : 'frames'} of ${meta.width} x ${meta.height}, ${meta.duration_s.toFixed(2)} s${rate}`],
    ['made from', oneLine(`${source.name}, ${source.width} x ${source.height}${sourceBytes}`)],
    ['encoder', oneLine(`preset ${encoder.preset}, ${encoder.seconds.toFixed(1)} s`)],
    ['pack', oneLine(`${pack.id} (feature space ${pack.feature_space})`)],
    ['sections', report.sections.map(({ type, bytes }) => `${type} ${grouped(bytes)}`).join(', ')],
    ['latents', `${meta.frames} x ${latentDim}, ${report.latents === null ? 'one frame, as float16' : coding(report.latents, latents.length)}`],
    ['network', network === null ? 'none yet: the video can be asked about but not shown' : networkFacts(report)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(10)} ${value}`);
  return [oneLine(file), ...lines, ...tensorTable(report)].join('\n') + '\n';
}

function coding({ bits, coder, prediction, streamBytes }: BlockCoding, count: number): string {
  const foretold = prediction === null ? '' : `, foretold from the frame before (weight ${prediction.weight})`;
  return `${bits} bits${foretold}, ${coder} coder: ${((8 * streamBytes) / count).toFixed(2)} bits each`;
}

const elements = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

function networkFacts({ tensors }: ContainerReport): string {
  const count = tensors.reduce((sum, { dims }) => sum + elements(dims), 0);
  const bytes = tensors.reduce((sum, { streamBytes }) => sum + streamBytes, 0);
  return `${tensors.length} tensors, ${grouped(count)} numbers, ${((8 * bytes) / count).toFixed(2)} bits each after coding`;
}

function tensorTable({ tensors }: ContainerReport): string[] {
  if (tensors.length === 0) return [];
  const rows = tensors.map(({ name, dims, bits, coder, streamBytes }) => [
    oneLine(name),
    dims.length === 0 ? 'scalar' : dims.join(' x '),
    String(bits),
    ((8 * streamBytes) / elements(dims)).toFixed(2),
    grouped(streamBytes),
    coder,
  ]);
  const head = ['tensor', 'shape', 'bits', 'coded', 'bytes', 'coder'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const right = new Set([2, 3, 4]);
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd();
  return ['', line(head), ...rows.map(line)];
}
