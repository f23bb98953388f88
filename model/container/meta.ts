import { ByteReader, ByteWriter, checkLimit } from './bytes.js';
import { malformed } from './errors.js';
import { decodeIntegers, encodeIntegers } from './integers.js';
import { isJsonObject, jsonBytes, parseJsonObject, type JsonObject, type JsonValue } from './json.js';
import { MAX_FRAMES, MAX_META_BYTES, MAX_PIXELS, MAX_SECONDS, MAX_SEGMENTS, MAX_SIDE, MAX_STRING_LENGTH, MAX_SYMBOLS_PER_BYTE, MAX_WARNINGS } from './limits.js';
import type { ContainerMeta } from './types.js';

/**
 * The META section: the fields of `meta` but its times, as JSON, and which segments are coded. A video of one segment has no list of
 * them: a NETW section says whether it is coded.
 */
export function metaSection(meta: ContainerMeta, coded: readonly boolean[]): Uint8Array {
  const { width, height, frames, duration_s, source, pack, encoder } = meta;
  const json = {
    width,
    height,
    frames,
    duration_s,
    source: {
      name: source.name, width: source.width, height: source.height, bytes: source.bytes,
      ...(source.warnings === undefined || source.warnings.length === 0 ? {} : { warnings: [...source.warnings] }),
    },
    pack: { id: pack.id, feature_space: pack.feature_space },
    encoder: { preset: encoder.preset, seconds: encoder.seconds },
    ...(meta.segments.length === 1 ? {} : { segments: meta.segments.map((count, k) => ({ frames: count, coded: coded[k] === true })) }),
  };
  checkMeta(json, meta.times_s);
  if (meta.segments.length === 1 && meta.segments[0] !== frames) throw malformed(`The segments have ${meta.segments[0]} frames, the video ${frames}.`);
  return jsonBytes(json, MAX_META_BYTES, 'META section');
}

/** How many frames a META section promises; the TIME section cannot be read without. */
export function readFrameCount(section: Uint8Array): number {
  return wholeNumber(parseJsonObject(section, MAX_META_BYTES, 'META section'), 'frames', '', 1, MAX_FRAMES);
}

export interface DecodedMeta {
  readonly meta: ContainerMeta;
  /** Which segments META says are coded; null where it has no list of segments. */
  readonly coded: readonly boolean[] | null;
}

/** Reads a META section, checking every field, and joins it with the times. */
export function readMeta(section: Uint8Array, times_s: Float64Array): DecodedMeta {
  return checkMeta(parseJsonObject(section, MAX_META_BYTES, 'META section'), times_s);
}

function checkMeta(json: JsonObject, times_s: Float64Array): DecodedMeta {
  const frames = wholeNumber(json, 'frames', '', 1, MAX_FRAMES);
  const segments = segmentList(json['segments'], frames);
  const source = child(json, 'source');
  const pack = child(json, 'pack');
  const encoder = child(json, 'encoder');
  const meta: ContainerMeta = {
    width: wholeNumber(json, 'width', '', 1, MAX_SIDE),
    height: wholeNumber(json, 'height', '', 1, MAX_SIDE),
    frames,
    segments: segments?.map((segment) => segment.frames) ?? [frames],
    duration_s: seconds(json, 'duration_s', '', MAX_SECONDS),
    source: {
      name: text(source, 'name', 'source.'),
      width: wholeNumber(source, 'width', 'source.', 1, 2 ** 24),
      height: wholeNumber(source, 'height', 'source.', 1, 2 ** 24),
      bytes: source['bytes'] === null ? null : wholeNumber(source, 'bytes', 'source.', 0, Number.MAX_SAFE_INTEGER),
      ...warningsOf(source['warnings']),
    },
    times_s,
    pack: { id: text(pack, 'id', 'pack.'), feature_space: text(pack, 'feature_space', 'pack.') },
    encoder: { preset: text(encoder, 'preset', 'encoder.'), seconds: seconds(encoder, 'seconds', 'encoder.', Number.MAX_SAFE_INTEGER) },
  };
  checkLimit(meta.width * meta.height, MAX_PIXELS, 'The number of pixels of a frame');
  if (times_s.length !== meta.frames) throw malformed(`There are ${times_s.length} times for ${meta.frames} frames.`);
  return { meta, coded: segments?.map((segment) => segment.coded) ?? null };
}

/** The list of segments, whose frames must sum to those of the video; null where there is none. */
function segmentList(value: JsonValue | undefined, frames: number): { frames: number; coded: boolean }[] | null {
  if (value === undefined) return null;
  if (!Array.isArray(value)) throw malformed('The field "segments" of the META section is not a list.');
  const list = value as readonly JsonValue[];
  checkLimit(list.length, MAX_SEGMENTS, 'The number of segments');
  let sum = 0;
  const segments = list.map((entry, k) => {
    if (!isJsonObject(entry)) throw malformed(`The field "segments[${k}]" of the META section is not an object.`);
    const { coded } = entry;
    if (typeof coded !== 'boolean') throw malformed(`The field "segments[${k}].coded" of the META section is neither true nor false.`);
    const count = wholeNumber(entry, 'frames', `segments[${k}].`, 1, MAX_FRAMES);
    sum += count;
    return { frames: count, coded };
  });
  if (sum !== frames) throw malformed(`The segments have ${sum} frames, the video ${frames}.`);
  return segments;
}

