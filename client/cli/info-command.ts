import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { inspectContainer, type BlockCoding, type Container, type ContainerReport, type SegmentReport } from '../../model/container/index.js';
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
  const { meta, latents, latentDim } = report.container;
  const { source, pack, encoder } = meta;
  const sourceBytes = source.bytes === null ? '' : `, ${grouped(source.bytes)} bytes`;
  const rate = meta.frames > 1 && meta.duration_s > 0 ? `, ${(meta.frames / meta.duration_s).toFixed(2)} frames/s` : '';
  const bpp = bitsPerPixel(report.fileBytes, meta.frames, meta.width, meta.height);
  const facts: [string, string][] = [
    ['file', `${grouped(report.fileBytes)} bytes, ${bpp.toFixed(4)} bpp, version ${report.version}; a chat needs the first ${grouped(report.headBytes)} bytes`],
    ['video', `${meta.frames} ${meta.frames === 1 ? 'frame' : 'frames'} of ${meta.width} x ${meta.height}, ${meta.duration_s.toFixed(2)} s${rate}`],
    ['made from', oneLine(`${source.name}, ${source.width} x ${source.height}${sourceBytes}`)],
    ...(source.warnings ?? []).map((warning): [string, string] => ['warning', oneLine(warning)]),
    ['encoder', oneLine(`preset ${encoder.preset}, ${encoder.seconds.toFixed(1)} s`)],
    ['pack', oneLine(`${pack.id} (feature space ${pack.feature_space})`)],
    ['sections', sectionFacts(report)],
    ['latents', `${meta.frames} x ${latentDim}, ${report.latents === null ? 'one frame, as float16' : coding(report.latents, latents.length)}`],
    ['network', networkFacts(report)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(10)} ${value}`);
  return [oneLine(file), ...lines, ...segmentTable(report), ...tensorTable(report)].join('\n') + '\n';
}

function coding({ bits, coder, prediction, streamBytes }: BlockCoding, count: number): string {
  const foretold = prediction === null ? '' : `, foretold from the frame before (weight ${prediction.weight})`;
  return `${bits} bits${foretold}, ${coder} coder: ${((8 * streamBytes) / count).toFixed(2)} bits each`;
}

const elements = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** Bytes by kind of section; the networks of all segments together. */
function sectionFacts({ sections }: ContainerReport): string {
  const kinds = new Map<string, number[]>();
  for (const { type, bytes } of sections) kinds.set(type, [...(kinds.get(type) ?? []), bytes]);
  const total = (bytes: readonly number[]): number => bytes.reduce((sum, count) => sum + count, 0);
  return [...kinds].map(([type, bytes]) => `${type} ${grouped(total(bytes))}${bytes.length > 1 ? ` in ${bytes.length}` : ''}`).join(', ');
}

function networkFacts({ segments }: ContainerReport): string {
  const coded = segments.filter(({ network }) => network !== null);
  if (coded.length === 0) return 'none yet: the video can be asked about but not shown';
  const tensors = coded.flatMap((segment) => segment.tensors);
  const count = tensors.reduce((sum, { dims }) => sum + elements(dims), 0);
  const bytes = tensors.reduce((sum, { streamBytes }) => sum + streamBytes, 0);
  const which = segments.length === 1 ? '' : `${coded.length} of ${segments.length} segments, `;
  return `${which}${tensors.length} tensors, ${grouped(count)} numbers, ${((8 * bytes) / count).toFixed(2)} bits each after coding`;
}

/** A line for each segment: its frames, the seconds they are shown, and what it weighs. */
function segmentTable({ segments, container: { meta } }: ContainerReport & { readonly container: Container }): string[] {
  if (segments.length === 1) return [];
  const start = meta.times_s[0] ?? 0;
  const at = (frame: number): number => (meta.times_s[frame] ?? start + meta.duration_s) - start;
  const rows = segments.map(({ first, frames, network }, k) => [
    String(k),
    frames === 1 ? String(first) : `${first}-${first + frames - 1}`,
    `${at(first).toFixed(2)}-${at(first + frames).toFixed(2)}`,
    network === null ? '-' : grouped(network.bytes),
    network === null ? '-' : bitsPerPixel(network.bytes, frames, meta.width, meta.height).toFixed(4),
    network === null ? 'not yet' : 'yes',
  ]);
  return table(['segment', 'frames', 'seconds', 'bytes', 'bpp', 'coded'], rows, new Set([1, 2, 3, 4]));
}

/** What the network of the first segment that has one is made of; those of other segments have the same tensors. */
function tensorTable({ segments }: ContainerReport): string[] {
  const k = segments.findIndex(({ tensors }) => tensors.length > 0);
  const { tensors } = (segments[k] ?? { tensors: [] }) satisfies Pick<SegmentReport, 'tensors'>;
  if (tensors.length === 0) return [];
  const rows = tensors.map(({ name, dims, bits, coder, streamBytes }) => [
    oneLine(name),
    dims.length === 0 ? 'scalar' : dims.join(' x '),
    String(bits),
    ((8 * streamBytes) / elements(dims)).toFixed(2),
    grouped(streamBytes),
    coder,
  ]);
  const lines = table(['tensor', 'shape', 'bits', 'coded', 'bytes', 'coder'], rows, new Set([2, 3, 4]));
  return segments.length === 1 ? lines : ['', `tensors of segment ${k}`, ...lines.slice(1)];
}

/** An empty line, the head and the rows, in columns; `right`: those aligned to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd();
  return ['', line(head), ...rows.map(line)];
}
