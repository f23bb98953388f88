/**
 * JSON schemas as grammars: what a model writes under one always parses, and satisfies the schema. Objects are written with their properties
 * in the schema's order and no others; white space is at most one blank after a colon or a comma.
 */
import { bytes, choice, later, literal, oneOf, optional, repeat, sequence, type Grammar } from './grammar.js';

/** A schema is part of a request. Of a real one the largest has some hundred parts; each costs memory in every state. */
const MAX_PARTS = 2000;
/** Deeper ones are written by mistake, and recursion must end before the stack does. */
const MAX_DEPTH = 32;
/** Counted in states: longer texts and lists are not limited by the schema but by the answer's length. */
const MAX_COUNT = 4096;
/** Digits on each side of a number's point: more mean nothing in a double. */
const MAX_DIGITS = 15;

/** Raised for a schema that is none, or asks for what a grammar here cannot hold; `path` names the place in it. */
export class SchemaError extends Error {
  constructor(
    readonly path: string,
    what: string,
  ) {
    super(`${path} ${what}`);
  }
}

type Schema = Readonly<Record<string, unknown>>;

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
type JsonType = (typeof TYPES)[number];

/** Say nothing about what is valid. */
const ANNOTATIONS = ['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$schema', '$id', '$comment', 'format'];
const KEYWORDS: Readonly<Record<JsonType, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  number: [],
  integer: [],
  boolean: [],
  null: [],
};
const ANYWHERE = ['type', 'enum', 'const', 'anyOf', '$ref', '$defs', 'definitions', ...ANNOTATIONS];

const digit = bytes([0x30, 0x39]);
const hex = bytes([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]);
const tail = bytes([0x80, 0xbf]);
/** One character inside quotes: RFC 8259's, in well-formed UTF-8; escapes of single surrogates are left out. */
const character = choice(
  bytes([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7e]),
  sequence(bytes([0xc2, 0xdf]), tail),
  sequence(bytes([0xe0, 0xe0]), bytes([0xa0, 0xbf]), tail),
  sequence(bytes([0xe1, 0xec], [0xee, 0xef]), tail, tail),
  sequence(bytes([0xed, 0xed]), bytes([0x80, 0x9f]), tail),
  sequence(bytes([0xf0, 0xf0]), bytes([0x90, 0xbf]), tail, tail),
  sequence(bytes([0xf1, 0xf3]), tail, tail, tail),
  sequence(bytes([0xf4, 0xf4]), bytes([0x80, 0x8f]), tail, tail),
  sequence(literal('\\'), oneOf(['"', '\\', '/', 'b', 'f', 'n', 'r', 't'])),
  sequence(literal('\\u'), choice(sequence(bytes([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]), hex), sequence(oneOf(['d', 'D']), bytes([0x30, 0x37]))), hex, hex),
);
const text = (min: number, max: number): Grammar => sequence(literal('"'), repeat(character, min, max), literal('"'));
const integer = sequence(optional(literal('-')), choice(literal('0'), sequence(bytes([0x31, 0x39]), repeat(digit, 0, MAX_DIGITS - 1))));
const number = sequence(integer, optional(sequence(literal('.'), repeat(digit, 1, MAX_DIGITS))));
const blank = optional(literal(' '));
const comma = sequence(literal(','), blank);
const colon = sequence(literal(':'), blank);

/** Any JSON value and any object, of any depth. */
const anyValue: Grammar = later(() => choice(text(0, Infinity), number, oneOf(['true', 'false', 'null']), anyObject, list(anyValue, 0, Infinity)));
const anyObject: Grammar = (() => {
  const member = sequence(text(0, Infinity), colon, anyValue);
  return sequence(literal('{'), optional(sequence(member, repeat(sequence(comma, member), 0, Infinity))), literal('}'));
})();

/** The grammar of `{"type": "json_object"}`: any one object. */
export const jsonObject = anyObject;

/** @throws SchemaError naming the part of the schema that is wrong or not supported */
export function jsonSchema(schema: unknown): Grammar {
  return new Compiler(schema).grammar();
}

class Compiler {
  #parts = 0;
  readonly #referenced = new Map<string, Grammar>();

  constructor(private readonly root: unknown) {}

  grammar(): Grammar {
    return this.compile(this.root, '#', 0);
  }

