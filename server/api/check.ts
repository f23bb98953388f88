/** Checks JSON that clients send against its schema, and says in plain words what is wrong. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { ApiError } from '../errors.js';

/**
 * Stands beside a schema that accepts only what asks for nothing special, and says why there is no more: it follows
 * the field's name. A value that does not fit is then refused as `unsupported_parameter`, not as a wrong value.
 */
export const REFUSAL = 'x-refusal';

/** What is read of a schema to explain why a value does not fit it. */
interface Shape {
  readonly [REFUSAL]?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly items?: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/** Longest name of a field in an error: clients may send names of any length. */
const LONGEST_PARAM = 200;
/** Longest value that an error repeats. */
const LONGEST_VALUE = 60;

/**
 * A function that gives a value as its schema's type. Fields that are null are as if they were left out, known ones and
 * others alike; they are removed from the value itself.
 * @param whole what the value is called where it is wrong as a whole
 */
export function checker<T extends TSchema>(schema: T, whole = 'body'): (value: unknown) => Static<T> {
  const validator = Compile(schema);
  return (value) => {
    dropNulls(value);
    if (validator.Check(value)) return value;
    throw explain(schema, value, whole);
  };
}

/** Fastify's own validator turns texts into numbers, which an address needs and a JSON body must not have. */
export function strictValidator({
  schema,
}: {
  schema: unknown;
}): (value: unknown) => { value: unknown } | { error: Error } {
  const check = checker(schema as TSchema);
  return (value) => {
    try {
      return { value: check(value) };
    } catch (error) {
      return { error: error as Error };
    }
  };
}

/** The error for a value that does not fit its schema. */
export function explain(schema: TSchema, value: unknown, whole = 'body'): ApiError {
  return problemOf(schema as Shape, value, '') ?? wrong('', whole, 'is not valid');

  function problemOf(shape: Shape, at: unknown, place: string): ApiError | null {
    if (Value.Check(shape as TSchema, at)) return null;
    const refusal = shape[REFUSAL];
    if (refusal !== undefined)
      return new ApiError('unsupported_parameter', {
        param: named(place),
        message: `The field "${named(place)}" ${refusal}`,
      });
    if (shape.anyOf) return ofUnion(shape.anyOf, at, place);
    if (shape.enum) return wrong(place, whole, `is ${shown(at)}; it must be one of ${shape.enum.join(', ')}`);
    if (shape.const !== undefined)
      return wrong(place, whole, `is ${shown(at)}; it must be ${JSON.stringify(shape.const)}`);
    if (shape.type !== undefined && !isOfType(shape.type, at))
      return wrong(place, whole, `is ${shown(at)}; it must be ${typeName(shape)}`);
    if (isObject(at)) return ofObject(shape, at, place);
    if (Array.isArray(at)) return ofList(shape, at, place);
    return wrong(place, whole, rangeRule(shape, at));
  }

  function ofObject(shape: Shape, at: Readonly<Record<string, unknown>>, place: string): ApiError {
    const { properties = {}, required = [] } = shape;
    const of = (name: string): string => named(place === '' ? name : `${place}.${name}`);
    const missing = required.find((name) => !Object.hasOwn(at, name));
    const unknown = Object.keys(at).find((name) => !Object.hasOwn(properties, name));
    if (unknown !== undefined && shape.additionalProperties === false) {
      return new ApiError('unsupported_parameter', {
        param: of(unknown),
        message: `The field "${of(unknown)}" is not supported.`,
      });
    }
    if (missing !== undefined)
      return new ApiError('invalid_request', { param: of(missing), message: `The field "${of(missing)}" is missing.` });
    const other =
      typeof shape.additionalProperties === 'object'
        ? shape.additionalProperties
        : Object.values(shape.patternProperties ?? {})[0];
    for (const [name, field] of Object.entries(at)) {
      const schemaOfField = Object.hasOwn(properties, name) ? properties[name] : other;
      const problem = schemaOfField && problemOf(schemaOfField, field, of(name));
      if (problem) return problem;
    }
    return wrong(place, whole, 'has too many or too few fields, or one whose name is not allowed');
  }

  function ofList(shape: Shape, at: readonly unknown[], place: string): ApiError {
    const { minItems = 0, maxItems = Infinity, items } = shape;
    if (at.length < minItems)
      return wrong(
        place,
        whole,
        at.length === 0 ? 'is empty' : `has ${at.length} entries; it must have at least ${minItems}`,
      );
    if (at.length > maxItems) return wrong(place, whole, `has ${at.length} entries; at most ${maxItems} are allowed`);
    for (const [index, entry] of at.entries()) {
      const problem = items && problemOf(items, entry, `${place}[${index}]`);
      if (problem) return problem;
    }
    return wrong(place, whole, 'is not a valid list');
  }

  /** Explains the object that was meant, where a field tells objects apart, else the alternative of the value's kind. */
  function ofUnion(branches: readonly Shape[], at: unknown, place: string): ApiError {
    const flat = branches.flatMap((branch) => branch.anyOf ?? [branch]);
    const like = flat.filter((branch) => isOfType(kindOf(branch), at));
    const name = NAMES_THE_KIND.find(
      (field) => like.length > 1 && like.every(({ properties }) => valuesOf(properties?.[field]).length > 0),
    );
    if (isObject(at) && name !== undefined) {
      const kinds = new Map(
        like.flatMap((branch) => valuesOf(branch.properties?.[name]).map((value) => [value, branch] as const)),
      );
      // Where the field may be left out, it is left out of the first.
      const meant = Object.hasOwn(at, name)
        ? kinds.get(at[name])
        : like.find(({ required = [] }) => !required.includes(name));
      if (meant) return problemOf(meant, at, place) ?? wrong(place, whole, 'is not valid');
      const field = named(place === '' ? name : `${place}.${name}`);
      if (at[name] === undefined)
        return new ApiError('invalid_request', { param: field, message: `The field "${field}" is missing.` });
      return wrong(place, whole, `is of ${name} ${shown(at[name])}; it must be one of ${[...kinds.keys()].join(', ')}`);
    }
    const [only] = like;
    if (only && like.length === 1) return problemOf(only, at, place) ?? wrong(place, whole, 'is not valid');
    return wrong(place, whole, `is ${shown(at)}; it must be ${[...new Set(flat.map(typeName))].join(' or ')}`);
  }
}

/** Fields by which objects of one list are told apart. */
const NAMES_THE_KIND = ['type', 'role'];

/** Removes fields that are null, at any depth that a request has; schemas of the user's own are left alone. */
function dropNulls(value: unknown, depth = 0): void {
  if (depth > DEEPEST) return;
  if (Array.isArray(value)) {
    for (const entry of value) dropNulls(entry, depth + 1);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, field] of Object.entries(value)) {
    if (field === null) delete value[name];
    else if (!USERS_OWN.has(name)) dropNulls(field, depth + 1);
  }
}

