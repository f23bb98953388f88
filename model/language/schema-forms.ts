/**
 * What a JSON schema allows, as alternatives that each hold one type's conditions: keywords beside each other ($ref, allOf, anyOf, enum and
 * types) all hold, so their alternatives are put together pair by pair.
 */
import type { Bound } from './number-text.js';
import { SchemaError } from './schema-error.js';
import { MAX_ALTERNATIVES } from './schema-limits.js';

/** A schema with its place. */
export interface Part {
  readonly schema: unknown;
  readonly path: string;
}

/** Schemas that must hold at once; none: anything goes. */
export type Parts = readonly Part[];

interface Common {
  /** Nothing was said about it: it is left out where something was said about other types. */
  readonly free: boolean;
}
export interface Values extends Common {
  readonly type: 'values';
  readonly values: readonly unknown[];
}
export interface Text extends Common {
  readonly type: 'string';
  readonly min: number;
  readonly max: number;
}
export interface Numbers extends Common {
  readonly type: 'number';
  readonly integer: boolean;
  readonly low: Bound | null;
  readonly high: Bound | null;
}
export interface List extends Common {
  readonly type: 'array';
  readonly items: Parts;
  readonly min: number;
  readonly max: number;
}
export interface Properties extends Common {
  readonly type: 'object';
  readonly path: string;
  /** In the order in which they are written. */
  readonly properties: ReadonlyMap<string, Parts>;
  readonly required: ReadonlySet<string>;
  /** What all others must be; null: there are none. */
  readonly others: Parts | null;
}
export type Form = Values | Text | Numbers | List | Properties;

/** Every value there is. */
export const ANYTHING: readonly Form[] = [
  { type: 'values', free: true, values: [true, false, null] },
  { type: 'string', free: true, min: 0, max: Infinity },
  { type: 'number', free: true, integer: false, low: null, high: null },
  { type: 'array', free: true, items: [], min: 0, max: Infinity },
  { type: 'object', free: true, path: '#', properties: new Map(), required: new Set(), others: [] },
];

const NEVER: Part = { schema: false, path: '#' };

/** Whether a value is allowed by all of `parts`. */
export type Fits = (value: unknown, parts: Parts) => boolean;

/** What both allow, or null where that is nothing. */
export function both(a: Form, b: Form, fits: Fits): Form | null {
  const free = a.free && b.free;
  if (a.type === 'values') {
    const values = a.values.filter((value) => allows(b, value, fits));
    return values.length === 0 ? null : { type: 'values', free, values };
  }
  if (b.type === 'values') return both(b, a, fits);
  if (a.type === 'string' && b.type === 'string') {
    const [min, max] = [Math.max(a.min, b.min), Math.min(a.max, b.max)];
    return min > max ? null : { type: 'string', free, min, max };
  }
  if (a.type === 'number' && b.type === 'number') {
    const [low, high] = [tighter(a.low, b.low, 1), tighter(a.high, b.high, -1)];
    return { type: 'number', free, integer: a.integer || b.integer, low, high };
  }
  if (a.type === 'array' && b.type === 'array') {
    const [min, max] = [Math.max(a.min, b.min), Math.min(a.max, b.max)];
    return min > max ? null : { type: 'array', free, items: together(a.items, b.items), min, max };
  }
  if (a.type === 'object' && b.type === 'object') {
    const properties = new Map<string, Parts>();
    const of = ({ properties, others }: Properties, name: string): Parts => properties.get(name) ?? others ?? [NEVER];
    for (const name of [...a.properties.keys(), ...b.properties.keys()]) properties.set(name, together(of(a, name), of(b, name)));
    const others = a.others === null || b.others === null ? null : together(a.others, b.others);
    return { type: 'object', free, path: a.free ? b.path : a.path, properties, required: new Set([...a.required, ...b.required]), others };
  }
  return null;
}

function together(a: Parts, b: Parts): Parts {
  return [...a, ...b.filter(({ schema }) => !a.some((other) => other.schema === schema))];
}

/** The greater of two lower bounds (`sign` 1), or the less of two upper ones (-1). */
export function tighter(a: Bound | null, b: Bound | null, sign: 1 | -1): Bound | null {
  if (a === null || b === null) return a ?? b;
  if (a.value === b.value) return a.exclusive ? a : b;
  return sign * (a.value - b.value) > 0 ? a : b;
}

/** Whether a value is allowed by a form. */
export function allows(form: Form, value: unknown, fits: Fits): boolean {
  switch (form.type) {
    case 'values':
      return textsOf(form).has(canonical(value));
    case 'string': {
      const length = typeof value === 'string' ? [...value].length : -1;
      return length >= form.min && length <= form.max;
    }
    case 'number':
      return typeof value === 'number' && (!form.integer || Number.isInteger(value)) && keeps(value, form);
    case 'array':
      return Array.isArray(value) && value.length >= form.min && value.length <= form.max && (form.items.length === 0 || value.every((item) => fits(item, form.items)));
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
      const { properties, required, others } = form;
      for (const name of required) if (!Object.hasOwn(value, name)) return false;
      return Object.entries(value).every(([name, part]) => {
        const parts = properties.get(name) ?? others;
        return parts !== null && (parts.length === 0 || fits(part, parts));
      });
    }
  }
}

