/** What a training keeps beside its output, so that a kill costs minutes: the data's latents, and parameters with their moments. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { readSafetensors, writeSafetensors } from '../../../model/pack/index.js';
import { asFloat32, float32 } from '../../../model/runtime/tensor.js';
import type { ProjectorTrainer } from '../../../projector/training/trainer.js';
import { UserError } from '../failure.js';
import { ResumedLines } from '../json-lines.js';
import { writeAtomically } from '../../../model/runtime/durable.node.js';

/** Steps, seconds and the first loss, beside the state's tensors: one file is written as a whole or not at all. */
const PROGRESS = 'progress';

/** What makes two runs the same: a checkpoint of another one is not gone on with. */
export interface RunFacts {
  readonly pack: string;
  /** SHA-256 of pack.json's own list of files. */
  readonly packFiles: string;
  readonly data: string;
  readonly rank: number;
  readonly batch: number;
  readonly heldOut: number;
  readonly question: string;
}

export interface Progressed {
  readonly steps: number;
  /** Seconds trained. */
  readonly seconds: number;
  /** Loss on the held-out lines before the first step. */
  readonly before: number;
}

export class TrainingCheckpoint {
  private constructor(
    private readonly folder: string,
    /** Latents by id. */
    readonly latents: ResumedLines,
  ) {}

  /** @throws UserError when the folder holds another run */
  static async open(folder: string, facts: RunFacts): Promise<TrainingCheckpoint> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, 'run.json');
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) await writeAtomically(file, JSON.stringify(facts));
    else if (text !== JSON.stringify(facts)) {
      const other = JSON.parse(text) as Partial<RunFacts>;
      const differing = (Object.keys(facts) as (keyof RunFacts)[]).filter((key) => other[key] !== facts[key]);
      throw new UserError(`${folder} is of another run (${differing.join(', ')} differ). Remove it, or name another --out.`);
    }
    return new TrainingCheckpoint(folder, await ResumedLines.open(path.join(folder, 'latents.jsonl')));
  }

  async save(trainer: ProjectorTrainer, { steps, seconds, before }: Progressed): Promise<void> {
    const state = trainer.state().set(PROGRESS, float32(Float32Array.of(steps, seconds, before), [3]));
    await writeAtomically(this.stateFile, writeSafetensors(state));
  }

  /** Takes up a saved state, where there is one. */
  async resume(trainer: ProjectorTrainer): Promise<Progressed | null> {
    const bytes = await readFile(this.stateFile).catch(() => null);
    if (bytes === null) return null;
    const tensors = readSafetensors(bytes, this.stateFile);
    const [steps, seconds, before] = asFloat32(tensors.get(PROGRESS, [3])) as unknown as [number, number, number];
    trainer.restore((name, dims) => tensors.get(name, dims), steps);
    return { steps, seconds, before };
  }

  private get stateFile(): string {
    return path.join(this.folder, 'state.safetensors');
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
