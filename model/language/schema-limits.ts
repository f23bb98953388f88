/** What is read of a schema, which is part of a request and may come from anybody. */
import { SchemaError } from './schema-error.js';

/** Schemas in a schema, entries of `type` and values of `enum` together. Of a real one the largest has some hundreds. */
export const MAX_PARTS = 2000;
/** Objects and lists in one another, three for a property of an object: deeper ones are written by mistake, and recursion must end before the stack does. */
export const MAX_NESTING = 96;
/** Values in a schema: above what MAX_PARTS schemas with all their keywords have. */
const MAX_VALUES = 50_000;
/** Characters of all names and texts together, as OpenAI has it: they are written into the grammar letter by letter. */
const MAX_CHARACTERS = 120_000;
/** Items and characters a schema may count: more are not written within a context. */
export const MAX_COUNT = 4096;
/** Alternatives of a part that are left when those that overlap are one: each is tried at every byte until it is told apart. */
export const MAX_ALTERNATIVES = 256;
/** Ranges of numbers that differ: the digits of each are an automaton of its own, which takes a millisecond to make. */
export const MAX_RANGES = 200;
/** Properties and values of alternatives that are put together, or told apart, pair by pair: a tenth of a second, on a thread that others wait for. */
export const MAX_PAIRS = 100_000;

/** Looks at everything in a schema, annotations too, without recursion. @throws SchemaError naming the place that is too much */
export function checkSize(schema: unknown): void {
  let [values, characters] = [0, 0];
  interface Place {
    readonly value: unknown;
    readonly name: string;
    readonly depth: number;
    readonly above: Place | null;
  }
  for (const waiting: Place[] = [{ value: schema, name: '#', depth: 0, above: null }]; waiting.length > 0; ) {
    const place = waiting.pop() as Place;
    const { value, depth } = place;
    const refuse = (what: string): never => {
      const names: string[] = [];
      for (let at: Place | null = place; at !== null; at = at.above) names.unshift(at.name.slice(0, 40));
      throw new SchemaError(names.slice(0, 8).join('/') + (names.length > 8 ? '/…' : ''), what);
    };
    if (depth > MAX_NESTING) refuse(`lies deeper than ${MAX_NESTING} objects and lists in one another`);
    if (++values > MAX_VALUES) refuse(`is more than the ${MAX_VALUES} values a schema may have`);
    characters += place.name.length + (typeof value === 'string' ? value.length : 0);
    if (characters > MAX_CHARACTERS) refuse(`is too long: names and texts of a schema may have ${MAX_CHARACTERS} characters together`);
    if (typeof value !== 'object' || value === null) continue;
    const entries = Array.isArray(value) ? (value as unknown[]).entries() : Object.entries(value);
    if (Array.isArray(value) && value.length > MAX_VALUES) refuse(`is more than the ${MAX_VALUES} values a schema may have`);
    for (const [name, part] of entries) waiting.push({ value: part, name: typeof name === 'number' ? String(name) : name, depth: depth + 1, above: place });
  }
}