/** A part's address lies five deep in a request: messages, message, content, part, video_url. */
const DEEPEST = 8;
/** What these hold is the user's: in a JSON schema null is a value. */
const USERS_OWN = new Set(['schema', 'metadata']);

function wrong(place: string, whole: string, rule: string): ApiError {
  const param = named(place) || whole;
  return new ApiError('invalid_request', { param, message: `The field "${param}" ${rule}.` });
}

function named(place: string): string {
  return place.slice(0, LONGEST_PARAM);
}

/** The values that a field may have, where they are listed; null is none of them. */
function valuesOf(shape: Shape | undefined): readonly unknown[] {
  if (shape?.anyOf) return shape.anyOf.flatMap(valuesOf);
  if (shape?.const !== undefined) return [shape.const];
  return shape?.enum ?? [];
}

function kindOf({ type, const: constant, enum: values }: Shape): string | undefined {
  return type ?? (constant !== undefined ? typeof constant : values?.[0] === undefined ? undefined : typeof values[0]);
}

function isOfType(type: string | undefined, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
};

function typeName(shape: Shape): string {
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.enum) return `one of ${shape.enum.join(', ')}`;
  return typeNames[shape.type ?? ''] ?? 'something else';
}

function rangeRule({ minimum, exclusiveMinimum, maximum, minLength, maxLength }: Shape, value: unknown): string {
  if (typeof value === 'string') {
    if (minLength !== undefined && value.length < minLength)
      return value === '' ? 'is an empty text' : `has ${value.length} characters; it must have at least ${minLength}`;
    if (maxLength !== undefined && value.length > maxLength)
      return `has ${value.length} characters; at most ${maxLength} are allowed`;
  }
  const least = exclusiveMinimum === undefined ? minimum : `more than ${exclusiveMinimum}`;
  if (least !== undefined && maximum !== undefined) return `is ${shown(value)}; it must be from ${least} to ${maximum}`;
  if (least !== undefined) return `is ${shown(value)}; it must be ${least} or more`;
  if (maximum !== undefined) return `is ${shown(value)}; it must be ${maximum} or less`;
  return 'is not valid';
}

/** A value as an error repeats it; large ones are told by their kind. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (isObject(value)) return 'an object';
  if (Array.isArray(value)) return 'a list';
  const text = JSON.stringify(value);
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}…`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
