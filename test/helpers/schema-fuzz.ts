/** Values made from JSON schemas: mostly fitting, sometimes almost, sometimes not at all. */
import type { RandomNumbers } from './random.js';

/** What is read of a schema; OpenAPI's and typebox's alike. */
export interface FuzzSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly FuzzSchema[];
  readonly properties?: Readonly<Record<string, FuzzSchema>>;
  readonly required?: readonly string[];
  readonly items?: FuzzSchema;
  readonly minimum?: number;
  readonly maximum?: number;
}

const strange: readonly unknown[] = [
  null, true, false, 0, -1, 1.5, 1e308, -1e308, 2 ** 53, '', ' ', '0', 'null', '\u0000', '\ud800', '‮abc', 'video://', 'video://../../etc/passwd', 'data:;base64,AAAA',
  'http://127.0.0.1:1/', '__proto__', 'constructor', '../../../etc/passwd', '%00', 'x'.repeat(5000), '💥'.repeat(500), [], [[]], [null], {}, { type: 'object' },
  { __proto__: null, length: -1 }, { toString: 1 }, Array.from({ length: 300 }, () => 0),
];

export function pick<T>(from: readonly T[], random: RandomNumbers): T {
  return from[Math.floor(random.uniform() * from.length)] as T;
}

/** @param wildness chance of each value to be something else than its schema asks for */
export function fuzzed(schema: FuzzSchema | undefined, random: RandomNumbers, wildness: number, depth = 0): unknown {
  if (!schema || depth > 8 || random.uniform() < wildness) return pick(strange, random);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return pick(schema.enum, random);
  if (schema.anyOf) return fuzzed(pick(schema.anyOf, random), random, wildness, depth + 1);
  switch (typeof schema.type === 'string' ? schema.type : schema.type?.[0]) {
    case 'object':
      return fuzzedObject(schema, random, wildness, depth);
    case 'array':
      return Array.from({ length: Math.floor(random.uniform() * 4) }, () => fuzzed(schema.items, random, wildness, depth + 1));
    case 'string':
      return pick(['Hello?', 'video://vid_0123456789abcdef01234567', 'vid_0123456789abcdef01234567', 'item_1', 'x'], random);
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = minimum + 100 } = schema;
      const value = minimum + random.uniform() * (maximum - minimum);
      return schema.type === 'integer' ? Math.round(value) : value;
    }
    case 'boolean':
      return random.uniform() < 0.5;
    case 'null':
      return null;
    default:
      return pick(strange, random);
  }
}

function fuzzedObject(schema: FuzzSchema, random: RandomNumbers, wildness: number, depth: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const needed = schema.required?.includes(name) ?? false;
    if (random.uniform() < (needed ? 1 - wildness / 2 : 0.4)) value[name] = fuzzed(field, random, wildness, depth + 1);
  }
  if (random.uniform() < wildness / 2) value[String(pick(['extra', '__proto__', '', 'a.b', 'type'], random))] = pick(strange, random);
  return value;
}