/** What could not be read of the source; the field may be missing. */
function warningsOf(value: JsonValue | undefined): { readonly warnings?: readonly string[] } {
  if (value === undefined) return {};
  if (!Array.isArray(value)) throw malformed('The field "source.warnings" of the META section is not a list.');
  const list = value as readonly JsonValue[];
  checkLimit(list.length, MAX_WARNINGS, 'The number of warnings in the META section');
  return { warnings: list.map((_, k) => text(list as unknown as JsonObject, String(k), 'source.warnings.')) };
}

function child(json: JsonObject, key: string): JsonObject {
  const value = json[key];
  if (!isJsonObject(value)) throw malformed(`The field "${key}" of the META section is missing or not an object.`);
  return value;
}

function text(json: JsonObject, key: string, path: string): string {
  const value = json[key];
  if (typeof value !== 'string') throw malformed(`The field "${path}${key}" of the META section is missing or not a string.`);
  checkLimit(value.length, MAX_STRING_LENGTH, `The length of the field "${path}${key}" of the META section`);
  return value;
}

function wholeNumber(json: JsonObject, key: string, path: string, least: number, most: number): number {
  const value = finite(json[key], path + key);
  if (!Number.isInteger(value) || value < least) throw malformed(`The field "${path}${key}" of the META section must be a whole number from ${least} up.`);
  checkLimit(value, most, `The field "${path}${key}" of the META section`);
  return value;
}

function seconds(json: JsonObject, key: string, path: string, most: number): number {
  const value = finite(json[key], path + key);
  if (value < 0) throw malformed(`The field "${path}${key}" of the META section must not be negative.`);
  checkLimit(value, most, `The field "${path}${key}" of the META section`);
  return value;
}

function finite(value: JsonValue | undefined, field: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed(`The field "${field}" of the META section is missing or not a number.`);
  return value;
}

const TICKS_PER_SECOND = 1e6;
const CODED = 0;
const RAW = 1;
/** Tick differences beyond this (9 minutes between frames) make their own differences overflow the integer coder. */
const MAX_TICK_STEP = 2 ** 29;

/**
 * The TIME section of (T) times: u8 form; form 0: f64 first time in whole microseconds, then the second differences of the microseconds
 * (the first of them against a step of 0) through the adaptive range coder; form 1, for gaps of minutes: f64 microseconds each.
 */
export function timesSection(times_s: Float64Array): Uint8Array {
  const ticks = Float64Array.from(times_s, (time) => Math.round(time * TICKS_PER_SECOND));
  checkTicks(ticks);
  const out = new ByteWriter();
  const changes = new Int32Array(Math.max(0, ticks.length - 1));
  let step = 0;
  let codable = true;
  for (let i = 1; i < ticks.length; i++) {
    const next = (ticks[i] as number) - (ticks[i - 1] as number);
    codable &&= next <= MAX_TICK_STEP;
    changes[i - 1] = next - step;
    step = next;
  }
  if (!codable) {
    out.u8(RAW);
    for (const tick of ticks) out.f64(tick);
    return out.finish();
  }
  out.u8(CODED);
  out.f64(ticks[0] ?? 0);
  const stream = encodeIntegers(changes, 1);
  out.bytes(stream);
  for (let length = stream.length; length * MAX_SYMBOLS_PER_BYTE < changes.length; length++) out.u8(0);
  return out.finish();
}

/** Reads a TIME section of `frames` times, in seconds. */
export function readTimes(section: Uint8Array, frames: number): Float64Array {
  const input = new ByteReader(section, 'TIME');
  const form = input.u8();
  let ticks: Float64Array;
  if (form === RAW) {
    checkLimit(frames, input.remaining / 8, 'The number of times in the TIME section');
    ticks = new Float64Array(frames);
    for (let i = 0; i < frames; i++) ticks[i] = input.f64();
    input.end();
  } else if (form === CODED) {
    const first = input.f64();
    const stream = input.bytes(input.remaining);
    checkLimit(frames - 1, stream.length * MAX_SYMBOLS_PER_BYTE, 'The number of times in the TIME section');
    ticks = new Float64Array(frames);
    ticks[0] = first;
    const changes = decodeIntegers(stream, frames - 1, 1);
    let step = 0;
    for (let i = 1; i < frames; i++) {
      step += changes[i - 1] as number;
      ticks[i] = (ticks[i - 1] as number) + step;
    }
  } else {
    throw malformed('The TIME section has a form this format does not have.');
  }
  checkTicks(ticks);
  return ticks.map((tick) => tick / TICKS_PER_SECOND);
}

function checkTicks(ticks: Float64Array): void {
  let previous = -MAX_SECONDS * TICKS_PER_SECOND;
  for (const tick of ticks) {
    if (!Number.isInteger(tick)) throw malformed('The times of the frames must be whole microseconds.');
    if (tick < previous || tick > MAX_SECONDS * TICKS_PER_SECOND) {
      throw malformed(`The times of the frames must not fall and lie within ${MAX_SECONDS} seconds of 0.`);
    }
    previous = tick;
  }
}
