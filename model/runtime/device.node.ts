/**
 * Which device runs the networks that see and draw: the processor, or a graphics processor through WebGPU, which onnxruntime-node brings along.
 * A driver can be missing, broken or a slow imitation in software, so `auto` tries it in a process of its own and times both.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError } from './coded-error.js';
import type { Device, DeviceChoice } from './device-choice.js';
import { writeAtomically } from './durable.node.js';
import { nodeRuntime, type NodeRuntimeOptions } from './node.node.js';
import type { Runtime } from './types.js';

/** Raised where WebGPU is asked for and does not work. */
export class DeviceError extends CodedError {
  override readonly name = 'DeviceError';
  readonly code = 'device_unavailable';
}

/** The runtime of the networks that see and draw. @throws DeviceError */
export async function deviceRuntime(choice: DeviceChoice, options: Omit<NodeRuntimeOptions, 'device'> = {}): Promise<Runtime> {
  return nodeRuntime({ ...options, device: await resolveDevice(choice) });
}

/** What the trial found. */
export interface DeviceTrial {
  readonly cpu_ms: number;
  /** null: there is no device, or it does not work. */
  readonly webgpu_ms: number | null;
  /** Why not. */
  readonly reason: string | null;
}

/** WebGPU must take at most this share of the processor's time: moving pictures to and fro costs what the trial does not show. */
const WORTH_IT = 0.7;
/** A driver that compiles shaders for longer than this is not worth waiting for. */
const TRIAL_MS = 30_000;

/**
 * The device for a choice. The first `auto` of a machine tries both and remembers what it found in the user's cache folder.
 * @throws DeviceError with the reason
 */
async function resolveDevice(choice: DeviceChoice): Promise<Device> {
  if (choice === 'cpu') return 'cpu';
  const trial = await rememberedTrial();
  if (choice === 'auto') return trial.webgpu_ms !== null && trial.webgpu_ms <= WORTH_IT * trial.cpu_ms ? 'webgpu' : 'cpu';
  if (trial.webgpu_ms === null) throw new DeviceError(`WebGPU does not work on this machine: ${trial.reason ?? 'no reason was given'}. Use the device cpu.`);
  return 'webgpu';
}

/** In this process: the trial is not made twice, also where it cannot be kept. */
const known = new Map<string, Promise<DeviceTrial>>();

async function rememberedTrial(): Promise<DeviceTrial> {
  const file = await trialFile();
  const trial = known.get(file) ?? readTrial(file).then((kept) => kept ?? tryAndKeep(file));
  known.set(file, trial);
  return trial;
}

/** Another release of ONNX Runtime, processor or driver setting is another machine. */
async function trialFile(): Promise<string> {
  const { env } = await import('onnxruntime-node');
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  const machine = [env.versions.common, os.cpus()[0]?.model ?? '', os.availableParallelism(), process.env['VK_ICD_FILENAMES'] ?? ''].join(' ');
  return path.join(cache, 'latentchat', `device-${machine.replace(/[^\w.-]+/g, '_').slice(0, 150)}.json`);
}

async function readTrial(file: string): Promise<DeviceTrial | null> {
  try {
    const { cpu_ms, webgpu_ms, reason } = JSON.parse(await readFile(file, 'utf8')) as DeviceTrial;
    return typeof cpu_ms === 'number' && (webgpu_ms === null || typeof webgpu_ms === 'number') ? { cpu_ms, webgpu_ms, reason } : null;
  } catch {
    return null;
  }
}

async function tryAndKeep(file: string): Promise<DeviceTrial> {
  const trial = await tryDevices();
  // A cache that cannot be written only costs the next program the trial.
  await writeAtomically(file, JSON.stringify(trial), { makeFolder: true }).catch(() => undefined);
  return trial;
}

/** Times both devices in a process of its own: a driver that crashes takes that one down. */
function tryDevices(): Promise<DeviceTrial> {
  const program = fileURLToPath(new URL('./device-trial.node.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { timeout: TRIAL_MS }, (error, stdout, stderr) => {
      const last = stdout.trim().split('\n').at(-1) ?? '';
      try {
        resolve(JSON.parse(last) as DeviceTrial);
      } catch {
        const reason = error?.killed === true ? `its trial took more than ${TRIAL_MS / 1000} s` : stderr.trim().split('\n').at(-1) || 'its trial ended without a result';
        resolve({ cpu_ms: 0, webgpu_ms: null, reason });
      }
    });
  });
}