  private compile(schema: unknown, path: string, depth: number): Grammar {
    if (++this.#parts > MAX_PARTS) throw new SchemaError(path, `is more than the ${MAX_PARTS} parts a schema may have`);
    if (depth > MAX_DEPTH) throw new SchemaError(path, `lies deeper than ${MAX_DEPTH}`);
    if (schema === true) return anyValue;
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw new SchemaError(path, 'must be a schema: an object, or true');
    const parts = schema as Schema;
    if (parts['$ref'] !== undefined) return this.reference(parts['$ref'], path);
    if (parts['const'] !== undefined) return literal(JSON.stringify(parts['const']));
    if (parts['enum'] !== undefined) return oneOf(listOf(parts['enum'], `${path}/enum`).map((value) => JSON.stringify(value)));
    if (parts['anyOf'] !== undefined) return choice(...listOf(parts['anyOf'], `${path}/anyOf`).map((part, i) => this.compile(part, `${path}/anyOf/${i}`, depth + 1)));
    const types = typesOf(parts, path);
    checkKeywords(parts, types, path);
    return choice(...types.map((type) => this.typed(type, parts, path, depth)));
  }

  private typed(type: JsonType, schema: Schema, path: string, depth: number): Grammar {
    switch (type) {
      case 'object':
        return this.object(schema, path, depth);
      case 'array': {
        const [min, max] = [countOf(schema, 'minItems', 0, path), countOf(schema, 'maxItems', Infinity, path)];
        return list(schema['items'] === undefined ? anyValue : this.compile(schema['items'], `${path}/items`, depth + 1), min, max, path);
      }
      case 'string': {
        const [min, max] = [countOf(schema, 'minLength', 0, path), countOf(schema, 'maxLength', Infinity, path)];
        if (min > max) throw new SchemaError(`${path}/minLength`, 'is more than maxLength');
        return text(min, max);
      }
      case 'number':
        return number;
      case 'integer':
        return integer;
      case 'boolean':
        return oneOf(['true', 'false']);
      case 'null':
        return literal('null');
    }
  }

  private object(schema: Schema, path: string, depth: number): Grammar {
    const { properties, required = [], additionalProperties } = schema;
    if (properties === undefined) {
      if (additionalProperties !== false && listOf(required, `${path}/required`, 0).length === 0) return anyObject;
      return this.object({ ...schema, properties: {} }, path, depth);
    }
    if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) throw new SchemaError(`${path}/properties`, 'must be an object of schemas');
    const needed = new Set(listOf(required, `${path}/required`, 0));
    const members = Object.entries(properties as Schema).map(([name, part]) => ({
      needed: needed.delete(name),
      member: sequence(literal(JSON.stringify(name)), colon, this.compile(part, `${path}/properties/${name}`, depth + 1)),
    }));
    const [unknown] = needed;
    if (unknown !== undefined) throw new SchemaError(`${path}/required`, `names ${JSON.stringify(unknown)}, which is not among the properties`);
    // From the end: what may follow when a member was written before, and when none was.
    let after: Grammar = literal('}');
    let first: Grammar = after;
    for (const { member, needed: must } of members.reverse()) {
      const [written, begun] = [sequence(comma, member, after), sequence(member, after)];
      [after, first] = must ? [written, begun] : [choice(written, after), choice(begun, first)];
    }
    return sequence(literal('{'), first);
  }

  /** `#/$defs/Name` and `#`: compiled once, so that schemas may name themselves. */
  private reference(target: unknown, path: string): Grammar {
    if (typeof target !== 'string' || !/^#(?:\/(?:\$defs|definitions)\/[^/]+)?$/.test(target)) {
      throw new SchemaError(`${path}/$ref`, 'must be "#" or name a part of the schema, as "#/$defs/Name"');
    }
    let grammar = this.#referenced.get(target);
    if (grammar === undefined) {
      let made: Grammar | null = null;
      grammar = later(() => made as Grammar);
      this.#referenced.set(target, grammar);
      const [, group = '', name = ''] = target.split('/');
      const defined = target === '#' ? this.root : ((this.root as Schema)[group] as Schema | undefined)?.[name];
      if (defined === undefined) throw new SchemaError(`${path}/$ref`, `names ${target}, which is not there`);
      if ((defined as Schema)['$ref'] !== undefined) throw new SchemaError(`${path}/$ref`, 'names a part that is itself a $ref');
      made = this.compile(defined, target, 0);
    }
    return grammar;
  }
}

function list(item: Grammar, min: number, max: number, path = '#'): Grammar {
  if (min > max) throw new SchemaError(`${path}/minItems`, 'is more than maxItems');
  if (max === 0) return literal('[]');
  const items = sequence(item, repeat(sequence(comma, item), Math.max(0, min - 1), max - 1));
  return sequence(literal('['), min === 0 ? optional(items) : items, literal(']'));
}

function typesOf(schema: Schema, path: string): JsonType[] {
  const { type } = schema;
  if (type === undefined) {
    const implied = TYPES.filter((name) => KEYWORDS[name].some((keyword) => schema[keyword] !== undefined));
    return implied.length > 0 ? implied : [...TYPES];
  }
  return (Array.isArray(type) ? (type as unknown[]) : [type]).map((name) => {
    const known = TYPES.find((other) => other === name);
    if (known === undefined) throw new SchemaError(`${path}/type`, `must be of ${TYPES.join(', ')}`);
    return known;
  });
}

/** What is not known would be left unmet, and the caller would not know. */
function checkKeywords(schema: Schema, types: readonly JsonType[], path: string): void {
  const known = [...ANYWHERE, ...types.flatMap((type) => KEYWORDS[type])];
  const unknown = Object.keys(schema).find((keyword) => !known.includes(keyword));
  if (unknown !== undefined) throw new SchemaError(`${path}/${unknown}`, 'is not supported');
  const { additionalProperties } = schema;
  if (additionalProperties !== undefined && typeof additionalProperties !== 'boolean') throw new SchemaError(`${path}/additionalProperties`, 'must be true or false');
}

function listOf(value: unknown, path: string, least = 1): unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > MAX_PARTS) throw new SchemaError(path, `must be a list of ${least} to ${MAX_PARTS}`);
  return value as unknown[];
}

function countOf(schema: Schema, keyword: string, otherwise: number, path: string): number {
  const value = schema[keyword];
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_COUNT) return value;
  throw new SchemaError(`${path}/${keyword}`, `must be a whole number from 0 to ${MAX_COUNT}`);
}