function keeps(value: number, { low, high }: Numbers): boolean {
  if (low !== null && (value < low.value || (low.exclusive && value === low.value))) return false;
  return high === null || value < high.value || (!high.exclusive && value === high.value);
}

const valueTexts = new WeakMap<Values, ReadonlySet<string>>();

function textsOf(form: Values): ReadonlySet<string> {
  let known = valueTexts.get(form);
  if (known === undefined) valueTexts.set(form, (known = new Set(form.values.map(canonical))));
  return known;
}

/** What it costs to put a form together with another. */
export function weightOf(form: Form): number {
  return form.type === 'object' ? 1 + form.properties.size : form.type === 'values' ? 1 + form.values.length : 1;
}

/** A value's text, the same for equal values. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}:${canonical(part)}`);
  return `{${entries.sort().join()}}`;
}

/** The same alternatives with those that overlap made one. @throws SchemaError where too many are left */
export function united(forms: readonly Form[], path: string): Form[] {
  const made: Form[] = [];
  for (const free of [false, true]) {
    const alike = forms.filter((form) => form.free === free);
    const values = alike.flatMap((form) => (form.type === 'values' ? form.values : []));
    if (values.length > 0) made.push({ type: 'values', free, values: [...new Map(values.map((value) => [canonical(value), value])).values()] });
    made.push(...unitedTexts(alike.filter((form) => form.type === 'string')));
    made.push(...unitedNumbers(alike.filter((form) => form.type === 'number')));
    made.push(...unitedLists(alike.filter((form) => form.type === 'array')));
    made.push(...new Map(alike.filter((form) => form.type === 'object').map((form) => [keyOf(form), form])).values());
  }
  if (made.length > MAX_ALTERNATIVES) throw new SchemaError(path, `has ${made.length} alternatives; it may have ${MAX_ALTERNATIVES}`);
  return made;
}

function unitedTexts<Range extends Text | List>(forms: readonly Range[]): Range[] {
  const made: Range[] = [];
  for (const form of [...forms].sort((a, b) => a.min - b.min)) {
    const last = made.at(-1);
    if (last !== undefined && form.min <= last.max + 1) made[made.length - 1] = { ...last, max: Math.max(last.max, form.max) };
    else made.push(form);
  }
  return made;
}

function unitedLists(forms: readonly List[]): List[] {
  const byItems = new Map<string, List[]>();
  for (const form of forms) {
    const key = partsKey(form.items);
    const alike = byItems.get(key);
    if (alike === undefined) byItems.set(key, [form]);
    else alike.push(form);
  }
  return [...byItems.values()].flatMap(unitedTexts);
}

function unitedNumbers(forms: readonly Numbers[]): Numbers[] {
  const made: Numbers[] = [];
  const start = ({ low }: Numbers): number => low?.value ?? -Infinity;
  for (const integer of [true, false]) {
    let last: Numbers | undefined;
    for (const form of forms.filter((other) => other.integer === integer).sort((a, b) => start(a) - start(b) || Number(a.low?.exclusive) - Number(b.low?.exclusive))) {
      const meet = last !== undefined && (last.high === null || start(form) < last.high.value || (start(form) === last.high.value && !last.high.exclusive));
      if (last === undefined || !meet) {
        if (last !== undefined) made.push(last);
        last = form;
      } else last = { ...last, high: last.high === null || form.high === null ? null : tighter(last.high, form.high, 1) };
    }
    if (last !== undefined) made.push(last);
  }
  // A whole number is a number as well.
  const all = made.some(({ integer, low, high }) => !integer && low === null && high === null);
  return all ? made.filter(({ integer }) => !integer) : made;
}

const texts = new WeakMap<object, string>();

/** Equal for schemas that say the same in the same words. */
export function partsKey(parts: Parts): string {
  return parts.map(({ schema }) => textOf(schema)).join('&');
}

function textOf(schema: unknown): string {
  if (typeof schema !== 'object' || schema === null) return JSON.stringify(schema);
  let text = texts.get(schema);
  if (text === undefined) texts.set(schema, (text = JSON.stringify(schema)));
  return text;
}

function keyOf({ properties, required, others }: Properties): string {
  const members = [...properties].map(([name, parts]) => `${JSON.stringify(name)}${required.has(name) ? '!' : '?'}${partsKey(parts)}`);
  const more = [...required].filter((name) => !properties.has(name)).map((name) => JSON.stringify(name));
  return `${members.join()};${more.join()};${others === null ? '' : `*${partsKey(others)}`}`;
}
