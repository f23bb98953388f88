/** Networks on a graphics processor, one in software here, against the processor: pictures, latents and training are the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { packageRoot } from '../../client/cli/package-root.js';
import { noGpu, softwareGpu } from '../helpers/software-gpu.js';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../helpers/device-program.js', import.meta.url));
const demo = path.join(packageRoot(), 'weights/demo/bunny.linr');

interface Told {
  readonly fallbacks: readonly string[];
  readonly pixels: readonly number[];
  readonly latent: readonly number[];
  readonly trained: readonly number[];
}

async function on(device: string, env: NodeJS.ProcessEnv): Promise<Told> {
  const { stdout } = await run(process.execPath, [program, device, demo], { env, maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as Told;
}

function largestDifference(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

test('a frame, its latent and a training are the same through WebGPU as on the processor', async () => {
  const [cpu, gpu] = [await on('cpu', process.env), await on('webgpu', await softwareGpu())];
  assert.deepEqual(gpu.fallbacks, []);
  assert.ok(largestDifference(cpu.pixels, gpu.pixels) <= 1, 'a byte differs by more than rounding');
  assert.ok(largestDifference(cpu.latent, gpu.latent) < 0.02);
  assert.ok(largestDifference(cpu.trained, gpu.trained) < 1e-4);
});

test('where there is no graphics processor auto takes the processor, and WebGPU is refused with the reason', async () => {
  const cache = await mkdtemp(path.join(os.tmpdir(), 'device-'));
  const env = { ...noGpu(), XDG_CACHE_HOME: cache };
  const cli = path.join(packageRoot(), 'client/cli/latentchat.mjs');
  try {
    const decode = (device: string): ReturnType<typeof run> => run(process.execPath, [cli, 'decode', demo, '--frames', '0', '--device', device, '-o', path.join(cache, device)], { env });
    await decode('auto');
    assert.deepEqual(await readdir(path.join(cache, 'auto')), ['frame-00000.png']);
    assert.equal((await readdir(path.join(cache, 'latentchat'))).length, 1, 'what was tried is kept');
    await assert.rejects(decode('webgpu'), /WebGPU does not work on this machine: .*adapter.*Use the device cpu/);
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
});
