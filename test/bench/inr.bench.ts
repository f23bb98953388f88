/**
 * One Latent-INR training step (8 frames x 512 patches and x 2,048 patches, 4 layers, rank 8) in ONNX Runtime, beside the same network in eager PyTorch where
 * a Python with torch is on PATH (or named by LATENTCHAT_PYTHON), on the same number of threads in the same run.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { patchGrid, type InrConfig } from '../../model/inr/config.js';
import { PatchStore } from '../../model/inr/patches.js';
import { Trainer } from '../../model/inr/trainer.js';
import { seededRandom } from '../../model/runtime/random.js';
import { machine, median, printTable, timed } from './table.js';

const THREADS = 2;
const RUNS = 60;
const WARM_UP = 10;

function network(hidden: number): InrConfig {
  return {
    width: 320, height: 160, frames: 132, latentDim: 256, patch: 5, layers: 4, hidden, rank: 8, hyperHidden: 32,
    grids: [{ channels: 8, rows: 32, columns: 64 }],
    basis: { count: 32, grids: [{ channels: 8, rows: 32, columns: 64 }] },
  };
}

async function ours(config: InrConfig, share: number): Promise<number> {
  const random = seededRandom(1);
  const patches = new PatchStore(config);
  const frame = new Uint8Array(config.width * config.height * 3);
  for (let t = 0; t < config.frames; t++) patches.set(t, frame.map(() => random() * 256));
  const targets = Float32Array.from({ length: config.frames * config.latentDim }, () => random() - 0.5);
  const { rows, columns } = patchGrid(config);
  const trainer = await Trainer.create(nodeRuntime({ threads: THREADS }), config, patches, targets, {
    shape: { frames: 8, rows: rows * share, columns: columns * share }, learningRate: 1e-2, lambda: 0.01, seed: 1,
  });
  const times = await timed(RUNS, WARM_UP, () => trainer.step(0.5));
  await trainer.release();
  return median(times);
}

/** Median milliseconds of the PyTorch step, or null without torch. */
function torch(config: InrConfig, share: number): number | null {
  const script = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../test/bench/inr_torch.py');
  const facts = JSON.stringify({ config, share, threads: THREADS, runs: RUNS, warmUp: WARM_UP });
  const result = spawnSync(process.env['LATENTCHAT_PYTHON'] ?? 'python3', [script, facts], { encoding: 'utf8' });
  return result.status === 0 ? Number(result.stdout) : null;
}

const rows = [['network', 'ONNX Runtime, ms a step', 'PyTorch, ms a step', 'ratio']];
for (const share of [0.5, 1]) {
  for (const hidden of [64, 128, 256]) {
    const config = network(hidden);
    const a = await ours(config, share);
    const b = torch(config, share);
    const patches = 2048 * share * share;
    rows.push([`8 frames x ${patches} patches, width ${hidden}`, a.toFixed(1), b === null ? 'no torch' : b.toFixed(1), b === null ? '' : (a / b).toFixed(2)]);
  }
}
console.log(`${machine()}, ${THREADS} threads, median of ${RUNS} steps`);
printTable(rows);
