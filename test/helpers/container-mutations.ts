/** Containers that are wrong in one small way or another. */
import type { RandomNumbers } from './random.js';
import { joinSections, splitSections } from './sections.js';

/** Lengths and counts that a reader must not believe. */
export const HUGE = [0, 1, 2, 127, 255, 256, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Changes `bytes` in one small way. Positions near the start are likelier: that is where counts and sizes are. */
export function damage(bytes: Uint8Array, random: RandomNumbers): Uint8Array {
  const out = bytes.slice();
  if (out.length === 0) return out;
  const at = random.uniform() < 0.5 ? random.below(Math.min(out.length, 96)) : random.below(out.length);
  const other = random.below(out.length);
  switch (random.below(6)) {
    case 0:
      out[at] = (out[at] ?? 0) ^ (1 << random.below(8));
      return out;
    case 1:
      out[at] = random.below(256);
      return out;
    case 2:
      return out.subarray(0, at);
    case 3: {
      const size = Math.min(4, out.length - at);
      const value = HUGE[random.below(HUGE.length)] ?? 0;
      for (let i = 0; i < size; i++) out[at + i] = (value >>> (8 * i)) & 255;
      return out;
    }
    case 4:
      return Uint8Array.from([...out.subarray(0, at), ...out.subarray(Math.min(at, other), Math.max(at, other)), ...out.subarray(at)]);
    default:
      return Uint8Array.from([...out.subarray(0, Math.min(at, other)), ...out.subarray(Math.max(at, other))]);
  }
}

/** A list of segments in META that is wrong in one way or another, or was right for another file. */
function damageSegments(meta: Uint8Array, random: RandomNumbers): Uint8Array {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder().decode(meta)) as Record<string, unknown>;
  } catch {
    return meta; // Damaged already.
  }
  if (typeof json !== 'object' || json === null) return meta;
  const count = (): unknown => [random.below(20), -1, 0.5, 1e6, 2 ** 53, null, '3'][random.below(7)];
  const list: unknown = json['segments'] ?? [{ frames: json['frames'], coded: true }];
  if (!Array.isArray(list)) return meta;
  const segments = list.map((entry: unknown) => (typeof entry === 'object' && entry !== null ? { ...entry } : {})) as Record<string, unknown>[];
  const at = random.below(segments.length + 1);
  const entry = segments[at];
  const kind = random.below(7);
  if (kind === 0 && entry) entry['frames'] = count();
  else if (kind === 1 && entry) entry['coded'] = random.uniform() < 0.8 ? entry['coded'] !== true : count();
  else if (kind === 2) segments.splice(at, 1);
  else if (kind === 3) segments.splice(at, 0, { frames: count(), coded: random.uniform() < 0.5 });
  else if (kind === 4) segments.push(...new Array<Record<string, unknown>>(random.below(6000)).fill({ frames: 1, coded: random.uniform() < 0.5 }));
  else if (kind === 5 && entry && typeof entry['frames'] === 'number') {
    // One segment cut in two: the frames still sum to the video's.
    const first = 1 + random.below(Math.max(1, entry['frames'] - 1));
    segments.splice(at, 1, { ...entry, frames: first }, { ...entry, frames: entry['frames'] - first });
  } else json['frames'] = count();
  json['segments'] = random.uniform() < 0.95 ? segments : count();
  return new TextEncoder().encode(JSON.stringify(json));
}

/** A file that is wrong in one to three ways, most of them inside of its sections, whose lengths and checksums are right. */
export function mutate(file: Uint8Array, random: RandomNumbers): Uint8Array {
  if (random.uniform() < 0.15) return damage(file, random);
  const sections = splitSections(file);
  const rounds = 1 + random.below(3);
  for (let i = 0; i < rounds; i++) {
    const section = sections[random.below(sections.length)];
    const other = sections[random.below(sections.length)];
    if (section === undefined || other === undefined) break;
    const kind = random.uniform();
    if (kind < 0.75) section.bytes = damage(section.bytes, random);
    else if (kind < 0.88 && sections[0]) sections[0].bytes = damageSegments(sections[0].bytes, random);
    else if (kind < 0.91) [section.bytes, other.bytes] = [other.bytes, section.bytes];
    else if (kind < 0.94) [section.type, other.type] = [other.type, section.type];
    else if (kind < 0.97) sections.splice(random.below(sections.length), 1);
    else sections.splice(random.below(sections.length + 1), 0, { type: section.type.slice(), bytes: section.bytes });
  }
  return joinSections(sections, file);
}
