/** Reads the keywords of JSON schemas into forms. What it does not know, and what no answer could be held to, it refuses by name. */
import type { Bound } from './number-text.js';
import { SchemaError } from './schema-error.js';
import { allows, ANYTHING, both, united, weightOf, type Form, type Part, type Parts } from './schema-forms.js';
import { MAX_COUNT, MAX_NESTING, MAX_PAIRS, MAX_PARTS } from './schema-limits.js';

type Schema = Readonly<Record<string, unknown>>;

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const;
type JsonType = (typeof TYPES)[number];

/** Say nothing about what is valid; formats neither, unless a validator is told to look at them. Names that begin with "x-" are of this kind. */
const ANNOTATIONS = [
  'title', 'description', 'default', 'example', 'examples', 'deprecated', 'readOnly', 'writeOnly', 'format', 'contentEncoding', 'contentMediaType',
  'discriminator', '$schema', '$comment', 'markdownDescription', 'errorMessage',
];
const KEYWORDS: Readonly<Record<JsonType, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
};
const KNOWN = new Set([
  ...ANNOTATIONS, ...Object.values(KEYWORDS).flat(),
  'type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref', '$defs', 'definitions', '$id',
]);

const TOO_MANY_PAIRS = 'has too many alternatives that must hold together with others, or be told apart from them';

export class SchemaReader {
  #parts = 0;
  #pairs = 0;
  /** A part that several others name is read once. */
  readonly #read = new Map<unknown, readonly Form[]>();
  /** References that lead here without a property or an item between. */
  readonly #resolving = new Set<string>();
  #depth = 0;

  constructor(private readonly root: unknown) {}

  /** What all of `parts` allow, less what nothing is said about where something is said. */
  formsOf(parts: Parts): readonly Form[] {
    const forms = this.#allOf(parts);
    const said = forms.filter(({ free }) => !free);
    return said.length > 0 ? said : forms;
  }

