/**
 * What is searched of a video, kept beside its container: reading and decoding the latents of a thousand videos takes minutes, reading
 * these files a second. A file counts for one version of the container and one pair of towers; any other is made anew.
 *
 * Layout, little-endian: 8 bytes signature, uint32 header length, JSON header, padding to 8 bytes, float64 times (T), int8 vectors (T, dim).
 */
import { readFile } from 'node:fs/promises';
import { scalesOf, type IndexedVideo } from '../../model/retrieval/index.js';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { PRIVATE_MODE } from '../store/files.js';

const SIGNATURE = Buffer.from('LCVECT1\n', 'latin1');
/** A header names two versions and the shots: one a few frames at most. */
const MAX_HEADER_BYTES = 256 * 1024;
/** Frames: more than any container holds. */
const MAX_FRAMES = 1_000_000;
/** Numbers of a vector: far more than any pack's. */
const MAX_DIM = 65_536;

/** What the vectors were made from. */
export interface VectorsKey {
  /** Of the container. */
  readonly version: string;
  /** Of the towers. */
  readonly towers: string;
}

interface Header extends VectorsKey {
  readonly frames: number;
  readonly dim: number;
  readonly duration_s: number;
  readonly shots: readonly number[];
}

/** Writes the file. @throws Error where the video's folder is gone or the disk is full */
export async function writeVectors(file: string, key: VectorsKey, { vectors, times_s, duration_s, shots }: IndexedVideo): Promise<void> {
  const header: Header = { version: key.version, towers: key.towers, frames: times_s.length, dim: vectors.dim, duration_s, shots };
  const json = Buffer.from(JSON.stringify(header));
  const start = padded(SIGNATURE.length + 4 + json.length);
  const bytes = Buffer.alloc(start + times_s.length * 8 + vectors.numbers.length);
  SIGNATURE.copy(bytes);
  bytes.writeUInt32LE(json.length, SIGNATURE.length);
  json.copy(bytes, SIGNATURE.length + 4);
  for (let t = 0; t < times_s.length; t++) bytes.writeDoubleLE(times_s[t] as number, start + t * 8);
  Buffer.from(vectors.numbers.buffer, vectors.numbers.byteOffset, vectors.numbers.length).copy(bytes, start + times_s.length * 8);
  await writeAtomically(file, bytes, { mode: PRIVATE_MODE });
}

/** The vectors of a file; null where there is none, or one for another container or other towers, or none of ours. */
export async function readVectors(file: string, key: VectorsKey): Promise<IndexedVideo | null> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return bytes === null ? null : parseVectors(bytes, key);
}

/** Exported for its fuzz test. */
export function parseVectors(bytes: Uint8Array, key: VectorsKey): IndexedVideo | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerAt = SIGNATURE.length + 4;
  if (bytes.length < headerAt || !SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length))) return null;
  const headerBytes = view.getUint32(SIGNATURE.length, true);
  if (headerBytes > MAX_HEADER_BYTES || headerAt + headerBytes > bytes.length) return null;
  const header = parseHeader(bytes.subarray(headerAt, headerAt + headerBytes));
  if (header === null || header.version !== key.version || header.towers !== key.towers) return null;
  const { frames, dim, duration_s, shots } = header;
  const start = padded(headerAt + headerBytes);
  if (bytes.length !== start + frames * 8 + frames * dim) return null;
  const times_s = Float64Array.from({ length: frames }, (_, t) => view.getFloat64(start + t * 8, true));
  const numbers = new Int8Array(bytes.subarray(start + frames * 8)).slice();
  return { vectors: { numbers, scales: scalesOf(numbers, dim), dim }, times_s, duration_s, shots };
}

function parseHeader(bytes: Uint8Array): Header | null {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
  if (typeof json !== 'object' || json === null) return null;
  const { version, towers, frames, dim, duration_s, shots } = json as Partial<Record<keyof Header, unknown>>;
  const whole = (value: unknown, most: number): value is number => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;
  if (typeof version !== 'string' || typeof towers !== 'string' || !whole(frames, MAX_FRAMES) || !whole(dim, MAX_DIM)) return null;
  if (typeof duration_s !== 'number' || !Array.isArray(shots)) return null;
  const ascending = shots.every((shot, k) => Number.isInteger(shot) && (k === 0 ? shot === 0 : shot > shots[k - 1] && shot < frames));
  return ascending && shots.length > 0 ? { version, towers, frames, dim, duration_s, shots: shots as number[] } : null;
}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;
