/** Runs a study: the cells that earlier runs have not done, each kept as soon as it is there, then the table, the CSV and the plot. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EncodeProgress } from '../../../model/inr/progress.js';
import { processorClock } from '../../peers/clip.js';
import { rounded, runMark } from '../batch.js';
import { encodeOnce } from '../encode-once.js';
import { idField, ResumedLines, type JsonLine } from '../json-lines.js';
import { writeAtomically } from '../../../model/runtime/durable.node.js';
import { readContainerFile } from '../sources.js';
import type { Progress } from '../terminal.js';
import { csvOf } from './data.js';
import { plotSvg } from './plot.js';
import { encodePart, type Cell, type CellResult, type CellWork, type Datum, type Results, type Study, type StudyContext, type StudyReport } from './study.js';

export interface StudyRun {
  readonly out: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface StudyOutcome {
  readonly report: StudyReport;
  /** Cells that this run has done, and those that were there. */
  readonly done: number;
  readonly kept: number;
  /** Seconds of this run, and of processor time in it. */
  readonly took_s: number;
  readonly processor_s: number;
  readonly csv: string;
  readonly svg: string;
}

/** Where containers lie that studies make: a cell of one finds what another has encoded. */
export const CONTAINERS = 'containers';

/** @throws the signal's reason when it is aborted: cells done by then, and the encoding under way, are gone on with by the next run */
export async function runStudy(study: Study, context: StudyContext, { out, ...run }: StudyRun): Promise<StudyOutcome> {
  await mkdir(out, { recursive: true });
  const lines = await ResumedLines.open(path.join(out, `${study.store ?? study.name}.jsonl`));
  const scratch = await mkdtemp(path.join(tmpdir(), 'latentchat-reproduce-'));
  const [began, used] = [performance.now(), process.cpuUsage()];
  try {
    const cells = new Cells(study, context, { out, scratch, ...run }, lines);
    const results = await cells.run(await study.cells(context));
    const report = await study.report(results, context);
    const [csv, svg] = ['csv', 'svg'].map((ending) => path.join(out, `${study.name}.${ending}`)) as [string, string];
    await writeAtomically(csv, csvOf(report.data));
    await writeAtomically(svg, plotSvg(report.plot));
    return { report, done: cells.done, kept: results.size - cells.done, ...spentSince(began, used), csv, svg };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The cells of one run. */
class Cells {
  done = 0;
  private readonly earlier: ReadonlyMap<string, JsonLine>;
  private readonly clock: () => number;
  private readonly started = performance.now();

  constructor(
    private readonly study: Study,
    private readonly context: StudyContext,
    private readonly where: StudyRun & { readonly scratch: string },
    private readonly lines: ResumedLines,
  ) {
    this.earlier = new Map(lines.earlier.map((line) => [JSON.stringify([idField(line, lines.file), line['run']]), line]));
    this.clock = processorClock(context.settings.threads);
  }

  /** What earlier runs have done is taken as it is; the others are done and kept, one after another. */
  async run(cells: readonly Cell[]): Promise<Results> {
    const results = new Map<string, CellResult>();
    for (const [index, cell] of cells.entries()) {
      const there = this.#earlier(cell);
      if (there !== null) {
        results.set(cell.id, there);
        continue;
      }
      this.where.signal.throwIfAborted();
      const left = cells.slice(index).filter((other) => this.#earlier(other) === null).length;
      results.set(cell.id, await this.#do(cell, this.#reporter(cell, `${this.study.name} ${index + 1}/${cells.length}`, left)));
      this.done++;
      // Work that never waits would keep Ctrl+C from being heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return results;
  }

  async #do(cell: Cell, report: CellWork['report']): Promise<CellResult> {
    const { scratch, signal } = this.where;
    report(0);
    const [began, used] = [performance.now(), process.cpuUsage()];
    const result = await cell.run({ scratch, signal, clock: this.clock, report, encode: this.#encoder(report) });
    if ('data' in result) await this.lines.append({ id: cell.id, run: this.#markOf(cell), ...spentSince(began, used), ...result });
    return result;
  }

  #earlier(cell: Cell): CellResult | null {
    const line = this.earlier.get(JSON.stringify([cell.id, this.#markOf(cell)]));
    if (line === undefined) return null;
    const { data, vectors } = line;
    return { data: data as readonly Datum[], ...(vectors === undefined ? {} : { vectors: vectors as JsonLine }) };
  }

  /** Stands for everything that decides a cell's result. */
  #markOf({ depends }: Cell): string {
    const { models, settings: { size, preset } } = this.context;
    return runMark({ size, preset, features: models.pack.manifest.feature_space, depends });
  }

  #reporter(cell: Cell, label: string, left: number): CellWork['report'] {
    const before = this.done;
    return (part, detail) => {
      const rate = (before + part) / ((performance.now() - this.started) / 1000);
      const eta = before > 0 ? { eta_s: (left - part) / rate } : {};
      // The last hundredth is kept for what is done when it is kept.
      this.where.progress.update({ label, done: Math.floor(99 * part), total: 100, unit: '%', detail: detail === undefined ? cell.id : `${cell.id}, ${detail}`, ...eta });
    };
  }

  #encoder(report: CellWork['report']): CellWork['encode'] {
    const { models, settings: { size, preset } } = this.context;
    const { out, signal } = this.where;
    return async (source, options, told = report) => {
      const work = { signal, clock: this.clock, onProgress: (state: EncodeProgress) => told(...encodePart(state)) };
      const file = await encodeOnce(source, models, path.join(out, CONTAINERS), { preset, size, ...options }, work);
      return (await readContainerFile(file)).bytes;
    };
  }
}

/** Time that passed and processor time: how far they are apart says how busy the machine was. */
function spentSince(began: number, used: NodeJS.CpuUsage): { readonly took_s: number; readonly processor_s: number } {
  const { user, system } = process.cpuUsage(used);
  return { took_s: rounded((performance.now() - began) / 1000), processor_s: rounded((user + system) / 1e6) };
}