  #allOf(parts: Parts): readonly Form[] {
    let forms = ANYTHING;
    for (const part of parts) forms = this.#both(forms, this.#formsOf(part), part.path);
    return forms;
  }

  #both(a: readonly Form[], b: readonly Form[], path: string): readonly Form[] {
    if (a === ANYTHING) return b;
    const weight = (forms: readonly Form[]): number => forms.reduce((sum, form) => sum + weightOf(form), 0);
    this.#pairs += weight(a) * b.length + weight(b) * a.length;
    if (this.#pairs > MAX_PAIRS) throw new SchemaError(path, TOO_MANY_PAIRS);
    return united(a.flatMap((one) => b.flatMap((other) => both(one, other, this.#fits) ?? [])), path);
  }

  readonly #fits = (value: unknown, parts: Parts): boolean => this.#allOf(parts).some((form) => allows(form, value, this.#fits));

  #formsOf({ schema, path }: Part): readonly Form[] {
    const known = this.#read.get(schema);
    if (known !== undefined) return known;
    this.#count(path);
    if (schema === true) return ANYTHING;
    if (schema === false) return [];
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw new SchemaError(path, 'must be a schema: an object, true or false');
    if (this.#depth > MAX_NESTING) throw new SchemaError(path, `is reached through more than ${MAX_NESTING} others`);
    this.#depth += 1;
    try {
      const forms = this.#keywords(schema as Schema, path);
      this.#read.set(schema, forms);
      return forms;
    } finally {
      this.#depth -= 1;
    }
  }

  #count(path: string): void {
    if (++this.#parts > MAX_PARTS) throw new SchemaError(path, `is more than the ${MAX_PARTS} parts a schema may have`);
  }

  #keywords(schema: Schema, path: string): readonly Form[] {
    this.#check(schema, path);
    let forms = this.#typed(schema, path);
    const and = (others: readonly Form[], keyword: string): void => {
      forms = this.#both(forms, others, `${path}/${keyword}`);
    };
    if (schema['const'] !== undefined) and([{ type: 'values', free: false, values: [schema['const']] }], 'const');
    if (schema['enum'] !== undefined) {
      const values = listOf(schema['enum'], `${path}/enum`);
      for (let index = 0; index < values.length; index++) this.#count(`${path}/enum/${index}`);
      and([{ type: 'values', free: false, values }], 'enum');
    }
    if (schema['$ref'] !== undefined) and(this.#referenced(schema['$ref'], path), '$ref');
    for (const [index, part] of listOf(schema['allOf'] ?? [], `${path}/allOf`, schema['allOf'] === undefined ? 0 : 1).entries()) {
      and(this.#formsOf({ schema: part, path: `${path}/allOf/${index}` }), `allOf/${index}`);
    }
    for (const keyword of ['anyOf', 'oneOf']) {
      if (schema[keyword] === undefined) continue;
      const parts = listOf(schema[keyword], `${path}/${keyword}`).map((part, index) => ({ schema: part, path: `${path}/${keyword}/${index}` }));
      if (keyword === 'oneOf') this.#apart(parts, `${path}/oneOf`);
      and(united(parts.flatMap((part) => this.formsOf([part])), `${path}/${keyword}`), keyword);
    }
    return forms;
  }

  /** What is not known would be left unmet, and the caller would not know. */
  #check(schema: Schema, path: string): void {
    const unknown = Object.keys(schema).find((keyword) => !KNOWN.has(keyword) && !keyword.startsWith('x-'));
    if (unknown !== undefined) throw new SchemaError(`${path}/${unknown.slice(0, 40)}`, 'is not supported');
    if (schema['$id'] !== undefined && path !== '#') throw new SchemaError(`${path}/$id`, 'is supported at the top of a schema only');
    if ((schema['uniqueItems'] ?? false) !== false) throw new SchemaError(`${path}/uniqueItems`, 'is not supported');
    const names = schema['propertyNames'];
    const anyName = names === undefined || names === true || (typeof names === 'object' && names !== null && Object.entries(names).every(([key, value]) => key === 'type' && value === 'string'));
    if (!anyName) throw new SchemaError(`${path}/propertyNames`, 'is not supported');
  }

  #typed(schema: Schema, path: string): readonly Form[] {
    const { type } = schema;
    const said = TYPES.filter((name) => KEYWORDS[name].some((keyword) => schema[keyword] !== undefined));
    if (type === undefined && said.length === 0) return ANYTHING;
    const names = type === undefined ? TYPES : Array.isArray(type) ? listOf(type, `${path}/type`) : [type];
    const types = new Set<JsonType>();
    for (const name of names) {
      if (type !== undefined) this.#count(`${path}/type`);
      const known = TYPES.find((other) => other === name);
      if (known === undefined) throw new SchemaError(`${path}/type`, `must be of ${TYPES.join(', ')}`);
      if (types.has(known)) throw new SchemaError(`${path}/type`, `names "${known}" twice`);
      types.add(known);
    }
    if (types.has('number')) types.delete('integer');
    return united([...types].map((name) => this.#form(name, type === undefined && !said.includes(name), schema, path)), path);
  }

  #form(type: JsonType, free: boolean, schema: Schema, path: string): Form {
    switch (type) {
      case 'null':
        return { type: 'values', free, values: [null] };
      case 'boolean':
        return { type: 'values', free, values: [true, false] };
      case 'string':
        return { type: 'string', free, ...countsOf(schema, 'minLength', 'maxLength', path) };
      case 'number':
      case 'integer':
        return { type: 'number', free, integer: type === 'integer', low: boundOf(schema, 'minimum', 'exclusiveMinimum', path), high: boundOf(schema, 'maximum', 'exclusiveMaximum', path) };
      case 'array': {
        const { items } = schema;
        if (Array.isArray(items)) throw new SchemaError(`${path}/items`, 'must be one schema for all items');
        return { type: 'array', free, items: items === undefined ? [] : [{ schema: items, path: `${path}/items` }], ...countsOf(schema, 'minItems', 'maxItems', path) };
      }
      case 'object':
        return this.#object(free, schema, path);
    }
  }

  #object(free: boolean, schema: Schema, path: string): Form {
    const { properties = {}, required = [], additionalProperties: others } = schema;
    if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) throw new SchemaError(`${path}/properties`, 'must be an object of schemas');
    const names = listOf(required, `${path}/required`, 0);
    const wrong = names.find((name) => typeof name !== 'string');
    if (wrong !== undefined) throw new SchemaError(`${path}/required`, 'must be a list of names');
    return {
      type: 'object',
      free,
      path,
      properties: new Map(Object.entries(properties as Schema).map(([name, part]) => [name, [{ schema: part, path: `${path}/properties/${name}` }]])),
      required: new Set(names as string[]),
      others: others === false ? null : others === undefined || others === true ? [] : [{ schema: others, path: `${path}/additionalProperties` }],
    };
  }

  /** `#/$defs/Name`, `#` and any other place in the schema: read once, so that schemas may name themselves. */
  #referenced(target: unknown, path: string): readonly Form[] {
    const place = `${path}/$ref`;
    if (typeof target !== 'string' || !/^#(?:\/|$)/.test(target)) throw new SchemaError(place, 'must be "#" or name a part of the schema, as "#/$defs/Name"');
    const name = target.slice(0, 100);
    if (this.#resolving.has(target)) throw new SchemaError(place, `leads back to ${name} without a property or an item between`);
    let part: unknown = this.root;
    for (const step of target.split('/').slice(1).map(pointerStep)) {
      if (typeof part !== 'object' || part === null || !Object.hasOwn(part, step)) throw new SchemaError(place, `names ${name}, which is not there`);
      part = (part as Schema)[step];
    }
    this.#resolving.add(target);
    try {
      return this.#formsOf({ schema: part, path: target });
    } finally {
      this.#resolving.delete(target);
    }
  }

  /** Exactly one of several can be promised only where nothing that is written for one fits another. */
  #apart(parts: Parts, path: string): void {
    for (const part of parts) {
      const written = this.formsOf([part]);
      for (const other of parts) {
        if (other === part || !this.#formsOf(other).some((form) => written.some((own) => this.#meet(own, form)))) continue;
        throw new SchemaError(path, 'has alternatives that one value could fit both: use anyOf, or let a required property have another const in each');
      }
    }
  }

  #meet(a: Form, b: Form): boolean {
    this.#pairs += weightOf(a) + weightOf(b);
    if (this.#pairs > MAX_PAIRS) throw new SchemaError('#', TOO_MANY_PAIRS);
    const common = both(a, b, this.#fits);
    if (common?.type !== 'object') return common !== null;
    return ![...common.required].some((name) => this.#allOf(common.properties.get(name) ?? []).length === 0);
  }
}

function pointerStep(step: string): string {
  let text = step;
  try {
    text = decodeURIComponent(step);
  } catch {
    // A percent sign that stands for itself.
  }
  return text.replaceAll('~1', '/').replaceAll('~0', '~');
}

function listOf(value: unknown, path: string, least = 1): unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > MAX_PARTS) throw new SchemaError(path, `must be a list of ${least} to ${MAX_PARTS}`);
  return value as unknown[];
}

function countsOf(schema: Schema, least: string, most: string, path: string): { min: number; max: number } {
  const [min, max] = [countOf(schema, least, 0, path), countOf(schema, most, Infinity, path)];
  if (min > max) throw new SchemaError(`${path}/${least}`, `is more than ${most}`);
  return { min, max };
}

function countOf(schema: Schema, keyword: string, otherwise: number, path: string): number {
  const value = schema[keyword];
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_COUNT) return value;
  throw new SchemaError(`${path}/${keyword}`, `must be a whole number from 0 to ${MAX_COUNT}`);
}

function boundOf(schema: Schema, inclusive: string, exclusive: string, path: string): Bound | null {
  let bound: Bound | null = null;
  for (const keyword of [inclusive, exclusive]) {
    const value = schema[keyword];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new SchemaError(`${path}/${keyword}`, 'must be a number');
    const other: Bound = { value, exclusive: keyword === exclusive };
    bound = bound === null || (inclusive === 'minimum' ? value >= bound.value : value <= bound.value) ? other : bound;
  }
  return bound;
}
